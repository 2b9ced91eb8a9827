"""Functions that choose the columns, keys or languages of a file that are the two sides of its pairs."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.data.text_files import MAX_SIDE_CHARACTERS
from nmt.errors import DataError
from nmt.tokenizers.base import replace_surrogates

_SUBTAGS = re.compile(r"(-([a-z]{2}|[a-z]{4}|[0-9]{3}))+")  # regions and scripts, as in de-AT, zh-Hans, es-419
_ROLE_NAMES = {"source": ("source", "src"), "target": ("target", "tgt", "trg")}

Sides = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class SideColumn:
    """A description of one side of a corpus, with which the reader of a format finds the side in a file."""

    role: str
    """`source` or `target`."""
    language: str
    column: str | int | None = None
    """The name of the column or key, or the number of the column, counted from 1. With None, the language decides."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A description of both sides of a corpus, with which the reader of a format finds the sides in a file."""

    source: SideColumn
    target: SideColumn

    @property
    def sides(self) -> tuple[SideColumn, SideColumn]:
        return self.source, self.target


def rank_variant(tag: str, language: str) -> int:
    """Return how well a language tag fits a language.

    The result is 3 if the two are equal, 2 if the tag is a variant of the language (de-AT for de), 1 if the language is
    a variant of the tag, and 0 otherwise.
    """
    tag, language = (name.strip().lower().replace("_", "-") for name in (tag, language))
    if tag == language:
        return 3
    if tag.startswith(language) and _SUBTAGS.fullmatch(tag, len(language)):
        return 2
    return int(bool(tag) and language.startswith(tag) and bool(_SUBTAGS.fullmatch(language, len(tag))))


def find_name(names: Collection[str], side: SideColumn) -> str | None:
    """Find the name of the column or key of a side.

    If the side names no column, the name is its language, a variant of its language, or its role.
    """
    if isinstance(side.column, str):
        return side.column if side.column in names else None
    if side.language in names:
        return side.language
    best = max(names, key=lambda name: rank_variant(name, side.language), default="")
    if rank_variant(best, side.language):
        return best
    return next((name for name in names if name.strip().lower() in _ROLE_NAMES[side.role]), None)


def select_sides(row: Any, selection: Selection, where: str, *, complete: bool = True) -> Sides | None:
    """Take both sides from a row of a JSON file or of a table. Return None if a side is too long.

    Args:
        row: a mapping of column names to values, a list, or None for an empty pair. If a value is None, the side is
            empty. The columns may also be the keys of a mapping in the column `translation`.
        selection: the columns to take. By default, these are the first two items of a list.
        where: the name of the row in error messages.
        complete: whether a mapping that has keys must have both columns. Otherwise, a missing column is an empty side.

    Raises:
        DataError: the row has none of these forms, or a column is missing or does not contain text.
    """
    if row is None or row == {}:
        return "", ""
    if isinstance(row, list):
        source, target = (
            _select_item(row, number, side, where) for number, side in enumerate(selection.sides, start=1)
        )
    elif isinstance(row, Mapping):
        source, target = (_select_value(row, side, where, complete=complete) for side in selection.sides)
    else:
        raise DataError(f"{where}: must hold an object, not {_shorten(row)}; correct or remove it")
    return limit_sides(source, target)


def limit_sides(source: str, target: str) -> Sides | None:
    """Replace line breaks by spaces on both sides. Return None if a side has more than MAX_SIDE_CHARACTERS."""
    if max(len(source), len(target)) > MAX_SIDE_CHARACTERS:
        return None
    return _join_lines(source), _join_lines(target)


def _join_lines(text: str) -> str:
    return text.replace("\r\n", " ").replace("\n", " ") if "\n" in text else text


def _select_item(row: Sequence[Any], number: int, side: SideColumn, where: str) -> str:
    if isinstance(side.column, str):
        raise DataError(f"{where}: is a list, which has no {side.column!r}; give {side.role}_column as a number")
    number = side.column or number
    if number > len(row):
        raise DataError(f"{where}: has {len(row)} items, not {number} or more; set {side.role}_column")
    return _check_text(row[number - 1], number, where)


def _select_value(row: Mapping[str, Any], side: SideColumn, where: str, *, complete: bool) -> str:
    if isinstance(side.column, int):
        raise DataError(f"{where}: is an object, whose keys have no number; give {side.role}_column as a name")
    inner = row.get("translation")
    name = find_name(row, side)
    if name is not None:
        return _check_text(row[name], name, where)
    if isinstance(inner, Mapping) and (name := find_name(inner, side)) is not None:
        return _check_text(inner[name], name, where)
    if not complete or ("translation" in row and inner in (None, {})):
        return ""
    raise missing_column(side, inner if isinstance(inner, Mapping) else row, where)


def missing_column(side: SideColumn, present: Iterable[str], where: str) -> DataError:
    """Return the error for a missing column."""
    return DataError(
        f"{where}: has no {side.column or side.language!r}, only {', '.join(map(repr, present)) or 'nothing'}; "
        "set source_column and target_column of the corpus, or the languages"
    )


def _check_text(value: Any, name: str | int, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{where}: {name!r} must be text, not {_shorten(value)}; correct it")
    return replace_surrogates(value)


def _shorten(value: Any) -> str:
    return json.dumps(value, default=str)[:40]
