"""Shards of text: plain lines, and lines of JSON objects."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from nmt.corpus.items import Columns, Item, failed_item
from nmt.corpus.job import Shard
from nmt.data.encodings import BYTE_ORDER_MARK, SAMPLE, find_other_kind
from nmt.errors import DataError
from nmt.tokenizers.base import replace_surrogates

MAX_LINE_BYTES = 1 << 20
"""The limit of a line. A longer line fails."""
BATCH = 256
"""The number of lines that are processed together."""

_SHOWN = 1000  # the number of characters of a line that is too long that are kept with its failure
_SKIP = 1 << 16


@dataclass(kw_only=True)
class LineReader:
    """Reads the lines of a shard, and counts what its marker records of the input.

    The lines of a shard are the lines whose first byte is in its range. Neighbors therefore need not know each other's
    lines: a shard skips the line that a neighbor has begun, and reads its own last line beyond its range.
    """

    shard: Shard
    digest: Any
    """The checksum of the lines."""
    size: int = 0
    """The number of bytes of the lines."""
    replaced: int = 0
    """The number of lines with bytes that are not UTF-8."""

    def read(self, stream: BinaryIO) -> Iterator[list[bytes | None]]:
        """Yield lines in lists of at most BATCH lines. A line of more than MAX_LINE_BYTES is cut, and None follows.

        Args:
            stream: the decompressed file, at the byte before the start of the shard.

        Raises:
            DataError: the file is not text in UTF-8 or an 8-bit encoding.
        """
        position = self.shard.start
        if position:
            position -= 1
            while part := stream.readline(_SKIP):
                position += len(part)
                if part.endswith(b"\n"):
                    break
        elif kind := find_other_kind(_peek(stream)):
            raise DataError(f"{self.shard.file.path}: {kind}")
        first, parts = not position, list[bytes]()
        lines = list[bytes | None]()
        while self.shard.stop is None or position < self.shard.stop:
            line = stream.readline(MAX_LINE_BYTES + 1)
            if not line:
                break
            position += len(line)
            parts.append(line)
            lines.append(line.removeprefix(BYTE_ORDER_MARK) if first else line)
            first = False
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                lines.append(None)
                while part := stream.readline(_SKIP):
                    position += len(part)
                    self._count([part])
                    if part.endswith(b"\n"):
                        break
            if len(lines) >= BATCH:
                self._count(parts)
                yield lines
                lines, parts = list[bytes | None](), list[bytes]()
        self._count(parts)
        if lines:
            yield lines

    def decode(self, line: bytes) -> str:
        """Decode a line without its line feed. Bytes that are not UTF-8 become U+FFFD."""
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.replaced += 1
            return line.decode(errors="replace")

    def _count(self, parts: Sequence[bytes]) -> None:
        content = b"".join(parts)
        self.size += len(content)
        self.digest.update(content)


def read_lines(shard: Shard, stream: BinaryIO, columns: Columns) -> tuple[LineReader, Iterator[list[Item]]]:
    """Read the lines of a shard of plain text. With two columns, a line has a tab between them."""
    return _read(shard, stream, lambda text: _split(text) if columns.target else Item(text=text))


def write_lines(stream: BinaryIO, items: Sequence[Item], results: Sequence[str], columns: Columns) -> None:  # noqa: ARG001
    """Write a line for each item."""
    stream.write("".join(f"{result}\n" for result in results).encode("utf-8", errors="replace"))


def read_objects(shard: Shard, stream: BinaryIO, columns: Columns) -> tuple[LineReader, Iterator[list[Item]]]:
    """Read the JSON objects of a shard, one on each line. A value that is null has no result."""

    def parse(text: str) -> Item:
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            return failed_item(text, f"not valid JSON ({error})")
        if not isinstance(row, dict):
            return failed_item(text, "not a JSON object")
        names = [columns.source, *filter(None, [columns.target])]
        for name in names:
            if name not in row:
                return failed_item(text, f"has no key {name!r}", row=row)
            if not isinstance(row[name], str | None):
                return failed_item(text, f"the value of {name!r} is not text", row=row)
        values = [row[name] for name in names]
        if None in values:
            return Item(text=None, row=row)
        return Item(*map(replace_surrogates, values), row=row)

    return _read(shard, stream, parse)


def write_objects(stream: BinaryIO, items: Sequence[Item], results: Sequence[str], columns: Columns) -> None:
    """Write each object with its result under the key `columns.result`. All other keys are kept."""
    rows = (
        (item.row or {}) | {columns.result: None if item.text is None and not item.fault else result}
        for item, result in zip(items, results, strict=True)
    )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    stream.write(text.encode("utf-8", errors="backslashreplace"))


def _read(shard: Shard, stream: BinaryIO, parse: Callable[[str], Item]) -> tuple[LineReader, Iterator[list[Item]]]:
    reader = LineReader(shard=shard, digest=hashlib.sha256())

    def batches() -> Iterator[list[Item]]:
        for lines in reader.read(stream):
            items: list[Item] = []
            for line, following in itertools.pairwise([*lines, b""]):
                if line is None:
                    continue
                if following is None:
                    start = line[: 4 * _SHOWN].decode(errors="replace")[:_SHOWN]
                    items.append(failed_item(start, f"has more than {MAX_LINE_BYTES:,} bytes"))
                else:
                    items.append(parse(reader.decode(line)))
            yield items

    return reader, batches()


def _split(text: str) -> Item:
    sides = text.split("\t")
    if len(sides) != 2:
        return failed_item(text, f"has {len(sides) - 1} tabs, not one between source and translation")
    return Item(*sides)


def _peek(stream: BinaryIO) -> bytes:
    """Return the first bytes of a stream without moving in it."""
    start = stream.read(SAMPLE)
    stream.seek(0)
    return start
