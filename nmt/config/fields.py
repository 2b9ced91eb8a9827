"""What a field of a configuration states about itself: type, default, bounds, the keys that it depends on, docstring.

Everything known about a field is written where it is declared:

    attention_heads: Annotated[int, Range(1), OnlyWith("model.attention", "multi_head")] = 4
    \"\"\"Number of attention heads. It must divide `decoder_size`.\"\"\"

The parser of configurations, the configuration reference and the command lines read it from there, with `fields_of` and
`docs_of`.
"""

import ast
import dataclasses
import functools
import inspect
import itertools
import math
import types
import typing
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Range:
    """The finite numbers from `least` to `most`, both included, or above `above` and below `below`. None leaves an end open."""

    least: float | None = None
    most: float | None = None
    above: float | None = dataclasses.field(default=None, kw_only=True)
    below: float | None = dataclasses.field(default=None, kw_only=True)

    def __contains__(self, number: float) -> bool:
        return (
            math.isfinite(number)
            and (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        """The range as messages and documents name it: "from 0 to 0.95", "at least 1", "above 0 and below 1"."""
        if self.least is not None and self.most is not None:
            return f"from {self.least} to {self.most}"
        ends = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        return " and ".join(f"{name} {end}" for name, end in ends.items() if end is not None)


@dataclasses.dataclass(frozen=True)
class OnlyWith:
    """The field has an effect only where the key `key` (`section.name`) has one of `values`."""

    key: str
    values: tuple[Any, ...]
    why: str

    def __init__(self, key: str, *values: Any, why: str = "") -> None:
        for name, value in {"key": key, "values": values, "why": why}.items():
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        """The condition as messages name it: "model.cell lstm, gru or rnn"."""
        *others, last = map(format_value, self.values)
        values = f"{', '.join(others)} or {last}" if others else last
        return f"{self.key} {values}" + f" ({self.why})" * bool(self.why)


@dataclasses.dataclass(frozen=True)
class TrainingOnly:
    """The field has no effect on a trained network, whose translations do not depend on it."""


@dataclasses.dataclass(frozen=True)
class OneOf:
    """The value is one of names that another room defines. Choices of the configuration itself are a `Literal`."""

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a dataclass, read from its declaration."""

    name: str
    type: Any
    """The annotation without `None`, bounds and conditions: `int`, a `Literal`, a tuple."""
    optional: bool
    """Whether None is a value. It means "not set"."""
    default: Any
    range: Range | None
    only_with: tuple[OnlyWith, ...]
    training_only: bool


def fields_of(kind: type) -> dict[str, Field]:
    """The fields of a dataclass by name, in the order of their declaration."""
    return _read_fields(kind)


@functools.cache
def _read_fields(kind: type) -> dict[str, Field]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: read_hint(hints[field.name], field.name, field.default) for field in dataclasses.fields(kind)}


def read_hint(hint: Any, name: str = "", default: Any = None) -> Field:
    """Take an annotation apart into type, None, bounds and conditions, in whatever order they are nested."""
    optional, notes = False, list[Any]()
    while True:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            hint, notes = arguments[0], notes + list(arguments[1:])
        elif origin in (types.UnionType, typing.Union):
            (hint,) = (argument for argument in arguments if argument is not types.NoneType)
            optional = True
        else:
            break
    for note in notes:
        if isinstance(note, OneOf):
            hint = typing.Literal.__getitem__(note.names)  # the same as Literal["bleu", "chrf"]
    return Field(
        name=name,
        type=hint,
        optional=optional,
        default=default,
        range=next((note for note in notes if isinstance(note, Range)), None),
        only_with=tuple(note for note in notes if isinstance(note, OnlyWith)),
        training_only=TrainingOnly() in notes,
    )


def docs_of(kind: type) -> dict[str, str]:
    """The string below each field in the source, on one line. Python does not keep it at run time."""
    # inspect.getsource tokenizes the whole file, which takes half of the time of a command's --help.
    module = ast.parse(Path(inspect.getfile(kind)).read_text(encoding="utf-8"))
    declaration = next(
        node for node in ast.walk(module) if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    docs = {}
    for field, below in itertools.pairwise(declaration.body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            docs[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    return docs


def range_faults(options: object) -> list[str]:
    """One line for each field of a dataclass instance that lies outside its range: "beam: must be at least 1, not 0"."""
    values = ((field, getattr(options, name)) for name, field in fields_of(type(options)).items())
    return [
        f"{field.name}: must be {field.range}, not {value}"
        for field, value in values
        if field.range is not None and value is not None and value not in field.range
    ]


def format_value(value: Any) -> str:
    """A value as YAML writes it: true, null, [0.9, 0.98]."""
    if isinstance(value, tuple):
        return f"[{', '.join(format_value(item) for item in value)}]"
    import yaml  # takes half of the time of a command's --help

    return str(yaml.safe_dump(value).splitlines()[0])
