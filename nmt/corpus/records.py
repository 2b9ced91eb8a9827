"""The records of a shard: reading them from files, and writing results.

A record has a text for each column: one to translate, or a source and its translation. A record that cannot be read
has a fault instead. Results are written in the order of the records, one for each.
"""

import bz2
import contextlib
import gzip
import io
import itertools
import json
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from nmt.corpus.job import Job, Shard
from nmt.data.encodings import BYTE_ORDER_MARK, find_other_kind
from nmt.data.text_files import explain_errors, import_zstd, open_binary
from nmt.errors import DataError

BLOCK = 512
"""The number of records that are read together."""
MAX_LINE_BYTES = 1 << 20
"""The size of the longest line. Longer ones are faults."""

Result = str | float | None
"""What a task returns for a record, or None for a record with a fault."""


@dataclass(kw_only=True)
class Block:
    """Consecutive records."""

    first: int
    """The number of the first record in the shard, from 1."""
    texts: list[tuple[str, ...] | None] = field(default_factory=list)
    """The columns of each record, or None for a record with a fault."""
    faults: dict[int, str] = field(default_factory=dict)
    """The fault of each record with a fault, by its index in the block."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The objects of .jsonl."""
    table: Any = None
    """The rows of .parquet, as pyarrow has them."""

    def add(self, texts: tuple[str, ...] | str) -> None:
        """Add a record: its columns, or its fault."""
        if isinstance(texts, str):
            self.faults[len(self.texts)] = texts
            self.texts.append(None)
        else:
            self.texts.append(texts)


class Writer(Protocol):
    """Writes the results of blocks to a file."""

    def write(self, block: Block, results: Sequence[Result]) -> None: ...


def read_blocks(job: Job, shard: Shard) -> Iterator[Block]:
    """Read the records of a shard.

    Raises:
        DataError: the file is missing, cannot be read, is not text, or lacks a column.
    """
    with explain_errors(shard.file.name):
        if shard.file.kind == "parquet":
            yield from _read_parquet(job, shard)
            return
        read = _read_object if shard.file.kind == "jsonl" else _read_line
        lines = _split_range(shard)
        for first in itertools.count(1, BLOCK):
            block = Block(first=first)
            for line in itertools.islice(lines, BLOCK):
                if len(line) > MAX_LINE_BYTES:
                    block.rows.append({})
                    block.add(f"is longer than {MAX_LINE_BYTES:,} bytes")
                else:
                    read(block, line.decode("utf-8", errors="replace"), job)
            if not block.texts:
                return
            yield block


@contextlib.contextmanager
def open_writer(job: Job, shard: Shard, path: Path) -> Iterator[Writer]:
    """Open a file for the results of a shard, in the format of its input."""
    if shard.file.kind == "parquet":
        writer = _ParquetWriter(job.result, path, is_number=job.task == "score")
        try:
            yield writer
        finally:
            writer.close()
        return
    with _compress(path, shard.file.compression) as stream:
        yield _ObjectWriter(stream, job.result) if shard.file.kind == "jsonl" else _LineWriter(stream)


# ---- lines and .jsonl


def _split_range(shard: Shard) -> Iterator[bytes]:
    """Yield the lines that begin in the range of a shard. Too long lines are cut one byte after the limit."""
    with open_binary(shard.file.name) as raw, _buffer(raw) as stream:
        place, is_divisible = shard.start, shard.file.is_divisible
        if place:
            stream.seek(place - 1)
            place += _split_line(stream)[1] - 1  # the rest of the line before, which is a line feed or longer
        while place < shard.end or not is_divisible:
            line, size = _split_line(stream)
            if not size:
                return
            if place == 0:
                line = line.removeprefix(BYTE_ORDER_MARK)
                if kind := find_other_kind(line):
                    raise DataError(f"{shard.file.name}: {kind}")
            place += size
            yield line.removesuffix(b"\n").removesuffix(b"\r")


@contextlib.contextmanager
def _buffer(raw: BinaryIO) -> Iterator[BinaryIO]:
    """Add a buffer to a stream that has none, or, as those of fsspec, no limit of the length of lines."""
    if isinstance(raw, io.BufferedReader):
        yield raw
        return
    stream = io.BufferedReader(cast(Any, raw), 1 << 16)
    try:
        yield stream
    finally:
        stream.detach()  # `open_binary` closes the stream


def _split_line(stream: BinaryIO) -> tuple[bytes, int]:
    """Read a line. Return its beginning, and the number of bytes of the whole line, which may not fit into memory."""
    line = part = stream.readline(MAX_LINE_BYTES + 1)
    size = len(line)
    while len(part) > MAX_LINE_BYTES and not part.endswith(b"\n"):
        part = stream.readline(MAX_LINE_BYTES + 1)
        size += len(part)
    return line, size


def _read_line(block: Block, line: str, job: Job) -> None:
    texts = tuple(line.split("\t")) if job.task != "translate" else (line,)
    if job.task != "translate" and len(texts) != 2:
        block.add(f"has {len(texts) - 1} tabs, not one: source, tab, translation")
    else:
        block.add(texts)


def _read_object(block: Block, line: str, job: Job) -> None:
    row: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        row = json.loads(line)
    block.rows.append(row if isinstance(row, dict) else {})
    if not isinstance(row, dict):
        block.add("is not a JSON object")
    elif missing := next((column for column in job.columns if not isinstance(row.get(column), str)), None):
        block.add(f"has no text {missing!r}")
    else:
        block.add(tuple(row[column].encode("utf-8", errors="replace").decode() for column in job.columns))


@contextlib.contextmanager
def _compress(path: Path, compression: str) -> Iterator[BinaryIO]:
    """Open a file to write it with a compression. Equal content gives equal files."""
    with contextlib.ExitStack() as stack:
        stream: Any = stack.enter_context(open(path, "wb"))
        if compression == ".gz":
            stream = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0))
        elif compression == ".xz":
            stream = stack.enter_context(lzma.open(stream, "wb"))
        elif compression == ".bz2":
            stream = stack.enter_context(bz2.open(stream, "wb"))
        elif compression == ".zst":
            stream = stack.enter_context(import_zstd(path).open(stream, "wb"))
        yield stream


class _LineWriter:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, block: Block, results: Sequence[Result]) -> None:  # noqa: ARG002 - as in Writer
        lines = (f"{result:.4f}" if isinstance(result, float) else result or "" for result in results)
        self._stream.write("".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace"))


class _ObjectWriter:
    def __init__(self, stream: BinaryIO, column: str) -> None:
        self._stream, self._column = stream, column

    def write(self, block: Block, results: Sequence[Result]) -> None:
        rows = ({**row, self._column: result} for row, result in zip(block.rows, results, strict=True))
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self._stream.write("".join(lines).encode("utf-8", errors="replace"))


# ---- .parquet


def _read_parquet(job: Job, shard: Shard) -> Iterator[Block]:
    with open_binary(shard.file.name) as stream:
        import pyarrow.parquet  # slow to import

        file, first = pyarrow.parquet.ParquetFile(stream), 1
        names = file.schema_arrow.names
        if missing := next((column for column in job.columns if column not in names), None):
            raise DataError(f"{shard.file.name}: has no column {missing!r}, only {', '.join(names)}; give --column")
        if job.result in names:
            raise DataError(f"{shard.file.name}: has a column {job.result!r} already; give another --result")
        for table in file.iter_batches(batch_size=BLOCK):
            block = Block(first=first, table=table)
            for texts in zip(*(table.column(column).to_pylist() for column in job.columns), strict=True):
                missing = next((name for name, text in zip(job.columns, texts, strict=True) if text is None), None)
                block.add(f"has no {missing!r}" if missing else tuple(map(str, texts)))
            first += len(block.texts)
            yield block


class _ParquetWriter:
    def __init__(self, column: str, path: Path, *, is_number: bool) -> None:
        self._column, self._path, self._is_number = column, path, is_number
        self._writer: Any = None

    def write(self, block: Block, results: Sequence[Result]) -> None:
        import pyarrow.parquet

        kind = pyarrow.float64() if self._is_number else pyarrow.string()
        table = block.table.append_column(self._column, pyarrow.array(results, kind))
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema)
        self._writer.write_batch(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
