"""Handlers for SIGINT and SIGTERM: they end the process, interrupt it, or request that training saves and stops."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM has arrived. Code that expects KeyboardInterrupt cleans up after SIGTERM, too."""


class StopSignal:
    """A record of the last signal that has arrived. `number` is None until a signal arrives."""

    number: int | None = None


def end_at_once(number: int, frame: FrameType | None = None) -> None:  # noqa: ARG001
    """End the process, as a handler of a signal. Nothing is cleaned up."""
    os._exit(128 + number)


def interrupt(number: int, frame: FrameType | None = None) -> None:  # noqa: ARG001
    """Raise KeyboardInterrupt or Terminated, as a handler of a signal. The next signal ends the process at once."""
    for each in SIGNALS:
        if signal.getsignal(each) is interrupt:
            signal.signal(each, end_at_once)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def handle_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle SIGINT and SIGTERM by `handler`, `end_at_once` or `interrupt`, while the block runs.

    A signal that is ignored, or that a calling program handles, keeps its handler. Only the main thread can handle
    signals, so in other threads this function does nothing.
    """
    ours = (signal.SIG_DFL, signal.default_int_handler, end_at_once, interrupt)
    main = threading.current_thread() is threading.main_thread()
    before = {number: found for number in SIGNALS if (found := signal.getsignal(number)) in ours} if main else {}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, found in before.items():
            signal.signal(number, found)


def call_interruptibly(function: Callable[[], T]) -> T:
    """Call a function that runs native code for a long time, so that a signal interrupts the call at once.

    Python handles signals in the main thread between two instructions of Python, so the function runs in another
    thread. After an interruption it continues there until the process ends.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    for error in errors:
        raise error
    return results[0]


@contextlib.contextmanager
def stop_signals(*, alone: bool = True, say: bool = True) -> Iterator[StopSignal]:
    """Catch SIGINT and SIGTERM while the block runs, so that the training loop can save and stop.

    Only the main thread can handle signals, so in other threads nothing is caught.

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

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handle) for number in SIGNALS} if main else {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
