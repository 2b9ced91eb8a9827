"""What the commands share: one way to parse, one way to fail, one way to log.

    def main(arguments: Sequence[str] | None = None) -> int:
        options = parser("nmt-translate", "Translate lines.").parse_args(arguments)

        def body() -> int | None:
            from nmt.translation.translator import Translator  # torch takes seconds to import, --help should not wait for it
            ...

        return run("nmt-translate", body)

Exit status: 0 done, 2 a mistake that the user can mend, 128 + the signal's number if one ended the command.
"""

import argparse
import contextlib
import gc
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from nmt import __version__
from nmt.config.fields import Range, docs_of, fields_of
from nmt.errors import Interrupted, MachineError, NmtError, UserError
from nmt.system.files import reason

if TYPE_CHECKING:
    from nmt.translation.translator import Translator


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage: many screens long, it would hide the line."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser that knows --help and --version; its own errors are one line and exit with status 2."""
    result = _Parser(prog=name, description=description, allow_abbrev=False)
    result.add_argument("--version", action="version", version=f"nmt {__version__}")
    return result


def number(kind: type[int] | type[float], allowed: Range) -> Callable[[str], float]:
    """The `type` of an argument that is an int, or a finite float, in a range."""
    name = "whole number" if kind is int else "number"

    def convert(text: str) -> float:
        with contextlib.suppress(ValueError):
            if (value := kind(text)) in allowed:
                return value
        raise argparse.ArgumentTypeError(f"must be a {name}, {allowed}, not {text!r}")

    return convert


def whole_number(least: int) -> Callable[[str], float]:
    """The `type` of an argument that is an int of at least `least`."""
    return number(int, Range(least))


def add_fields(group: argparse._ArgumentGroup, kind: type, metavars: Mapping[str, str]) -> None:
    """An option for each of some fields of a dataclass, with its bounds, its default and the first sentence of its docstring.

    Args:
        group: where the options go.
        kind: the dataclass.
        metavars: the fields, and how the help names their values. An option that is not given is None.
    """
    fields, docs = fields_of(kind), docs_of(kind)
    for name, metavar in metavars.items():
        field = fields[name]
        assert field.range is not None
        text = docs[name].partition(". ")[0].removesuffix(".")
        text = text[0].lower() + text[1:]
        default = "" if field.default is None else f"; default: {field.default:g}"
        convert = number(field.type, field.range)
        group.add_argument(f"--{name.replace('_', '-')}", type=convert, metavar=metavar, help=f"{text}{default}")


def given_fields(options: argparse.Namespace, kind: type) -> dict[str, Any]:
    """The fields of a dataclass for which the command line has a value."""
    values = ((name, getattr(options, name, None)) for name in fields_of(kind))
    return {name: value for name, value in values if value is not None}


def add_machine_options(group: argparse._ArgumentGroup) -> None:
    """What decides how fast a model translates: the arguments of `Translator.load`, by their names."""
    precisions = ("auto", "fp32", "bf16", "int8")
    group.add_argument(
        "--precision", choices=precisions, default="auto", help="of the products on a CPU; default: auto"
    )
    group.add_argument("--no-shortlist", dest="shortlist", action="store_false", help="consider all target pieces")
    group.add_argument("--batch-size", type=whole_number(1), metavar="B", help="sentences; default: by the beam")
    group.add_argument("--threads", type=whole_number(1), metavar="T", help="default: all cores")
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if any")


def add_language_options(group: argparse._ArgumentGroup) -> None:
    """What a model with several target languages, or with tags, must be told."""
    group.add_argument("--to", metavar="LANGUAGE", help="the target language, for models of several")
    group.add_argument("--tag", metavar="TAG", help="translate as the training corpora with this tag")


def load_translator(options: argparse.Namespace) -> "Translator":
    """What `options.models` and the options of `add_machine_options` ask for."""
    from nmt.system.machine import cores, keep_memory
    from nmt.translation.translator import Translator

    keep_memory()
    return Translator.load(
        *options.models,
        device=options.device,
        precision=options.precision,
        shortlist=options.shortlist,
        threads=options.threads or cores(),
        batch_size=options.batch_size,
    )


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Around imports and the loading of a model: what comes of them stays, so Python need not look for garbage among it, which
    takes longer than to load a small model. Workers that are forked inside do the same with what they inherit.

    Ctrl-C ends the process at once: there is nothing to save yet, and not every library bears a KeyboardInterrupt in its import.
    """
    gc.disable()
    try:
        with _ended_by_ctrl_c():
            yield
        gc.freeze()
    finally:
        gc.enable()


@contextlib.contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # another program's, or ignored
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run(name: str, body: Callable[[], int | None]) -> int:
    """Runs a command's body, imports included, and returns the exit status.

    A `UserError` becomes one line `NAME: error: FAULT` per fault on stderr. Ctrl-C and a reader that closed our output
    early (`| head -1`) end quietly. Other exceptions are bugs and keep their traceback.
    """
    with _logging(name):
        try:
            status = body() or 0
            _flush()
            return status
        except UserError as error:
            _tell(error, f"{name}: error")
            return 2
        except Interrupted as error:
            _tell(error, name)
            return 128 + error.signal
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        except BrokenPipeError:
            return 128 + signal.SIGPIPE
        finally:
            _settle_stdout()


def _tell(error: NmtError, who: str) -> None:
    """A line on stderr for each line of the error, unless another process has said it."""
    if sys.stderr is None:  # closed before Python began: `print` would take standard output for it
        return
    for line in str(error).splitlines() if not error.reported else ():
        print(f"{who}: {line}", file=sys.stderr)


def standard_output() -> TextIO:
    """Raises MachineError: it is closed."""
    if sys.stdout is None:
        raise MachineError("standard output is closed; give a file or a pipe for it")
    return sys.stdout


def say(text: str) -> None:
    """A result on standard output, in UTF-8. Raises MachineError: it cannot be written."""
    output = standard_output()
    if isinstance(output, io.TextIOWrapper):
        output.reconfigure(encoding="utf-8")
    try:
        print(text, file=output, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MachineError(f"the output cannot be written ({reason(error)}); write to another place") from error


def _flush() -> None:
    if sys.stdout is not None:  # closed before Python began
        sys.stdout.flush()


def _settle_stdout() -> None:
    """Flush; where that is impossible, drop what is left, or the interpreter would complain about it at its exit."""
    try:
        _flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class _Format(logging.Formatter):
    """Progress as it is, anything worse with the command's name and the level before it."""

    def __init__(self, name: str) -> None:
        super().__init__("%(message)s")
        self.name = name

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        if record.levelno < logging.WARNING:
            return message
        return f"{self.name}: {record.levelname.lower()}: {message}"


@contextlib.contextmanager
def _logging(name: str) -> Iterator[None]:
    """nmt's log lines, from INFO upwards, go to stderr while the command runs."""
    logger = logging.getLogger("nmt")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Format(name))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
