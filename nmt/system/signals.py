"""Signals that ask a training to end."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """Set once SIGINT or SIGTERM has arrived."""

    number: int | None = None


@contextlib.contextmanager
def stop_signals(*, alone: bool = True, say: bool = True) -> Iterator[StopSignal]:
    """Catch SIGINT and SIGTERM, so that the loop can save and end.

    Args:
        alone: let a second signal end the process at once. One of many processes may get the same signal from several
            sides, torchrun and a batch system say, and torchrun itself kills those that do not end in time.
        say: whether to say so on stderr.
    """
    stop = StopSignal()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if say and stop.number is None:
            os.write(2, b"\nstopping after this update%s\n" % (b"; the next signal stops at once" if alone else b""))
        stop.number = number
        if alone:
            signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
