"""Shards of Parquet files. The package pyarrow, with which `datasets` comes, reads and writes them."""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from nmt.corpus.items import Columns, Item
from nmt.data.text_files import explain_errors
from nmt.errors import DataError
from nmt.tokenizers.base import replace_surrogates

ROWS = 1 << 16
"""The number of rows that are in memory at a time."""


class Table:
    """Reads the rows of a Parquet file, and writes them with a column more.

    A row group of the input becomes a row group of the output, or several of at most ROWS rows, so that large row
    groups are never in memory as a whole.
    """

    def __init__(self, path: str, source: BinaryIO, target: BinaryIO, columns: Columns) -> None:
        """Open a file.

        Args:
            path: its name in error messages.
            source: its bytes.
            target: where the output is written.
            columns: the columns that are read and written.

        Raises:
            DataError: the file cannot be read, or a column is missing or not text.
        """
        import pyarrow
        import pyarrow.parquet

        self._arrow: Any = pyarrow
        self._path, self._columns = path, columns
        with explain_errors(path):
            self._file: Any = pyarrow.parquet.ParquetFile(source)
            schema = self._file.schema_arrow
            for name in filter(None, (columns.source, columns.target)):
                if name not in schema.names:
                    known = ", ".join(map(repr, schema.names))
                    raise DataError(f"{path}: has no column {name!r}, only {known}; name one with --column")
                kind = schema.field(name).type
                if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
                    raise DataError(f"{path}: column {name!r} is {kind}, not text; name another one with --column")
        added = pyarrow.field(columns.result, pyarrow.string())
        self._place = schema.names.index(columns.result) if columns.result in schema.names else None
        whole = schema.append(added) if self._place is None else schema.set(self._place, added)
        self._writer: Any = pyarrow.parquet.ParquetWriter(target, whole, compression="zstd")
        self._rows: Any = None
        self.rows = self._file.metadata.num_rows

    def batches(self) -> Iterator[list[Item]]:
        """Yield the items of at most ROWS rows of a row group. A row in which a value is null has no result."""
        for rows in self._read():
            self._rows = rows
            sources = self._rows.column(self._columns.source).to_pylist()
            name = self._columns.target
            targets = self._rows.column(name).to_pylist() if name else [""] * len(sources)
            yield [_build_item(source, target) for source, target in zip(sources, targets, strict=True)]

    def _read(self) -> Iterator[Any]:
        for number in range(self._file.num_row_groups):
            batches = self._file.iter_batches(ROWS, row_groups=[number])
            while True:
                with explain_errors(self._path):
                    batch = next(batches, None)
                if batch is None:
                    break
                yield self._arrow.Table.from_batches([batch])

    def write(self, items: list[Item], results: list[str]) -> None:
        """Write the rows that `batches` yielded last, with the result of each row, as a row group."""
        values = [
            None if item.text is None and not item.fault else result
            for item, result in zip(items, results, strict=True)
        ]
        column = self._arrow.array(values, self._arrow.string())
        if self._place is None:
            table = self._rows.append_column(self._columns.result, column)
        else:
            table = self._rows.set_column(self._place, self._columns.result, column)
        self._writer.write_table(table, row_group_size=max(1, len(items)))

    def close(self) -> None:
        """Write the end of the file."""
        self._writer.close()


def join_tables(sources: Iterator[Callable[[], BinaryIO]], target: BinaryIO) -> None:
    """Write the row groups of several Parquet files with the same columns to one file.

    Raises:
        pyarrow.ArrowInvalid: the columns differ.
    """
    import pyarrow.parquet

    writer: Any = None
    for open_source in sources:
        with open_source() as stream:
            file: Any = pyarrow.parquet.ParquetFile(stream)
            writer = writer or pyarrow.parquet.ParquetWriter(target, file.schema_arrow, compression="zstd")
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                writer.write_table(group, row_group_size=max(1, group.num_rows))
    if writer:
        writer.close()


def _build_item(source: str | None, target: str | None) -> Item:
    if source is None or target is None:
        return Item(text=None)
    return Item(replace_surrogates(source), replace_surrogates(target))
