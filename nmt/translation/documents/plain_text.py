"""Plain text (.txt): paragraphs and lines.

A line is a paragraph, unless the text was wrapped: then no line has room for the first word of the next one. Such
lines are joined, and their translation is wrapped to the same width.
"""

import re
import textwrap
from collections.abc import Sequence

from nmt.translation.documents.document import Context, Document, make_plain, show_plain
from nmt.translation.documents.encoding import decode
from nmt.translation.tagged import TaggedText

_MIN_WIDTH = 50  # shorter lines are not wrapped text
_MAX_LINES = 500  # the limit of a paragraph
_MARKER = re.compile(r"(?:[-*+•–—>#|]|\(?(?:\d{1,3}|[a-zA-Z])[.)]|\[\w+\])\s")  # the start of an item or a heading


def read_text(data: bytes, context: Context) -> Document:
    """Read plain text."""
    return _PlainText(data, context)


class Paragraphs:
    """The paragraphs of a plain text. `texts` are to be translated, and `show` returns the text with translations."""

    def __init__(self, text: str) -> None:
        self.texts: list[TaggedText] = []
        self._parts: list[str | _Paragraph] = []
        lines = text.splitlines(keepends=True)
        start = 0
        while start < len(lines):
            end = start + 1
            if lines[start].strip():
                most = min(len(lines), start + _MAX_LINES)
                while end < most and lines[end].strip() and not _MARKER.match(lines[end].lstrip()):
                    end += 1
            block = lines[start:end] if is_wrapped(lines[start:end]) else lines[start : start + 1]
            paragraph = _Paragraph(block)
            self._parts.append(paragraph if paragraph.text else block[0])
            self.texts += [make_plain(paragraph.text)] if paragraph.text else []
            start += len(block)

    def show(self, translations: Sequence[TaggedText]) -> str:
        """Return the text with translations, which belong to `texts`."""
        left = iter(translations)
        return "".join(part if isinstance(part, str) else part.show(next(left)) for part in self._parts)


class _Paragraph:
    def __init__(self, lines: Sequence[str]) -> None:
        first = lines[0]
        marker = _MARKER.match(first.lstrip())
        indent = len(first) - len(first.lstrip())
        self._lead = first[: indent + (len(marker[0]) if marker else 0)]
        self._trail = lines[-1][len(lines[-1].rstrip()) :]
        text = " ".join(line.strip() for line in lines)[len(self._lead) - indent :].strip()
        self.text = text if any(map(str.isalpha, text)) else ""
        self._width = max(len(line.rstrip()) for line in lines) if len(lines) > 1 else 0
        self._break = lines[0][len(lines[0].rstrip("\r\n")) :]
        second = lines[-1]
        self._indent = second[: len(second) - len(second.lstrip())]

    def show(self, translation: TaggedText) -> str:
        text = show_plain(translation)
        if self._width:
            wrapped = textwrap.wrap(
                text,
                self._width,
                initial_indent=self._lead,
                subsequent_indent=self._indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
            return self._break.join(wrapped or [self._lead]) + self._trail
        return self._lead + text + self._trail


def is_wrapped(lines: Sequence[str]) -> bool:
    """Return whether lines are a wrapped paragraph: none has room for the first word of the next line."""
    width = max(len(line.rstrip()) for line in lines)
    if len(lines) < 2 or width < _MIN_WIDTH or not all(map(str.strip, lines)):
        return False
    words = [following.split()[0] for following in lines[1:]]
    return all(len(line.rstrip()) + 1 + len(word) > width for line, word in zip(lines, words, strict=False))


class _PlainText(Document):
    def __init__(self, data: bytes, context: Context) -> None:
        text, self._form = decode(data, context.name)
        self._paragraphs = Paragraphs(text)
        self.texts = self._paragraphs.texts

    def write(self, translations: Sequence[TaggedText]) -> bytes:
        return self._form.encode(self._paragraphs.show(translations))
