""".parquet files: tables in the format Apache Parquet. The package pyarrow reads them."""

import dataclasses
import itertools
from collections.abc import Iterator

from nmt.data.formats.selection import Selection, Sides, find_name, missing_column, select_sides
from nmt.data.text_files import File, explain_errors, open_binary

_BLOCK = 1000  # the number of rows that are read at once


def read_parquet(path: File, selection: Selection) -> Iterator[Sides | None]:
    """Read two columns of a .parquet file, or two keys of the column `translation`.

    Raises:
        DataError: the file cannot be read, or a column is missing or not text.
    """
    with explain_errors(path), open_binary(path) as stream:
        import pyarrow.parquet  # slow to import

        file = pyarrow.parquet.ParquetFile(stream)
        names = file.schema_arrow.names
        for side in selection.sides:
            if isinstance(side.column, int):
                if side.column > len(names):
                    raise missing_column(side, names, str(path))
                named = dataclasses.replace(side, column=names[side.column - 1])
                selection = dataclasses.replace(selection, **{side.role: named})
        found = [find_name(names, side) for side in selection.sides]
        for side, name in zip(selection.sides, found, strict=True):
            if name is None and "translation" not in names:
                raise missing_column(side, names, str(path))
        columns = [name for name in dict.fromkeys((*found, "translation")) if name in names]
        blocks = (batch.to_pylist() for batch in file.iter_batches(batch_size=_BLOCK, columns=columns))
        for number, row in enumerate(itertools.chain.from_iterable(blocks), start=1):
            yield select_sides(row, selection, f"{path}, row {number}")
