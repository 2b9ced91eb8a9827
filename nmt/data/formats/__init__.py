"""The formats of corpora. Each file in this folder reads one kind of format. FORMATS lists the formats by file ending.

To add a format, write a file with a function `read(path, selection)` that yields pairs, and add the function to
FORMATS.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from nmt.data.formats.archives import read_archive
from nmt.data.formats.json_rows import name_keys, read_json, read_jsonl
from nmt.data.formats.parquet import read_parquet
from nmt.data.formats.selection import Selection, Sides
from nmt.data.formats.tables import name_csv_columns, name_tsv_columns, read_csv, read_tsv, read_txt
from nmt.data.formats.tmx import read_tmx
from nmt.data.formats.xliff import read_xliff
from nmt.data.text_files import COMPRESSIONS, File, inner_name

Reader = Callable[[File, Selection], Iterator[Sides | None]]
"""A function that yields the pairs of a file in order. It yields None for a pair that has too long a side."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of files that contain both sides."""

    read: Reader
    has_columns: bool = False
    """Whether files of this format have columns or keys that `source_column` and `target_column` can choose."""
    may_be_prefix: bool = False
    """Whether a path with this ending may also be the common prefix of two aligned files."""
    names: Callable[[File], list[str]] | None = None
    """A function that returns the cells of the first row, or the keys of the first object, of a file."""


def find_format(path: File) -> Format | None:
    """Return the format of a file by its name in any case, or None if FORMATS has no such ending."""
    name = inner_name(path).lower()
    endings = [(ending, compression) for ending in FORMATS for compression in COMPRESSIONS]
    return next((FORMATS[ending] for ending, compression in endings if name.endswith(ending + compression)), None)


def find_reader(path: File) -> Reader | None:
    """Return the reader of a file by its name, or None if FORMATS has no such ending."""
    found = find_format(path)
    return found.read if found else None


FORMATS: Mapping[str, Format] = {
    ".tsv": Format(read=read_tsv, has_columns=True, names=name_tsv_columns),
    ".csv": Format(read=read_csv, has_columns=True, names=name_csv_columns),
    ".txt": Format(read=read_txt, has_columns=True, may_be_prefix=True),
    ".jsonl": Format(read=read_jsonl, has_columns=True, names=name_keys),
    ".json": Format(read=read_json, has_columns=True),
    ".parquet": Format(read=read_parquet, has_columns=True),
    ".tmx": Format(read=read_tmx),
    ".xlf": Format(read=read_xliff),
    ".xliff": Format(read=read_xliff),
    ".zip": Format(read=partial(read_archive, find_reader)),
}
"""The formats by file name ending. The ending of a compression may follow."""
