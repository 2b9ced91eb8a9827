"""Functions that run a command. They handle errors, the exit status, output, signals and closed pipes.

Each command has a function `main` of this form:

    def main(arguments: Sequence[str] | None = None) -> int:
        options = build_parser("nmt-translate", "Translate lines.").parse_args(arguments)

        def body() -> int | None:
            from nmt.translation.translator import Translator  # --help must not wait for torch
            ...

        return run("nmt-translate", body)

The exit status is 0 after success, 2 after an error that the user can correct, 1 after a bug, and 128 + N after signal
N. With NMT_TRACEBACK=1 in the environment, the traceback of an error is printed before its message.
"""

import contextlib
import gc
import io
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import TextIO

from nmt.errors import Interrupted, MachineError, NmtError, UserError
from nmt.system.files import reason
from nmt.system.memory import is_shortage
from nmt.system.signals import Terminated, end_at_once, handle_signals, interrupt
from nmt.system.terminal import escape_controls

TRACEBACK = "NMT_TRACEBACK"


def run(name: str, body: Callable[[], int | None], *, lower: str = "the size of the input") -> int:
    """Run the body of a command and return the exit status. The body also contains the slow imports.

    Each line of a `UserError` is written to stderr as `NAME: error: LINE`. Any other error is written on one line of
    this form. After Ctrl-C or SIGTERM, and if the reader of stdout closes it early (`| head -1`), the command ends
    without a message.

    Args:
        name: the name of the command.
        body: the work of the command. If it returns a number, this number is the exit status.
        lower: the things that the user should lower if there is too little memory, for the message.
    """
    with _log_to_stderr(name), handle_signals(interrupt):
        try:
            status = body() or 0
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
        except BrokenPipeError:
            return 128 + signal.SIGPIPE
        except Terminated:
            return 128 + signal.SIGTERM
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        except Interrupted as error:
            if not error.reported:
                _print_error(name, str(error), error)
            return 128 + error.signal
        except Exception as error:
            status, message = _explain(error, lower)
            if not (isinstance(error, NmtError) and error.reported):
                _print_error(f"{name}: error", message, error)
            return status
        finally:
            _flush_or_discard()


def _explain(error: Exception, lower: str) -> tuple[int, str]:
    """Return the exit status and the message for an error."""
    if isinstance(error, UserError):
        return 2, str(error)
    if is_shortage(error):
        return 2, f"there is too little memory; lower {lower}, or use a machine with more memory"
    if isinstance(error, ModuleNotFoundError):
        return 2, f"this needs the package {error.name}, which is not installed; install nmt with all its dependencies"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return 2, f"{where}{reason(error)}; {TRACEBACK}=1 shows where this happened"
    first = (str(error).strip().splitlines() or [""])[0]
    what = type(error).__name__ + f" ({first})" * bool(first)
    return 1, f"{what}; this is a bug of nmt: run the command with {TRACEBACK}=1 and report the traceback"


@contextlib.contextmanager
def startup() -> Iterator[None]:
    """Prepare for imports and the loading of a model: disable the garbage collector, and end at once after Ctrl-C.

    The objects that the block creates live until the process ends. The garbage collector ignores them during the block
    and after it. Scanning these objects would take longer than loading a small model.

    A signal during the block ends the process at once, because some libraries fail if their import is interrupted.
    There is nothing to save yet.
    """
    gc.disable()
    try:
        with handle_signals(end_at_once):
            yield
        gc.freeze()
    finally:
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


def _print_error(prefix: str, message: str, error: Exception) -> None:
    """Write each line of a message to stderr. If the user asks for tracebacks, write the traceback first."""
    if sys.stderr is None:  # stderr was closed when Python started, and `print` would write to stdout instead
        return
    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        traceback.print_exception(error)
    for line in message.split("\n"):
        print(f"{prefix}: {escape_controls(line)}", file=sys.stderr)


def _flush_or_discard() -> None:
    """Flush stdout. If flushing fails, discard the buffer. Otherwise, Python would report the failure again at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


class _Formatter(logging.Formatter):
    """A formatter that puts the name of the command and the level before each warning and error, but not progress."""

    def __init__(self, name: str) -> None:
        super().__init__("%(message)s")
        self.name = name

    def format(self, record: logging.LogRecord) -> str:
        message = "\n".join(map(escape_controls, super().format(record).split("\n")))
        if record.levelno < logging.WARNING:
            return message
        return f"{self.name}: {record.levelname.lower()}: {message}"


@contextlib.contextmanager
def _log_to_stderr(name: str) -> Iterator[None]:
    """Write log messages of nmt with level INFO or higher to stderr while the block runs."""
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
