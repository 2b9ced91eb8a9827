"""Records: what requests contain and what responses contain, as dataclasses.

The OpenAPI document has a JSON schema for each record. Requests are checked against the same declarations.
"""

import contextlib
import dataclasses
import functools
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from nmt.config.fields import Range, docs_of
from nmt.errors import ConfigError
from nmt.server.errors import RequestError
from nmt.tokenizers.base import replace_surrogates

T = TypeVar("T")

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")
_UNIONS = (types.UnionType, typing.Union)
_LISTS = (list, tuple, Sequence)


def read_record(kind: type[T], values: Mapping[str, Any], *, text: bool = False, strict: bool = False) -> T:
    """Build a record from the parameters of a request.

    Args:
        kind: the dataclass.
        values: the values of its fields by name.
        text: whether all values are strings, as in a query or a form.
        strict: whether unknown names are an error. They are ignored otherwise.

    Raises:
        RequestError: a value is missing, or has another type, or is out of its bounds (400).
    """
    return typing.cast(T, _read_dataclass(kind, values, "", text=text, strict=strict))


def _read_dataclass(kind: type, values: Mapping[str, Any], where: str, *, text: bool, strict: bool) -> Any:
    hints = _get_hints(kind)
    unknown = [name for name in values if name not in hints]
    if strict and unknown:
        shown = unknown[0] if unknown[0].isidentifier() and len(unknown[0]) < 40 else "a name"
        raise RequestError(400, f"{where}{shown}: not known; choose {', '.join(hints)}")
    found = {}
    for field in dataclasses.fields(kind):
        if field.name in values:
            name = f"{where}{field.name}"
            found[field.name] = _read(hints[field.name], values[field.name], name, text=text, strict=strict)
        elif not is_optional(field):
            raise RequestError(400, f"{where}{field.name}: missing")
    try:
        return kind(**found)
    except (ConfigError, ValueError) as error:
        raise RequestError(400, str(error).replace("\n", "; ")) from None


def _read(hint: Any, value: Any, name: str, *, text: bool, strict: bool) -> Any:
    """Return a value of a type, or raise an error that says what is allowed."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        found = _read(arguments[0], value, name, text=text, strict=strict)
        for note in arguments[1:]:
            if isinstance(note, Range) and found is not None and found not in note:
                raise RequestError(400, f"{name}: must be {note}")
        return found
    if origin in _UNIONS:
        return _read_union(arguments, value, name, text=text, strict=strict)
    if origin is typing.Literal:
        if value in arguments and type(value) in {type(argument) for argument in arguments}:
            return value
        raise RequestError(400, f"{name}: must be {' or '.join(sorted(map(str, arguments)))}")
    if origin in _LISTS:
        items = [value] if text and isinstance(value, str) else value
        if not isinstance(items, list):
            raise RequestError(400, f"{name}: must be a list")
        read = (_read(arguments[0], item, f"{name}[{i}]", text=text, strict=strict) for i, item in enumerate(items))
        return tuple(read) if origin is tuple else list(read)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise RequestError(400, f"{name}: must be an object")
        return _read_dataclass(hint, value, f"{name}.", text=text, strict=strict)
    return _read_scalar(hint, value, name, text=text)


def _read_union(choices: Sequence[Any], value: Any, name: str, *, text: bool, strict: bool) -> Any:
    if value is None and types.NoneType in choices:
        return None
    choices = [choice for choice in choices if choice is not types.NoneType]
    if len(choices) > 1:
        for choice in choices:
            with contextlib.suppress(RequestError):
                return _read(choice, value, name, text=text, strict=strict)
    return _read(choices[-1], value, name, text=text, strict=strict)


def _read_scalar(kind: type, value: Any, name: str, *, text: bool) -> Any:
    if text and isinstance(value, str) and kind is not str:
        with contextlib.suppress(ValueError, OverflowError):
            if kind is bool:
                if value.lower() in (*_TRUE, *_FALSE):
                    return value.lower() in _TRUE
            else:
                return kind(value)
    elif kind is float and type(value) is int:
        with contextlib.suppress(OverflowError):
            return float(value)
    elif kind is str and isinstance(value, str):
        return replace_surrogates(value)
    elif type(value) is kind:
        return value
    raise RequestError(400, f"{name}: must be {_NAMES[kind]}")


def make_schema(hint: Any, components: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a type, in the dialect of OpenAPI 3.1.

    Args:
        hint: the annotation of a field, or a dataclass.
        components: receives the schemas of all dataclasses by name.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if hint is types.NoneType:
        return {"type": "null"}
    if hint in _TYPES:
        return {"type": _TYPES[hint]}
    if origin is typing.Annotated:
        schema = make_schema(arguments[0], components)
        for note in arguments[1:]:
            schema |= _write_bounds(note) if isinstance(note, Range) else {}
        return schema
    if origin in _UNIONS:
        return {"anyOf": [make_schema(argument, components) for argument in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in _LISTS:
        return {"type": "array", "items": make_schema(arguments[0], components)}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": make_schema(arguments[1], components)}
    assert dataclasses.is_dataclass(hint)
    assert isinstance(hint, type)
    if hint.__name__ not in components:
        components[hint.__name__] = {}  # a record may contain itself
        components[hint.__name__] = _make_record_schema(hint, components)
    return {"$ref": f"#/components/schemas/{hint.__name__}"}


def _make_record_schema(kind: type, components: dict[str, Any]) -> dict[str, Any]:
    hints, docs = _get_hints(kind), get_docs(kind)
    properties, required = {}, []
    for field in sorted(dataclasses.fields(kind), key=is_optional):
        schema = make_schema(hints[field.name], components)
        if field.name in docs:
            schema = {**schema, "description": docs[field.name].replace("`", "")}
        properties[field.name] = schema
        if not is_optional(field):
            required.append(field.name)
    summary = (kind.__doc__ or "").partition("\n")[0]
    return {"type": "object", "description": summary, "properties": properties, "required": required}


def _write_bounds(bounds: Range) -> dict[str, float]:
    names = {
        "minimum": bounds.least,
        "maximum": bounds.most,
        "exclusiveMinimum": bounds.above,
        "exclusiveMaximum": bounds.below,
    }
    return {name: value for name, value in names.items() if value is not None}


def write_record(record: Any) -> dict[str, Any]:
    """Return a record as plain values. Fields that are None are left out."""
    return {
        field.name: _write(value)
        for field in dataclasses.fields(record)
        if (value := getattr(record, field.name)) is not None
    }


def _write(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return write_record(value)
    if isinstance(value, list | tuple):
        return [_write(item) for item in value]
    if isinstance(value, dict):
        return {name: _write(item) for name, item in value.items()}
    return value


def get_docs(kind: type) -> dict[str, str]:
    """Return the docstring of each field of a dataclass, also of the fields that it inherits."""
    bases = [base for base in reversed(kind.__mro__) if dataclasses.is_dataclass(base)]
    return {name: text for base in bases for name, text in docs_of(base).items()}


def is_optional(field: "dataclasses.Field[Any]") -> bool:
    """Return whether a field has a default."""
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


@functools.cache
def _get_hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)
