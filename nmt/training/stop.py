"""Signals that ask a training to end."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType


class StopSignal:
    """Set once SIGINT or SIGTERM has arrived."""

    number: int | None = None


@contextlib.contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """Catch SIGINT and SIGTERM once, so that the loop can save and end; the second one ends the process at once."""
    stop = StopSignal()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stop.number = number
        signal.signal(number, signal.SIG_DFL)
        os.write(2, b"\nstopping after this update; the next signal stops at once\n")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
