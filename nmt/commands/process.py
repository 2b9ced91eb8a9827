"""Functions that run a command: exit status, output to stdout and stderr, and reactions to signals and closed pipes.

Each command has a function `main` such as this one:

    def main(arguments: Sequence[str] | None = None) -> int:
        options = build_parser("nmt-translate", "Translate lines.").parse_args(arguments)

        def body() -> int | None:
            from nmt.translation.translator import Translator  # --help must not wait for torch
            ...

        return run("nmt-translate", body)

The exit status is 0 after success, 2 after an error that the user can correct, and 128 + N after signal N.
"""

import contextlib
import gc
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from nmt.errors import Interrupted, MachineError, NmtError, UserError
from nmt.system.files import reason


def run(name: str, body: Callable[[], int | None]) -> int:
    """Run the body of a command, which includes slow imports, and return the exit status.

    Each line of a `UserError` is written to stderr as `NAME: error: LINE`. The command ends without a message after
    Ctrl-C, and when stdout is closed early, for example by `| head -1`. Other exceptions are bugs, and are not caught.
    """
    with _log_to_stderr(name):
        try:
            status = body() or 0
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
        except UserError as error:
            _print_error(error, f"{name}: error")
            return 2
        except Interrupted as error:
            _print_error(error, name)
            return 128 + error.signal
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        except BrokenPipeError:
            return 128 + signal.SIGPIPE
        finally:
            _flush_or_discard()


@contextlib.contextmanager
def startup() -> Iterator[None]:
    """Disable the garbage collector and change the effect of Ctrl-C, while imports run and a model is loaded.

    Objects that the block creates live until the process ends, and scanning them takes longer than loading a small
    model. So the garbage collector ignores these objects after the block, too, both in this process and in workers that
    the block forks.

    Ctrl-C ends the process at once. There is nothing to save yet, and some libraries fail if their import is
    interrupted.
    """
    gc.disable()
    before = signal.getsignal(signal.SIGINT)
    own = before is signal.default_int_handler  # False if SIGINT is ignored or handled by a calling program
    try:
        if own:
            signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
        yield
        gc.freeze()
    finally:
        if own:
            signal.signal(signal.SIGINT, before)
        gc.enable()


def standard_output() -> TextIO:
    """Return standard output. Raises MachineError: standard output is closed."""
    if sys.stdout is None:
        raise MachineError("standard output is closed; redirect it to a file or a pipe")
    return sys.stdout


def print_result(text: str) -> None:
    """Write a result and a line feed to standard output in UTF-8. Raises MachineError: writing fails."""
    output = standard_output()
    if isinstance(output, io.TextIOWrapper):
        output.reconfigure(encoding="utf-8")
    try:
        print(text, file=output, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MachineError(f"the output cannot be written ({reason(error)}); write to another place") from error


def _print_error(error: NmtError, prefix: str) -> None:
    """Write each line of an error to stderr, unless another process reports the same error."""
    # If stderr was closed when Python started, it is None, and `print` would write to stdout instead.
    if sys.stderr is not None and not error.reported:
        for line in str(error).splitlines():
            print(f"{prefix}: {line}", file=sys.stderr)


def _flush_or_discard() -> None:
    """Flush stdout. If this fails, discard the buffer, so that the interpreter does not report the failure at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


class _Formatter(logging.Formatter):
    """A formatter that prefixes warnings and errors, but not progress, with the name of the command and the level."""

    def __init__(self, name: str) -> None:
        super().__init__("%(message)s")
        self.name = name

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        if record.levelno < logging.WARNING:
            return message
        return f"{self.name}: {record.levelname.lower()}: {message}"


@contextlib.contextmanager
def _log_to_stderr(name: str) -> Iterator[None]:
    """Write the log lines of nmt with level INFO or higher to stderr while the block runs."""
    logger = logging.getLogger("nmt")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(name))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
