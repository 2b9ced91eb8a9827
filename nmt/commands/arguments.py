"""Arguments that several commands share, and how they are parsed."""

import argparse
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from nmt import __version__
from nmt.config.fields import Range, docs_of, fields_of

if TYPE_CHECKING:
    from nmt.translation.translator import Translator


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report a fault on one line. argparse would print the usage first, which is several screens long."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def build_parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with --help and --version. A wrong argument is reported on one line, with exit status 2."""
    parser = _Parser(prog=name, description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nmt {__version__}")
    return parser


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
    """Add an option for some fields of a dataclass, with bounds, default and the first sentence of the docstring of each.

    Args:
        group: where the options are added.
        kind: the dataclass.
        metavars: the fields, and the name of each value in the help. An option that is not given is None.
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


def add_language_options(group: argparse._ArgumentGroup) -> None:
    """Add what a model with several target languages or with tags needs to know."""
    group.add_argument("--to", metavar="LANGUAGE", help="target language, for models with several")
    group.add_argument("--tag", metavar="TAG", help="translate in the manner of the training corpora with this tag")


def add_machine_options(group: argparse._ArgumentGroup) -> None:
    """Add what decides how fast a model translates: arguments of `Translator.load`, by the same names."""
    group.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "int8"),
        default="auto",
        help="precision of matrix products on a CPU; default: auto, the fastest that costs no quality",
    )
    group.add_argument(
        "--no-shortlist", dest="shortlist", action="store_false", help="consider all target tokens, which is slower"
    )
    group.add_argument(
        "--batch-size", type=whole_number(1), metavar="B", help="sentences translated at once; default: by the beam"
    )
    group.add_argument("--threads", type=whole_number(1), metavar="T", help="cores to use; default: all")
    group.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto, a GPU if there is one"
    )


def load_translator(options: argparse.Namespace) -> "Translator":
    """Load `options.models` as the options of `add_machine_options` say."""
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
