"""JSON files. A .jsonl file has an object or a list on each line. A .json file is one list of objects or lists."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

from nmt.data.formats.selection import Selection, Sides, select_sides
from nmt.data.text_files import MAX_ROW_CHARACTERS, File, explain_errors, open_binary, scan_lines
from nmt.errors import DataError

_BLOCK = 1 << 16  # the number of characters that are read at once
# The characters of a literal such as \ud83d\ude00. The parser fails if only a part of a literal has been read.
_MAX_LITERAL_LENGTH = 12
_SPACE = re.compile(r"[ \t\r\n]*")
_MARK = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)  # quotes, brackets and escaped characters determine where an item ends


def read_jsonl(path: File, selection: Selection) -> Iterator[Sides | None]:
    """Read a file with a JSON object or list on each line. A blank line is an empty pair.

    Raises:
        DataError: a line is not JSON, a value is not text, or an object lacks one of the keys before any pair has had
            text. Afterwards, a missing key is an empty side.
    """
    complete = True
    for number, line in enumerate(scan_lines(path, MAX_ROW_CHARACTERS), start=1):
        if line is None:
            yield None
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not valid JSON ({error}); a line must hold one object") from error
        sides = select_sides(row, selection, where, complete=complete)
        complete &= not (sides and any(sides))
        yield sides


def name_keys(path: File) -> list[str]:
    """Return the keys of the first object of a .jsonl file, or the keys of its key `translation`."""
    line = next(filter(None, scan_lines(path, MAX_ROW_CHARACTERS)), "")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return []  # the reader of the file reports this
    inner = row.get("translation") if isinstance(row, dict) else None
    return list(inner if isinstance(inner, dict) else row) if isinstance(row, dict) else []


def read_json(path: File, selection: Selection) -> Iterator[Sides | None]:
    """Read a file with a JSON list of objects or lists. A file that begins with an object is read as .jsonl.

    Raises:
        DataError: the file is not JSON, a value is not text, or an object lacks one of the keys before any pair has had
            text. Afterwards, a missing key is an empty side.
    """
    complete = True
    with explain_errors(path), open_binary(path) as stream:
        items = _Items(io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace"))
        if not items.startswith("["):
            yield from read_jsonl(path, selection)
            return
        for number, row in enumerate(items.read(path), start=1):
            if row is _OVERSIZED:
                yield None
                continue
            sides = select_sides(row, selection, f"{path}, item {number}", complete=complete)
            complete &= not (sides and any(sides))
            yield sides


_OVERSIZED: Any = object()


class _Items:
    """A reader of the items of a JSON list. It holds little more than one item in memory."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text, self._decoder = text, json.JSONDecoder()
        self._buffer, self._index, self._ended = "", 0, False

    def startswith(self, mark: str) -> bool:
        """Skip spaces, and return whether `mark` follows."""
        self._index = _SPACE.match(self._buffer, self._index).end()  # type: ignore[union-attr]
        while self._index == len(self._buffer) and not self._ended:
            self._fill()
            self._index = _SPACE.match(self._buffer, self._index).end()  # type: ignore[union-attr]
        return self._buffer.startswith(mark, self._index)

    def _fill(self) -> None:
        more = self._text.read(_BLOCK)
        self._buffer, self._index, self._ended = self._buffer[self._index :] + more, 0, not more

    def read(self, path: File) -> Iterator[Any]:
        """Yield the items of the list. An item of more than MAX_ROW_CHARACTERS becomes _OVERSIZED.

        Raises:
            DataError: the file `path` is not valid JSON.
        """
        opening, number = "[", 0
        while not (number and self.startswith("]")):
            number += 1
            if not self.startswith(opening):
                raise DataError(f"{path}, item {number}: not valid JSON (no {opening} before it); correct it")
            self._index += 1
            if number == 1 and self.startswith("]"):
                return
            opening = ","
            self.startswith("")
            try:
                item = self._decode()
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, item {number}: not valid JSON ({error}); correct it") from error
            yield item

    def _decode(self) -> Any:
        """Parse one item. Raises ValueError or RecursionError: the item is not valid JSON."""
        while True:
            try:
                row, end = self._decoder.raw_decode(self._buffer, self._index)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self._buffer) - _MAX_LITERAL_LENGTH
                if self._ended or not cut:
                    raise
            else:
                if self._ended or end < len(self._buffer):
                    oversized = end - self._index > MAX_ROW_CHARACTERS
                    self._index = end
                    return _OVERSIZED if oversized else row
            if len(self._buffer) - self._index > MAX_ROW_CHARACTERS:
                self._skip()
                return _OVERSIZED
            self._fill()

    def _skip(self) -> None:
        """Skip an object, list or string without holding it in memory. Raises ValueError: the file ends within it."""
        depth, quoted, escaped = 0, False, False
        while not self._ended:
            mark = ""
            for match in _MARK.finditer(self._buffer, self._index + escaped):
                mark = match[0]
                quoted ^= mark == '"'
                depth += (mark in "[{") - (mark in "]}") if not quoted else 0
                if not quoted and not depth and mark in '"]}':
                    self._index = match.end()
                    return
            escaped = mark == "\\"
            self._index = len(self._buffer)
            self._fill()
        raise ValueError("the file ends within it")
