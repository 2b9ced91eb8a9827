"""Handlers for SIGINT and SIGTERM, which request that training saves a checkpoint and stops."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """A record of the last signal that has arrived. `number` is None until a signal arrives."""

    number: int | None = None


@contextlib.contextmanager
def stop_signals(*, alone: bool = True, say: bool = True) -> Iterator[StopSignal]:
    """Catch SIGINT and SIGTERM while the block runs, so that the training loop can save and stop.

    Args:
        alone: Whether a second signal ends the process at once. This should be False for one of several processes,
            which may receive each signal twice, from torchrun and from a batch system. torchrun kills processes that do
            not end in time.
        say: Whether to report the signal on stderr.
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
