"""JSON (.json): the strings that are values. Keys, formatting and all other values stay as they are."""

import fnmatch
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nmt.errors import DataError
from nmt.translation.documents.document import Context, Document
from nmt.translation.documents.encoding import decode
from nmt.translation.documents.string_value import StringValue
from nmt.translation.tagged import TaggedText

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]|[^\s{}\[\],":]+', re.DOTALL)


def read_json(data: bytes, context: Context) -> Document:
    """Read JSON.

    Raises:
        DataError: the file is damaged.
    """
    return _Json(data, context)


@dataclass(frozen=True, kw_only=True)
class _Value:
    start: int
    end: int
    content: StringValue
    value: str


class _Json(Document):
    def __init__(self, data: bytes, context: Context) -> None:
        self._text, self._form = decode(data, context.name)
        try:
            json.loads(self._text)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise DataError(f"{context.name}: not valid JSON ({reason}); repair the file") from error
        self._ascii = self._text.isascii() and "\\u" in self._text
        self._values = [
            _Value(start=start, end=end, content=StringValue(value), value=value)
            for start, end, value, path in _find_values(self._text)
            if _is_chosen(path, context.keys)
        ]
        self.texts = [text for value in self._values for text in value.content.texts]

    def write(self, translations: Sequence[TaggedText]) -> bytes:
        parts, done, place = list[str](), 0, 0
        for value in self._values:
            texts = value.content.texts
            shown = value.content.show(translations[place : place + len(texts)]) if texts else value.value
            place += len(texts)
            if shown != value.value:
                parts += [self._text[done : value.start], json.dumps(shown, ensure_ascii=self._ascii)]
                done = value.end
        return self._form.encode("".join(parts) + self._text[done:])


def _find_values(text: str) -> Iterator[tuple[int, int, str, list[str]]]:
    """Yield the start, the end, the value and the keys of each string that is a value in valid JSON."""
    path: list[str] = []
    open_: list[bool] = []  # whether each open container is an object
    is_key = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "{[":
            open_.append(token == "{")
            path.append("" if token == "{" else "0")
            is_key = open_[-1]
        elif token in "}]":
            open_.pop()
            path.pop()
            is_key = False
        elif token == ",":
            is_key = open_[-1]
            if not is_key:
                path[-1] = str(int(path[-1]) + 1)
        elif is_key:
            path[-1] = json.loads(token)
            is_key = False
        elif token.startswith('"'):
            yield match.start(), match.end(), json.loads(token), list(path)


def _is_chosen(path: Sequence[str], keys: Sequence[str]) -> bool:
    """Return whether a value is translated: its key, or the last key above it, or its path is one of `keys`."""
    if not keys:
        return True
    named = [part for part in path if not part.isdecimal()]
    for key in keys:
        parts = key.split(".")
        if len(parts) == 1 and named and fnmatch.fnmatchcase(named[-1], key):
            return True
        if len(parts) == len(path) and all(map(fnmatch.fnmatchcase, path, parts)):
            return True
    return False
