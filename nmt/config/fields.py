"""The declarations of configuration fields, and functions that read them.

The declaration of a field contains its type, its default, its bounds, the keys that it depends on, and its docstring:

    attention_heads: Annotated[int, Range(1), OnlyWith("model.attention", "multi_head")] = 4
    \"\"\"Number of attention heads. It must divide `decoder_size`.\"\"\"

The parser of configurations, the generator of docs/configuration.md and the commands read the declarations with
`fields_of` and `docs_of`.
"""

import ast
import dataclasses
import functools
import inspect
import itertools
import math
import operator
import types
import typing
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Range:
    """A range of finite numbers.

    The bounds `least` and `most` belong to the range. The bounds `above` and `below` do not. None means no bound.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = dataclasses.field(default=None, kw_only=True)
    below: float | None = dataclasses.field(default=None, kw_only=True)

    def __contains__(self, number: float) -> bool:
        return (
            (isinstance(number, int) or math.isfinite(number))
            and (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        """Describe the range in words, for example "from 0 to 0.95", "at least 1" or "above 0 and below 1"."""
        if self.least is not None and self.most is not None:
            return f"from {self.least:,} to {self.most:,}"
        ends = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        return " and ".join(f"{name} {end:,}" for name, end in ends.items() if end is not None)


@dataclasses.dataclass(frozen=True)
class OnlyWith:
    """Marks a field that has an effect only if another key has one of the given values.

    `key` is the name of that key, as `section.name`. `why` is a reason that messages give.
    """

    key: str
    values: tuple[Any, ...]
    why: str

    def __init__(self, key: str, *values: Any, why: str = "") -> None:
        for name, value in {"key": key, "values": values, "why": why}.items():
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        """Describe the condition in words, for example "model.cell lstm, gru or rnn"."""
        *others, last = map(format_value, self.values)
        values = f"{', '.join(others)} or {last}" if others else last
        return f"{self.key} {values}" + f" ({self.why})" * bool(self.why)


@dataclasses.dataclass(frozen=True)
class TrainingOnly:
    """Marks a field that affects only training. The translations of a trained network do not depend on the field."""


@dataclasses.dataclass(frozen=True)
class OneOf:
    """Marks a field whose value is one of several names. The names are defined outside of nmt/config.

    If the names are written at the field itself, the type of the field is a `Literal` instead.
    """

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """The declaration of a field of a dataclass."""

    name: str
    type: Any
    """The annotation without `None`, bounds and conditions, for example `int`, a `Literal` or a tuple."""
    optional: bool
    """Whether the value may be None, which means "not set"."""
    default: Any
    range: Range | None
    only_with: tuple[OnlyWith, ...]
    training_only: bool


def fields_of(kind: type) -> dict[str, Field]:
    """Return the fields of a dataclass by name, in the order of their declaration."""
    return _read_fields(kind)  # mypy does not accept all classes as arguments of a cached function


@functools.cache
def _read_fields(kind: type) -> dict[str, Field]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: read_hint(hints[field.name], field.name, field.default) for field in dataclasses.fields(kind)}


def read_hint(hint: Any, name: str = "", default: Any = None) -> Field:
    """Split an annotation into its type, None, bounds and conditions. These can be nested in any order."""
    optional, notes = False, list[Any]()
    while True:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            hint, notes = arguments[0], notes + list(arguments[1:])
        elif origin in (types.UnionType, typing.Union):
            others = [argument for argument in arguments if argument is not types.NoneType]
            optional |= len(others) < len(arguments)
            if len(others) > 1:  # a key such as `source_column`, which is text or a number
                hint = functools.reduce(operator.or_, others)
                break
            (hint,) = others
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


@functools.cache
def docs_of(kind: type) -> dict[str, str]:
    """Read the docstring below each field from the source file. Python does not keep these docstrings at run time.

    Returns:
        A mapping of the name of each field to its docstring, which is on a single line.
    """
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
    """Check the ranges of the fields of a dataclass instance.

    Returns:
        A message for each value outside of its range, such as "beam: must be at least 1, not 0".
    """
    values = ((field, getattr(options, name)) for name, field in fields_of(type(options)).items())
    return [
        f"{field.name}: must be {field.range}, not {value}"
        for field, value in values
        if field.range is not None and value is not None and value not in field.range
    ]


def format_value(value: Any) -> str:
    """Format a value as YAML does, for example true, null or [0.9, 0.98]."""
    if isinstance(value, tuple):
        return f"[{', '.join(format_value(item) for item in value)}]"
    import yaml  # this import takes half of the time of a command's --help

    return str(yaml.safe_dump(value).splitlines()[0])
