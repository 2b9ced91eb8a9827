"""Declarations of fields: type, default, range, conditions and docstring."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from nmt.config.fields import (
    Field,
    OneOf,
    OnlyWith,
    Range,
    TrainingOnly,
    docs_of,
    fields_of,
    format_value,
    range_faults,
    read_hint,
)


@dataclass(frozen=True, kw_only=True)
class Example:
    """Not a field."""

    size: Annotated[int, Range(1), OnlyWith("model.kind", "a", "b", why="c has none")] = 4
    """The size,
    on two lines."""
    kind: Literal["a", "b", "c"] = "a"
    share: Annotated[float | None, Range(0, 0.5), TrainingOnly()] = None
    """The share."""


def test_a_field_is_read_from_its_declaration() -> None:
    condition = OnlyWith("model.kind", "a", "b", why="c has none")
    size, kind, share = fields_of(Example).values()
    plain: dict[str, Any] = {"optional": False, "range": None, "only_with": (), "training_only": False}
    assert size == Field(
        **{**plain, "name": "size", "type": int, "default": 4, "range": Range(1), "only_with": (condition,)}
    )
    assert kind == Field(**{**plain, "name": "kind", "type": Literal["a", "b", "c"], "default": "a"})
    assert (share.name, share.type, share.optional, share.default) == ("share", float, True, None)
    assert (share.range, share.only_with, share.training_only) == (Range(0, 0.5), (), True)
    assert (condition.key, condition.values) == ("model.kind", ("a", "b"))


def test_names_of_another_room_are_a_literal() -> None:
    field = read_hint(Annotated[str, OneOf(("a", "b")), Range(1)])
    assert (field.type, field.range) == (Literal["a", "b"], Range(1))


def test_docstrings_are_those_below_a_field() -> None:
    assert docs_of(Example) == {"size": "The size, on two lines.", "share": "The share."}


@pytest.mark.parametrize(
    "hint",
    [Annotated[int | None, Range(1)], Annotated[int, Range(1)] | None, Annotated[Annotated[int, Range(1)] | None, 3]],
)
def test_none_and_annotations_are_nested_in_any_order(hint: object) -> None:
    field = read_hint(hint)
    assert (field.type, field.optional, field.range) == (int, True, Range(1))


@pytest.mark.parametrize(
    ("allowed", "text", "inside", "outside"),
    [
        (Range(1), "at least 1", [1, 10**9], [0, 0.999]),
        (Range(0, 0.95), "from 0 to 0.95", [0, 0.5, 0.95], [-1e-9, 0.951]),
        (Range(most=3), "at most 3", [-5, 3], [3.001]),
        (Range(above=0), "above 0", [1e-9, 7], [0, -1]),
        (Range(0, below=1), "at least 0 and below 1", [0, 0.99], [-0.1, 1]),
        (Range(above=0, most=1), "above 0 and at most 1", [0.1, 1], [0, 1.1]),
    ],
)
def test_a_range_contains_its_ends_or_not(allowed: Range, text: str, inside: list[float], outside: list[float]) -> None:
    assert str(allowed) == text
    assert all(number in allowed for number in inside)
    assert not any(number in allowed for number in [*outside, float("nan"), float("inf"), -float("inf")])


def test_all_values_out_of_range_are_reported() -> None:
    assert range_faults(Example()) == []
    assert range_faults(Example(size=0, share=0.6)) == [
        "size: must be at least 1, not 0",
        "share: must be from 0 to 0.5, not 0.6",
    ]


def test_conditions_in_messages() -> None:
    assert str(OnlyWith("a.b", "c")) == "a.b c"
    assert str(OnlyWith("a.b", "c", True, why="so")) == "a.b c or true (so)"
    assert str(OnlyWith("a.b", "c", "d", "e")) == "a.b c, d or e"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (0.5, "0.5"), ("no", "'no'"), ((0.9, 1), "[0.9, 1]"), ((), "[]")],
)
def test_values_are_written_as_yaml(value: object, text: str) -> None:
    assert format_value(value) == text
