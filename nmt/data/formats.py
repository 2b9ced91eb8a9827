"""Readers of the file formats of corpora. To add a format, write a reader here and list it in FORMATS."""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nmt.data.text_files import COMPRESSIONS, File, read_lines
from nmt.errors import DataError
from nmt.tokenizers.base import replace_surrogates

_LINE_BREAK = re.compile(r"\r?\n")

Sides = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of the two sides, for formats with named columns or keys."""

    source: str
    target: str


def read_aligned(source: File, target: File) -> Iterator[Sides]:
    """Read two files, where line N of one file is the translation of line N of the other file.

    Raises:
        DataError: one file has more lines than the other.
    """
    sources, targets = read_lines(source), read_lines(target)
    for number, (left, right) in enumerate(itertools.zip_longest(sources, targets)):
        if left is None or right is None:
            longer = number + 1 + sum(1 for _ in (targets if left is None else sources))
            counts = (number, longer) if left is None else (longer, number)
            raise DataError(
                f"{source} has {counts[0]} lines but {target} has {counts[1]}; "
                "line N of one must be the translation of line N of the other; correct the files"
            )
        yield left, right


def read_tsv(path: File, columns: Columns) -> Iterator[Sides]:  # noqa: ARG001 - the order says which side is which
    """Read lines of the form source, tab, target. Further columns are ignored. Raises DataError: a line has no tab."""
    for number, line in enumerate(read_lines(path), start=1):
        values = line.split("\t")
        if len(values) < 2:
            raise DataError(f"{path}:{number}: has no tab; a line must hold source, tab, target; correct or remove it")
        yield values[0], values[1]


def read_jsonl(path: File, columns: Columns) -> Iterator[Sides]:
    """Read a file with a JSON object on each line.

    Raises:
        DataError: a line is not a JSON object, or one of the columns is missing or not text.
    """
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not valid JSON ({error}); a line must hold one object") from error
        if not isinstance(row, dict):
            raise DataError(f"{where}: must hold an object, not {json.dumps(row)[:40]}")
        yield select_sides(row, columns, where)


FORMATS: dict[str, Callable[[File, Columns], Iterator[Sides]]] = {".tsv": read_tsv, ".jsonl": read_jsonl}
"""The readers of files that contain both sides, by file name extension, without that of a compression."""


def find_format(path: File) -> Callable[[File, Columns], Iterator[Sides]] | None:
    """Return the reader for the extension of a file name, or None if FORMATS has no such extension."""
    endings = [(ending, compression) for ending in FORMATS for compression in COMPRESSIONS]
    return next((FORMATS[ending] for ending, compression in endings if str(path).endswith(ending + compression)), None)


def select_sides(row: Mapping[str, Any], columns: Columns, where: str) -> Sides:
    """Return both sides of a row.

    Args:
        row: the columns of the row. A single column `translation` may contain an object with the columns instead.
        columns: the names of the two columns.
        where: the name of the row in error messages.

    Raises:
        DataError: a column is missing or does not contain text.
    """
    return _select_text(row, columns.source, where), _select_text(row, columns.target, where)


def _select_text(row: Mapping[str, Any], column: str, where: str) -> str:
    inner = row.get("translation")
    holder = inner if column not in row and isinstance(inner, Mapping) else row
    if column not in holder:
        raise DataError(
            f"{where}: has no {column!r}, only {', '.join(map(repr, holder)) or 'nothing'}; "
            "set source_column and target_column of the corpus, or the languages"
        )
    value = holder[column]
    if value is None:  # a gap in the table; cleaning leaves the pair out because a side is empty
        return ""
    if not isinstance(value, str):
        raise DataError(f"{where}: {column!r} must be text, not {json.dumps(value, default=str)[:40]}; correct it")
    return _LINE_BREAK.sub(" ", replace_surrogates(value))
