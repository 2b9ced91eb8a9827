"""Functions that parse plain values, such as the content of a YAML file, into dataclasses by their type hints.

Parsing continues after a fault, so that all faults are found. A fault about an unknown key names the most similar key.
"""

import contextlib
import dataclasses
import math
import typing
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from nmt.config.fields import Field, fields_of, read_hint

T = TypeVar("T")

MAX_TEXT_CHARACTERS = 4096
"""The limit of a text value in characters. Linux has the same limit for paths."""
MAX_LIST_ITEMS = 10_000
"""The largest number of items in a list."""
_MAX_FAULTS = 100
_MAX_SHOWN_CHARACTERS = 100  # the limit of a value in a message, in characters


class Fault(NamedTuple):
    """An error in the value of a key."""

    key: str
    """The key with its section, such as `model.dropout` or `data.train[0].tag`."""
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


def to_plain(value: Any) -> Any:
    """Replace all tuples in a nested value by lists, because YAML cannot write tuples."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, tuple | list) else value


def copy_sections(content: Mapping[Any, Any]) -> dict[Any, Any]:
    """Copy the content of a configuration and its sections. Overrides of the copy then do not change the original."""
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in content.items()}


def names_of(kind: type) -> str:
    """List the names of the fields of a dataclass for a message."""
    return ", ".join(field.name for field in dataclasses.fields(kind))


def describe_value(value: Any) -> str:
    """Describe a value for a message. The description is short and contains no control characters."""
    if value is None:
        return "nothing"
    try:
        text = repr(value)
    except ValueError:  # Python cannot format integers of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}..."


def from_plain(kind: type[T], content: Any, prefix: str, faults: list[Fault]) -> T:
    """Build a dataclass from a mapping.

    Two short forms are allowed. If a field is a tuple of dataclasses, its value may be a single mapping instead of a
    list of mappings. Each of these mappings may be a string, which is then the value of the first field.

    Args:
        kind: the dataclass.
        content: a mapping of keys to values.
        prefix: the path of the keys in messages, such as "", "data." or "data.train[0].".
        faults: the list to which all faults are added. The default of a field replaces a faulty value.
    """
    if content is None:
        content = {}
    if not isinstance(content, Mapping):
        faults.append(Fault(prefix.rstrip("."), f"must hold keys ({names_of(kind)}), not {describe_value(content)}"))
        return kind()
    fields = fields_of(kind)
    values = {}
    for key, value in content.items():
        if key not in fields:
            if len(faults) == _MAX_FAULTS:
                break
            if not isinstance(key, str) or not key.isprintable() or len(key) > _MAX_SHOWN_CHARACTERS:
                faults.append(Fault(f"{prefix}{describe_value(key)}", f"unknown key; allowed are {names_of(kind)}"))
                continue
            import difflib  # slow to import

            near = difflib.get_close_matches(key, fields, n=1, cutoff=0.5)
            advice = f"did you mean {prefix}{near[0]}?" if near else f"allowed are {names_of(kind)}"
            faults.append(Fault(f"{prefix}{key}", f"unknown key; {advice}"))
            continue
        values[key] = _parse_value(fields[key], value, f"{prefix}{key}", faults)
    return kind(**{key: value for key, value in values.items() if value is not _FAULTY})


_FAULTY: Any = object()


def _parse_value(field: Field, value: Any, key: str, faults: list[Fault]) -> Any:
    """Convert a value to the type of the field, and check its range. Return `_FAULTY` if the value has a fault."""
    if value is None and field.optional:
        return None
    if dataclasses.is_dataclass(field.type):
        return from_plain(typing.cast(type, field.type), value, f"{key}.", faults)
    origin, arguments = typing.get_origin(field.type), typing.get_args(field.type)
    if origin is Literal:
        return value if value in arguments else _report(faults, key, "one of " + ", ".join(arguments), value)
    if origin is tuple:
        return _parse_tuple(arguments, value, key, faults)
    parsed = _parse_scalar(field.type, value, key, faults)
    if field.range is not None and parsed is not _FAULTY and parsed not in field.range:
        return _report(faults, key, str(field.range), value)
    return parsed


def _parse_tuple(arguments: tuple[Any, ...], value: Any, key: str, faults: list[Fault]) -> Any:
    item = arguments[0]
    if dataclasses.is_dataclass(item):
        items = value if isinstance(value, list) else [] if value is None else [value]
        first = dataclasses.fields(item)[0].name
        items = [{first: entry} if isinstance(entry, str) else entry for entry in items]
    elif not isinstance(value, list):
        return _report(faults, key, "a list", value)
    else:
        items = value
    if len(items) > MAX_LIST_ITEMS:
        return _report(faults, key, f"a list of at most {MAX_LIST_ITEMS:,}", value)
    if arguments[-1] is not Ellipsis and len(items) != len(arguments):
        return _report(faults, key, f"a list of {len(arguments)}", value)
    field = read_hint(item)
    parsed = tuple(_parse_value(field, entry, f"{key}[{index}]", faults) for index, entry in enumerate(items))
    return _FAULTY if any(entry is _FAULTY for entry in parsed) else parsed


def _parse_scalar(kind: type, value: Any, key: str, faults: list[Fault]) -> Any:
    if kind is float:
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value) if isinstance(value, int | float | str) else math.nan  # YAML 1.1 reads 1e-3 as text
            if math.isfinite(number) and not isinstance(value, bool):
                return number
        return _report(faults, key, "a number", value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str):
        if not value.strip() or len(value) > MAX_TEXT_CHARACTERS:
            return _report(faults, key, f"a text of 1 to {MAX_TEXT_CHARACTERS:,} characters", value)
        if any(category in ("Cc", "Cs") for category in map(unicodedata.category, value)):
            return _report(faults, key, "a text without control characters", value)
        return value
    if kind == str | int:
        usable = isinstance(value, str | int) and not isinstance(value, bool)
        return value if usable else _report(faults, key, "text or a whole number", value)
    if kind is str and isinstance(value, bool | int | float):  # YAML 1.1 reads `no`, the code of Norwegian, as false
        return _report(faults, key, 'text (in quotes where YAML reads it as something else: "no")', value)
    return _report(faults, key, {int: "a whole number", bool: "true or false", str: "text"}[kind], value)


def _report(faults: list[Fault], key: str, allowed: str, value: Any) -> Any:
    faults.append(Fault(key, f"must be {allowed}, not {describe_value(value)}"))
    return _FAULTY
