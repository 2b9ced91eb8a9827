"""The choice of the two sides of a pair among the columns, keys or languages of a file."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.data.text_files import MAX_SIDE
from nmt.errors import DataError
from nmt.tokenizers.base import replace_surrogates

_SUBTAGS = re.compile(r"(-([a-z]{2}|[a-z]{4}|[0-9]{3}))+")  # regions and scripts, as in de-AT, zh-Hans, es-419
_ROLE_NAMES = {"source": ("source", "src"), "target": ("target", "tgt", "trg")}

Sides = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the pairs of a corpus, as readers look for it in a file."""

    role: str
    """`source` or `target`."""
    language: str
    column: str | int | None = None
    """The name of the column or key, the number of the column from 1, or None to look for the language."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Both sides of the pairs of a corpus, as readers look for them in a file."""

    source: Side
    target: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.source, self.target


def rank_variant(tag: str, language: str) -> int:
    """Return how well a language tag fits a language: 3 if equal, 2 for de-AT and de, 1 for de and de-AT, else 0."""
    tag, language = (name.strip().lower().replace("_", "-") for name in (tag, language))
    if tag == language:
        return 3
    if tag.startswith(language) and _SUBTAGS.fullmatch(tag, len(language)):
        return 2
    return int(bool(tag) and language.startswith(tag) and bool(_SUBTAGS.fullmatch(language, len(tag))))


def find_name(names: Collection[str], side: Side) -> str | None:
    """Find the column or key of a side by its name, its language, a variant of its language, or its role."""
    if isinstance(side.column, str):
        return side.column if side.column in names else None
    if side.language in names:
        return side.language
    best = max(names, key=lambda name: rank_variant(name, side.language), default="")
    if rank_variant(best, side.language):
        return best
    return next((name for name in names if name.strip().lower() in _ROLE_NAMES[side.role]), None)


def select_sides(row: Any, selection: Selection, where: str) -> Sides | None:
    """Return both sides of a row that was read from JSON or a table, or None if a side is too long.

    Args:
        row: a mapping of columns, or a list. A column `translation` may contain a mapping with the columns instead.
            None, and None in place of a text, means an empty side.
        selection: the columns to take. Of a list, these are the first two by default.
        where: the name of the row in error messages.

    Raises:
        DataError: the row has another form, or a column is missing or does not contain text.
    """
    if row is None:
        return "", ""
    if isinstance(row, list):
        source, target = (
            _select_item(row, number, side, where) for number, side in enumerate(selection.sides, start=1)
        )
    elif isinstance(row, Mapping):
        source, target = (_select_value(row, side, where) for side in selection.sides)
    else:
        raise DataError(f"{where}: must hold an object, not {_shorten(row)}; correct or remove it")
    return limit_sides(source, target)


def limit_sides(source: str, target: str) -> Sides | None:
    """Return both sides with spaces instead of line breaks, or None if a side has more than MAX_SIDE characters."""
    if max(len(source), len(target)) > MAX_SIDE:
        return None
    return _join_lines(source), _join_lines(target)


def _join_lines(text: str) -> str:
    return text.replace("\r\n", " ").replace("\n", " ") if "\n" in text else text


def _select_item(row: Sequence[Any], number: int, side: Side, where: str) -> str:
    if isinstance(side.column, str):
        raise DataError(f"{where}: is a list, which has no {side.column!r}; give {side.role}_column as a number")
    number = side.column or number
    if number > len(row):
        raise DataError(f"{where}: has {len(row)} items, not {number} or more; set {side.role}_column")
    return _check_text(row[number - 1], number, where)


def _select_value(row: Mapping[str, Any], side: Side, where: str) -> str:
    if isinstance(side.column, int):
        raise DataError(f"{where}: is an object, whose keys have no number; give {side.role}_column as a name")
    inner = row.get("translation")
    name = find_name(row, side)
    if name is not None:
        return _check_text(row[name], name, where)
    if isinstance(inner, Mapping) and (name := find_name(inner, side)) is not None:
        return _check_text(inner[name], name, where)
    if inner is None and "translation" in row:
        return ""
    raise missing_column(side, inner if isinstance(inner, Mapping) else row, where)


def missing_column(side: Side, present: Iterable[str], where: str) -> DataError:
    """Return the error for a column that is not there."""
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
