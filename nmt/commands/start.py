"""The entry points of the commands. They set up signal handlers before any slow import."""

import os
import signal
import sys

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any, NoReturn


def train() -> "NoReturn":
    """Run nmt-train."""
    _start("train")


def translate() -> "NoReturn":
    """Run nmt-translate."""
    _start("translate")


def evaluate() -> "NoReturn":
    """Run nmt-evaluate."""
    _start("evaluate")


def export() -> "NoReturn":
    """Run nmt-export."""
    _start("export")


def average() -> "NoReturn":
    """Run nmt-average."""
    _start("average")


def check() -> "NoReturn":
    """Run nmt-check."""
    _start("check")


def score() -> "NoReturn":
    """Run nmt-score."""
    _start("score")


def serve() -> "NoReturn":
    """Run nmt-serve."""
    _start("serve")


def corpus() -> "NoReturn":
    """Run nmt-corpus."""
    _start("corpus")


def hub() -> "NoReturn":
    """Run nmt-hub."""
    _start("hub")


def _start(command: str) -> "NoReturn":
    """Run a command and end the process with its exit status.

    A signal that arrives before or after the command runs ends the process without a message.
    """
    # Signals that are ignored, as SIGINT is in nohup and in background jobs of shell scripts, stay ignored.
    default = (signal.SIG_DFL, signal.default_int_handler)
    signals = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) in default]
    for number in signals:
        signal.signal(number, lambda number, _: os._exit(128 + number))

    from importlib import import_module

    from nmt.system.signals import Terminated, end_at_once

    for number in signals:
        signal.signal(number, end_at_once)  # nmt.commands.process replaces this handler while the command runs
    sys.unraisablehook = _report_unraisable
    try:
        status = import_module(f"nmt.commands.{command}").main()
    except KeyboardInterrupt as error:  # the signal arrived while the command was ending
        status = 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    if status > 128:
        os._exit(status)  # a normal exit could wait for interrupted native code that still runs in another thread
    sys.exit(status)


def _report_unraisable(error: "Any") -> None:
    """End the process if a signal arrives in a destructor. Python would ignore the signal and print a traceback."""
    if issubclass(error.exc_type, KeyboardInterrupt):
        os._exit(128 + signal.SIGINT)
    sys.__unraisablehook__(error)
