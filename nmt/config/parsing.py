"""From plain data, as YAML gives it, to dataclasses, by their type hints: all faults are found, each with the nearest name."""

import contextlib
import dataclasses
import difflib
import math
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import yaml

from nmt.config.fields import Field, fields_of, read_hint

T = TypeVar("T")


class _Loader(yaml.SafeLoader):
    """YAML whose faults are all YAMLErrors, a key that stands twice in a mapping among them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """What a YAML text holds. Raises yaml.YAMLError."""
    try:
        return yaml.load(text, _Loader)
    except (ValueError, AttributeError, RecursionError) as error:  # 2021-02-30, 0x_, [[[[…
        raise yaml.YAMLError(str(error)) from error


def to_plain(value: Any) -> Any:
    """`dataclasses.asdict` of a configuration as YAML writes it: tuples become lists."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, tuple | list) else value


def copy_sections(content: Mapping[Any, Any]) -> dict[Any, Any]:
    """A copy whose sections can be changed."""
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in content.items()}


def apply_override(override: str, content: dict[Any, Any], faults: list[str]) -> None:
    """Set one `section.key=value` in the content of a configuration; the value is YAML."""
    name, equals, text = override.partition("=")
    section, dot, key = name.partition(".")
    if not (equals and dot and key):
        faults.append(f"{override!r}: an override is written section.key=value, model.dropout=0.2 for example")
        return
    try:
        value = parse_yaml(text)
    except yaml.YAMLError:
        faults.append(f"{name}: {text!r} is not a YAML value")
        return
    inner = content.setdefault(section, {})
    if isinstance(inner, dict):
        inner[key] = value
    elif inner is None:
        content[section] = {key: value}


def names_of(kind: type) -> str:
    """The fields of a dataclass, for messages."""
    return ", ".join(field.name for field in dataclasses.fields(kind))


def describe(value: Any) -> str:
    """A value, for messages."""
    return "nothing" if value is None else repr(value)


def from_plain(kind: type[T], content: Any, where: str, faults: list[str]) -> T:
    """Build a dataclass from a mapping; faults are appended and the default stands in for what is wrong.

    A tuple of dataclasses also takes a single one, and a bare string for one of them stands for its first field.
    """
    if content is None:
        content = {}
    if not isinstance(content, Mapping):
        faults.append(f"{where.rstrip('.')}: must hold keys ({names_of(kind)}), not {describe(content)}")
        return kind()
    fields = fields_of(kind)
    values = {}
    for key, value in content.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.5)
            advice = f"did you mean {where}{near[0]}?" if near else f"allowed are {names_of(kind)}"
            faults.append(f"{where}{key}: unknown key; {advice}")
            continue
        values[key] = _value(fields[key], value, f"{where}{key}", faults)
    return kind(**{key: value for key, value in values.items() if value is not _FAULTY})


_FAULTY: Any = object()


def _value(field: Field, value: Any, where: str, faults: list[str]) -> Any:
    """`value` as the type of the field and within its range, or `_FAULTY` with a fault appended."""
    if value is None and field.optional:
        return None
    if dataclasses.is_dataclass(field.type):
        return from_plain(typing.cast(type, field.type), value, f"{where}.", faults)
    origin, arguments = typing.get_origin(field.type), typing.get_args(field.type)
    if origin is Literal:
        return value if value in arguments else _fault(faults, where, "one of " + ", ".join(arguments), value)
    if origin is tuple:
        return _tuple(arguments, value, where, faults)
    parsed = _scalar(field.type, value, where, faults)
    if field.range is not None and parsed is not _FAULTY and parsed not in field.range:
        return _fault(faults, where, str(field.range), value)
    return parsed


def _tuple(arguments: tuple[Any, ...], value: Any, where: str, faults: list[str]) -> Any:
    item = arguments[0]
    if dataclasses.is_dataclass(item):
        items = value if isinstance(value, list) else [] if value is None else [value]
        shorthand = dataclasses.fields(item)[0].name
        items = [{shorthand: entry} if isinstance(entry, str) else entry for entry in items]
    elif not isinstance(value, list):
        return _fault(faults, where, "a list", value)
    else:
        items = value
    if arguments[-1] is not Ellipsis and len(items) != len(arguments):
        return _fault(faults, where, f"a list of {len(arguments)}", value)
    parsed = tuple(_value(read_hint(item), entry, f"{where}[{index}]", faults) for index, entry in enumerate(items))
    return _FAULTY if any(entry is _FAULTY for entry in parsed) else parsed


def _scalar(hint: Any, value: Any, where: str, faults: list[str]) -> Any:
    if hint is float:
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value) if isinstance(value, int | float | str) else math.nan  # YAML 1.1 reads 1e-3 as text
            if math.isfinite(number) and not isinstance(value, bool):
                return number
        return _fault(faults, where, "a number", value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (bool, str) and isinstance(value, hint):
        return value
    if hint is str and isinstance(value, bool | int | float):  # YAML 1.1 reads `no`, Norwegian's code, as false
        return _fault(faults, where, 'text (in quotes where YAML takes it for something else: "no")', value)
    return _fault(faults, where, {int: "a whole number", bool: "true or false", str: "text"}[hint], value)


def _fault(faults: list[str], where: str, allowed: str, value: Any) -> Any:
    faults.append(f"{where}: must be {allowed}, not {describe(value)}")
    return _FAULTY
