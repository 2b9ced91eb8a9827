"""Text tables: .tsv files, .csv files, and .txt files with tabs or with lines `source ||| target`.

The first row with text is a heading if it contains the names of both columns. These names are `source_column` and
`target_column`, or else the languages or the words source and target. The columns of a table without a heading have
numbers. By default, the source is column 1 and the target is column 2.
"""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence

from nmt.data.formats.selection import Selection, Sides, find_name, limit_sides, missing_column
from nmt.data.text_files import MAX_ROW_CHARACTERS, File, scan_lines
from nmt.errors import DataError

_BARS = re.compile(r"(?:^| )\|\|\|(?: |$)")
_NAME = re.compile(r"[A-Za-z][\w-]{0,19}")
_MAX_LINES_AHEAD = 1000  # of blank lines before the first line with text

Row = tuple[int, list[str] | None]  # the line number and the cells of a row; None if the row is too long


def read_tsv(path: File, selection: Selection) -> Iterator[Sides | None]:
    """Read cells separated by tabs. Quotes are part of the text. Raises DataError: a line has too few cells."""
    return _read_table(_read_tsv_rows(path), selection, path, "tab")


def _read_tsv_rows(path: File) -> Iterator[Row]:
    lines = enumerate(scan_lines(path, MAX_ROW_CHARACTERS), start=1)
    return ((number, None if line is None else line.split("\t")) for number, line in lines)


def name_tsv_columns(path: File) -> list[str]:
    """Return the cells of the first row with text. They are the names of the columns if the table has a heading."""
    return _find_first_row(_read_tsv_rows(path))


def name_csv_columns(path: File) -> list[str]:
    """Return the cells of the first row with text, as `name_tsv_columns` does."""
    return _find_first_row(_read_csv_rows(path))


def _find_first_row(rows: Iterator[Row]) -> list[str]:
    return next((row for _, row in itertools.islice(rows, _MAX_LINES_AHEAD) if row and "".join(row).strip()), [])


def read_txt(path: File, selection: Selection) -> Iterator[Sides | None]:
    """Read lines `source ||| target`, or cells separated by tabs if the first line with text has a tab.

    Raises:
        DataError: a line has too few cells.
    """
    first, lines = _read_ahead(scan_lines(path, MAX_ROW_CHARACTERS))
    tabs = "\t" in first
    rows: Iterator[Row] = (
        (number, None if line is None else line.split("\t") if tabs else _BARS.split(line))
        for number, line in enumerate(lines, start=1)
    )
    return _read_table(rows, selection, path, "tab" if tabs else "|||")


def read_csv(path: File, selection: Selection) -> Iterator[Sides | None]:
    """Read cells separated by commas, or by semicolons if the first line with text has a semicolon but no comma.

    Raises:
        DataError: the quotes of a cell are wrong, or a row has too few cells.
    """
    return _read_table(_read_csv_rows(path), selection, path, "comma")


def _read_csv_rows(path: File) -> Iterator[Row]:
    first, lines = _read_ahead(scan_lines(path, MAX_ROW_CHARACTERS))
    separator = ";" if "," not in first and ";" in first else ","
    oversized = False

    def keep_lines() -> Iterator[str]:
        nonlocal oversized
        for line in lines:
            oversized |= line is None
            yield "\n" if line is None else f"{line}\n"

    rows = csv.reader(keep_lines(), delimiter=separator, strict=True)
    while True:
        begin, oversized = rows.line_num + 1, False
        try:
            row = next(rows, None)
        except csv.Error as error:
            if rows.line_num > begin or "field limit" not in str(error):
                raise DataError(
                    f"{path}:{begin}: not valid CSV ({error}); write a quote within quotes twice, or use .tsv"
                ) from error
            row, oversized = [], True
        if row is None:
            return
        yield begin, None if oversized else row


def _read_ahead(lines: Iterator[str | None]) -> tuple[str, Iterator[str | None]]:
    """Return the first line with text, and an iterator over all lines."""
    ahead = []
    for line in itertools.islice(lines, _MAX_LINES_AHEAD):
        ahead.append(line)
        if line is None or line.strip():
            break
    return (ahead and ahead[-1]) or "", itertools.chain(ahead, lines)


def _read_table(rows: Iterator[Row], selection: Selection, path: File, separator: str) -> Iterator[Sides | None]:
    """Take two columns of a table. A row without text is an empty pair. A pair that is too long becomes None."""
    columns: Sequence[int] = ()
    for number, row in rows:
        if row is None:
            yield None
            continue
        if not columns and "".join(row).strip():
            columns, heading = _find_columns(row, selection, f"{path}:{number}")
            if heading:
                continue
        if columns and len(row) > max(columns):
            yield limit_sides(row[columns[0]], row[columns[1]])
        elif not "".join(row).strip():
            yield "", ""
        else:
            needs = f"has no {separator}" if len(row) == 1 else f"has {len(row)} columns, not {max(columns) + 1}"
            raise DataError(
                f"{path}:{number}: {needs}; a line must hold source, {separator}, target; correct or remove it"
            )


def _find_columns(first: Sequence[str], selection: Selection, where: str) -> tuple[tuple[int, int], bool]:
    """Find the indices of the source and target columns, and whether the first row with text is a heading.

    Raises:
        DataError: the first row lacks a column that `selection` names, or looks like a heading for other languages.
    """
    names = [cell.strip() for cell in first]
    found = [find_name(names, side) for side in selection.sides]
    named = any(isinstance(side.column, str) for side in selection.sides)
    expected = named or (any(found) and all(map(_NAME.fullmatch, names)))
    for side, name in zip(selection.sides, found, strict=True):
        if expected and name is None and not isinstance(side.column, int):
            raise missing_column(side, names, where)
    heading = named or (None not in found and found[0] != found[1])
    columns = [
        side.column - 1 if isinstance(side.column, int) else names.index(name) if heading and name else default
        for default, (side, name) in enumerate(zip(selection.sides, found, strict=True))
    ]
    for side, column, other in zip(selection.sides, columns, reversed(found), strict=True):
        if heading and isinstance(side.column, int) and other is not None and names.index(other) == column:
            raise DataError(
                f"{where}: column {side.column} is {other!r}, so it cannot be the {side.role} in {side.language!r}; "
                f"correct {side.role}_column or the languages"
            )
    return (columns[0], columns[1]), heading
