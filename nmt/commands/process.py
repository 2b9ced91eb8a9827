"""A command as a process: its exit status, what it writes to stdout and stderr, and how signals and closed pipes end it.

    def main(arguments: Sequence[str] | None = None) -> int:
        options = build_parser("nmt-translate", "Translate lines.").parse_args(arguments)

        def body() -> int | None:
            from nmt.translation.translator import Translator  # --help must not wait for torch
            ...

        return run("nmt-translate", body)

Exit status: 0 is success, 2 a fault that the user can correct, 128 + N the end by signal N.
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
    """Run the body of a command, imports included, and return the exit status.

    Every line of a `UserError` is written to stderr as `NAME: error: LINE`. Ctrl-C, and a reader that closes stdout early
    (`| head -1`), end the command silently. Other exceptions are bugs, so they keep their traceback.
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
    """Around the imports and the loading of a model.

    Disables the garbage collector: what is made here lives until the process ends, and scanning it takes longer than
    loading a small model. Workers that are forked here do the same with what they inherit.

    Ctrl-C ends the process at once, because there is nothing to save yet and some libraries break if their import is
    interrupted.
    """
    gc.disable()
    before = signal.getsignal(signal.SIGINT)
    own = before is signal.default_int_handler  # otherwise it is ignored, or another program handles it
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
    """Standard output. Raises MachineError if it is closed."""
    if sys.stdout is None:
        raise MachineError("standard output is closed; redirect it to a file or a pipe")
    return sys.stdout


def print_result(text: str) -> None:
    """Write a result and a line feed to standard output, in UTF-8. Raises MachineError if it cannot be written."""
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
    """Write each line of an error to stderr, unless another process reports it."""
    # Closed before Python began, stderr is None; `print` would write to stdout instead.
    if sys.stderr is not None and not error.reported:
        for line in str(error).splitlines():
            print(f"{prefix}: {line}", file=sys.stderr)


def _flush_or_discard() -> None:
    """Flush stdout. If that fails, discard its buffer, or the interpreter would report the failure when it exits."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


class _Formatter(logging.Formatter):
    """Progress as it is; warnings and errors after the name of the command and the level."""

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
    """Write the log lines of nmt, from INFO upwards, to stderr while the command runs."""
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
