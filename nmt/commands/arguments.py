"""The argument parser of all commands, and arguments that several commands share."""

import argparse
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from nmt import __version__
from nmt.config.fields import Field, Range, docs_of, fields_of
from nmt.system.terminal import escape_controls

if TYPE_CHECKING:
    from nmt.translation.translator import Translator

MAX_BATCH_SIZE = 100_000
MAX_THREADS = 1024
MODEL_HELP = "model folder, or output folder of nmt-train"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report an error on one line. argparse would first print the usage, which can fill several screens."""
        self.exit(2, f"{self.prog}: error: {escape_controls(message)}; see {self.prog} --help\n")


def build_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Build a parser with --help and --version. The parser reports an error on one line and exits with status 2."""
    parser = _Parser(prog=name, description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nmt {__version__}")
    return parser


def number(kind: type[int] | type[float], allowed: Range) -> Callable[[str], float]:
    """Return a function for argparse's `type`. It parses an int or a finite float in a range."""
    name = "whole number" if kind is int else "number"

    def convert(text: str) -> float:
        with contextlib.suppress(ValueError):
            if (value := kind(text)) in allowed:
                return value
        raise argparse.ArgumentTypeError(f"must be a {name}, {allowed}, not {text!r}")

    return convert


def whole_number(least: int, most: int | None = None) -> Callable[[str], float]:
    """Return a function for argparse's `type`. It parses an int from `least` to `most`."""
    return number(int, Range(least, most))


def add_fields(group: argparse._ArgumentGroup, kind: type, metavars: Mapping[str, str]) -> None:
    """Add command-line options that correspond to fields of a dataclass.

    The range, the default and the help of an option come from its field. If an option is missing from the command line,
    its value is None.

    Args:
        group: the group to which the options are added.
        kind: the dataclass.
        metavars: the names of the fields. The help shows the string for a field in place of the value of the option.
    """
    fields = fields_of(kind)
    for name, metavar in metavars.items():
        field = fields[name]
        assert field.range is not None
        convert = number(field.type, field.range)
        flag = f"--{name.replace('_', '-')}"
        group.add_argument(flag, type=convert, metavar=metavar, action=_FieldOption, declared=(kind, field))


class _FieldOption(argparse._StoreAction):
    """An option that corresponds to a field. Its help is read from the source file of the field when it is shown."""

    def __init__(self, *args: Any, declared: tuple[type, Field], **named: Any) -> None:
        self._declared = declared
        super().__init__(*args, **named)

    @property
    def help(self) -> str:
        kind, field = self._declared
        text = docs_of(kind)[field.name].partition(". ")[0].removesuffix(".")
        default = "" if field.default is None else f"; default: {field.default:g}"
        return f"{text[0].lower()}{text[1:]}; {field.range}{default}"

    @help.setter  # noqa: A003
    def help(self, text: str | None) -> None:
        """Ignore the text that argparse sets."""


def given_fields(options: argparse.Namespace, kind: type) -> dict[str, Any]:
    """Return the values that the command line gives for fields of a dataclass."""
    values = ((name, getattr(options, name, None)) for name in fields_of(kind))
    return {name: value for name, value in values if value is not None}


def add_language_options(group: argparse._ArgumentGroup) -> None:
    """Add the options --to and --tag, for models with several target languages or with tags."""
    group.add_argument("--to", metavar="LANGUAGE", help="target language, for models with several")
    group.add_argument("--tag", metavar="TAG", help="translate in the manner of the training corpora with this tag")


def add_machine_options(group: argparse._ArgumentGroup, *, shortlist: bool = True) -> None:
    """Add the options that determine the speed of translation. `Translator.load` has arguments with the same names.

    Args:
        group: the group to which the options are added.
        shortlist: whether the command uses shortlists by default.
    """
    add_model_options(group, shortlist=shortlist)
    group.add_argument(
        "--batch-size",
        type=whole_number(1, MAX_BATCH_SIZE),
        metavar="B",
        help=f"sentences translated at once, at most {MAX_BATCH_SIZE:,}; default: by the beam",
    )
    group.add_argument(
        "--threads",
        type=whole_number(1, MAX_THREADS),
        metavar="T",
        help=f"cores to use, at most {MAX_THREADS:,}; default: all",
    )


def add_model_options(group: argparse._ArgumentGroup, *, shortlist: bool = True) -> None:
    """Add those options of `add_machine_options` that say how a model computes, and not with how many cores."""
    group.add_argument(
        "--precision",
        choices=("auto", "fp32", "int8"),
        default="auto",
        help="precision of matrix products; default: auto, int8 on a CPU with the native library",
    )
    if shortlist:
        text = "consider all target tokens, which is slower"
        group.add_argument("--no-shortlist", dest="shortlist", action="store_false", help=text)
    else:
        text = "consider only the likely target tokens, as translation does by default"
        group.add_argument("--shortlist", action="store_true", help=text)
    group.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto, a GPU if there is one"
    )


def load_translator(options: argparse.Namespace) -> "Translator":
    """Load the models of the command line, with the options that `add_machine_options` added."""
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
