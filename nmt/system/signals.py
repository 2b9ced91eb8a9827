"""Handlers of SIGINT and SIGTERM that end the process, raise an exception, or ask training to save and stop."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CALLBACK_SECONDS = 0.01  # the time that a callback has to end before a discarded signal is sent again


class Terminated(KeyboardInterrupt):
    """The exception for SIGTERM. Code that cleans up after KeyboardInterrupt also cleans up after SIGTERM."""


class StopSignal:
    """A record of the last signal. `number` is the number of the signal, or None if no signal has arrived."""

    number: int | None = None


def end_at_once(number: int, frame: FrameType | None = None) -> None:  # noqa: ARG001
    """Handle a signal: end the process at once, without any cleanup."""
    os._exit(128 + number)


def interrupt(number: int, frame: FrameType | None = None) -> None:  # noqa: ARG001
    """Handle a signal: raise KeyboardInterrupt or Terminated. A second signal ends the process at once."""
    for each in SIGNALS:
        if signal.getsignal(each) is interrupt:
            signal.signal(each, end_at_once)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def handle_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle SIGINT and SIGTERM with `handler` while the block runs.

    A signal keeps its handler if the process ignores the signal, or if the handler belongs to a program that calls nmt.
    Only the main thread can handle signals. In other threads, this function does nothing.

    Python discards an exception that a handler raises while a destructor or another callback runs, and prints its
    traceback. In this case, the signal is sent again.

    Args:
        handler: `end_at_once` or `interrupt`.
    """
    ours = (signal.SIG_DFL, signal.default_int_handler, end_at_once, interrupt)
    main = threading.current_thread() is threading.main_thread()
    before = {number: found for number in SIGNALS if (found := signal.getsignal(number)) in ours} if main else {}
    for number in before:
        signal.signal(number, handler)
    report = sys.unraisablehook

    def repeat_or_report(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt) or not before:
            report(unraisable)
            return
        for number in before:
            signal.signal(number, handler)
        number = signal.SIGTERM if isinstance(unraisable.exc_value, Terminated) else signal.SIGINT
        again = threading.Timer(_CALLBACK_SECONDS, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()

    if before and handler is interrupt:
        sys.unraisablehook = repeat_or_report
    try:
        yield
    finally:
        sys.unraisablehook = report
        for number, found in before.items():
            signal.signal(number, found)


def call_interruptibly(function: Callable[[], T]) -> T:
    """Call a function that runs native code for a long time. A signal interrupts the call at once.

    Python handles signals in the main thread, between two Python instructions. The function therefore runs in another
    thread. After an interruption, the function continues in that thread until the process ends.
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

    Only the main thread can handle signals. In other threads, this function catches nothing.

    Args:
        alone: whether a second signal ends the process at once. If several processes train together, set this to False,
            because each process may receive a signal twice: from torchrun and from a batch system. torchrun kills
            processes that do not end in time.
        say: whether to report the signal on stderr.
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
