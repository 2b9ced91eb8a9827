"""Strings of programs: messages with placeholders, tags and line breaks."""

import re
from collections.abc import Callable, Iterator, Sequence

from nmt.translation.documents.document import make_plain, show_plain
from nmt.translation.markup import Markup
from nmt.translation.tagged import TaggedText
from nmt.translation.things import take_out

_PLACEHOLDER = re.compile(
    r"%(?:\d+\$|\(\w+\))?[-+#0']*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh?|ll?|[Lzjtq])?(?:[diufxs@%]|[oXeEgGaAcpSn](?!\w))"
    r"|%\{\w+\}|\{\{.*?\}\}|\$?\{[^{}]*\}|\$t\([^)]*\)|&#?\w+;"
)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_BREAK = re.compile(r"(\r\n|\n|\r)")
_CHOICE = re.compile(r"\{\s*\w+\s*,\s*(?:plural|select|selectordinal)\s*,")  # of ICU: code rather than text


class StringValue:
    """A string. `texts` are to be translated, and `show` returns the string with translations.

    Tags of HTML are carried over if they are in order. Otherwise, they are copied, as placeholders are.
    """

    def __init__(self, value: str) -> None:
        self.texts: list[TaggedText] = []
        self._parts: list[str | int | Markup] = []  # what is kept, the numbers of texts, and lines with tags
        if _CHOICE.search(value):
            self._parts.append(value)
            return
        for line in _BREAK.split(value):
            text = line.strip()
            start = line.index(text)
            markup = _read_markup(text)
            if markup:
                self.texts += [take_out(text, _find_placeholders) for text in markup.texts]
            elif any(map(str.isalpha, text)):
                self.texts.append(take_out(make_plain(text), _find_placeholders))
            else:
                self._parts.append(line)
                continue
            self._parts += [line[:start], markup or len(self.texts) - 1, line[start + len(text) :]]

    def show(self, translations: Sequence[TaggedText]) -> str:
        """Return the string with translations, which belong to `texts`. Call this once."""
        left, shown = iter(translations), list[str]()
        for part in self._parts:
            if isinstance(part, Markup):
                shown.append(part.write([next(left) for _ in part.texts]))
            else:
                shown.append(part if isinstance(part, str) else show_plain(next(left)))
        return "".join(shown)


def _read_markup(text: str) -> Markup | None:
    """Read a text with tags. Return None if it has none, or if its tags are not in order."""
    if not _TAG.search(text):
        return None
    trial = Markup(text, "html")
    return Markup(text, "html") if trial.texts and trial.write(trial.texts) == text else None


def _find_placeholders(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start, the end and the kind of each placeholder in a text. What touches one belongs to it."""
    spans = [match.span() for match in _TAG.finditer(text)]
    for match in _PLACEHOLDER.finditer(text):
        start, end = match.span()
        while start and text[start - 1].isalnum():
            start -= 1
        while end < len(text) and text[end].isalnum():
            end += 1
        spans.append((start, end))
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            first, last = joined.pop()
            joined.append((first, max(end, last)))
        else:
            joined.append((start, end))
    for start, end in joined:
        yield start, end, "placeholder"


class StringSlot:
    """A string somewhere in a document."""

    def __init__(self, value: str, store: Callable[[str], None]) -> None:
        """Read a string.

        Args:
            value: the string.
            store: a function that puts the translated string into the document.
        """
        self._value, self._store = StringValue(value), store
        self.texts = self._value.texts

    def write(self, translations: Sequence[TaggedText]) -> None:
        self._store(self._value.show(translations))
