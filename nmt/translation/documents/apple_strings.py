"""Strings of programs for macOS and iOS (.strings)."""

import re
from collections.abc import Sequence

from nmt.errors import DataError
from nmt.translation.documents.document import Context, Document
from nmt.translation.documents.encoding import decode
from nmt.translation.documents.string_value import StringValue
from nmt.translation.tagged import TaggedText

_ENTRY = re.compile(
    r'/\*.*?\*/|//[^\n]*|(?:"(?:[^"\\]|\\.)*"|[\w.$/:-]+)\s*=\s*"(?P<value>(?:[^"\\]|\\.)*)"\s*;|(?P<fault>\S)',
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:[Uu]([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CHARACTERS = {"n": "\n", "t": "\t", "r": "\r"}


def read_strings(data: bytes, context: Context) -> Document:
    """Read strings.

    Raises:
        DataError: the file is damaged.
    """
    return _Strings(data, context)


class _Strings(Document):
    def __init__(self, data: bytes, context: Context) -> None:
        self._text, self._form = decode(data, context.name)
        self._values: list[tuple[int, int, StringValue]] = []
        for match in _ENTRY.finditer(self._text):
            if match["fault"]:
                line = self._text.count("\n", 0, match.start()) + 1
                raise DataError(f'{context.name}:{line}: is not "key" = "value";, nor a comment; repair the file')
            if match["value"]:
                self._values.append((match.start("value"), match.end("value"), StringValue(_unescape(match["value"]))))
        self.texts = [text for _, _, value in self._values for text in value.texts]

    def write(self, translations: Sequence[TaggedText]) -> bytes:
        parts, done, place = list[str](), 0, 0
        for start, end, value in self._values:
            if value.texts:
                shown = value.show(translations[place : place + len(value.texts)])
                parts += [self._text[done:start], _escape(shown)]
                place, done = place + len(value.texts), end
        return self._form.encode("".join(parts) + self._text[done:])


def _unescape(text: str) -> str:
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _CHARACTERS.get(match[2], match[2]), text)
    # Two escapes can be the surrogates of one character.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _escape(text: str) -> str:
    for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(character, escape)
    return text
