"""The inline content of Markdown: emphasis, links, code, images and escapes, as tags and objects."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.translation.documents.document import make_plain, show_plain
from nmt.translation.documents.passage import Divider, Passage, Role, count_shared, pair_objects, restore_objects
from nmt.translation.pieces import Piece, Thing
from nmt.translation.tagged import Lost, Stack, TaggedText

_SOFT_BREAK = re.compile(r"[ \t]*\n[ \t]*")
_HARD_BREAK = re.compile(r"(?: {2,}|\\)\n[ \t]*")
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_ADDRESS = re.compile(r"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*\)", re.DOTALL)
_LABEL = re.compile(r"\[(?:[^\[\]\\]|\\.)*\]")
_TITLE = re.compile(r"""(?<=\s)(["'])(.+)\1(?=\s*\)$)""", re.DOTALL)
_OBJECT = re.compile(r"\[\^[^\]\s]+\]|\{%.*?%\}", re.DOTALL)  # the number of a footnote, and code of templates
_TAG = re.compile(r"<(/?)([A-Za-z][\w-]*)[^>]*?(/?)>")
_KEPT = ("code", "kbd", "samp", "script", "style", "svg", "math")
_ESCAPED = re.compile(
    r"\\(?=[!-/:-@\[-`{-~])|`|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<!\s)\*|\*(?!\s)|(?<!\w)_(?=\S)|(?<=\S)_(?!\w)|(?<=~)~"
    r"|\](?=[(\[])"
)
_SPECIAL = "*_`[]<>&#|~$\\"  # without the escape, these characters can have a meaning
SENTENCE_END = ".!?:;…。！？]>)"


@dataclass(frozen=True)
class _Raw:
    """Source text that is not a word. A number is the place of a text in it, such as a title."""

    parts: tuple[str | int, ...]


class Inline:
    """The inline content of a block. `texts` are to be translated."""

    def __init__(self, source: str, tokens: Sequence[Any], *, wrapped: bool) -> None:
        """Read the content of a block.

        Args:
            source: the Markdown, without the marks of blocks at the start of lines.
            tokens: the tokens that markdown-it made of it.
            wrapped: whether line breaks have no meaning.

        Raises:
            ValueError: the tokens do not fit the source.
        """
        self._source, self._wrapped = source, wrapped
        self._marks: dict[int, tuple[str, str]] = {}  # the source of the start and the end of each tag
        self._special: dict[str, str] = {}  # characters that the source escapes, with their source
        self._extras: list[TaggedText] = []
        self._numbers = itertools.count()
        self._place = 0
        pieces = list(self._read(tokens, ()))
        if self._place != len(source):
            raise ValueError("the tokens do not fit the source")
        pieces, self._pairs = pair_objects(pieces, _find_role, self._numbers)
        self._passage = Passage(pieces)
        self.texts = [*self._passage.texts, *self._extras]

    def write(self, translations: Sequence[TaggedText]) -> str:
        """Return the Markdown with translations. It has line breaks only where they have a meaning."""
        count = len(self._passage.texts)
        pieces = restore_objects(self._passage.write(translations[:count]), self._pairs)
        extras = [show_plain(text) for text in translations[count:]]
        output: list[str] = []
        open_: Stack = ()
        for item, stack in [*pieces, ("", ())]:
            if isinstance(item, Lost) and not self._marks[item.tag][0].startswith("["):
                continue  # nothing is left to emphasize
            shared = count_shared(open_, stack)
            output += [self._marks[tag][1] for tag in reversed(open_[shared:])]
            output += [self._marks[tag][0] for tag in stack[shared:]]
            open_ = stack
            if isinstance(item, Thing):
                output.append(item)
            elif isinstance(item, str):
                output.append(self._escape(item))
            elif isinstance(item, _Raw):
                output += [extras[part] if isinstance(part, int) else part for part in item.parts]
        return "".join(output)

    def _escape(self, text: str) -> str:
        parts = re.split(f"([{re.escape(''.join(self._special))}])", text) if self._special else [text]
        return "".join(self._special.get(part) or _ESCAPED.sub(r"\\\g<0>", part) for part in parts)

    def _read(self, tokens: Sequence[Any], stack: Stack) -> Iterator[Piece]:
        """Yield the pieces of tokens. `_place` moves through the source meanwhile."""
        index = 0
        while index < len(tokens):
            token, start = tokens[index], self._place
            if token.type == "text":
                yield from _divide(self._take(token.content), stack)
            elif token.type == "text_special":
                if token.content in _SPECIAL or token.markup.startswith("&"):
                    self._special.setdefault(token.content, token.markup)
                self._take(token.markup)
                yield token.content, stack
            elif token.type == "softbreak":
                ends = self._source[start - 1 : start] in SENTENCE_END
                self._match(_SOFT_BREAK)
                yield Divider(_Raw(("\n",))) if ends and not self._wrapped else " ", stack
            elif token.type == "hardbreak":
                yield Divider(_Raw((self._match(_HARD_BREAK).rstrip(" \t").replace("\n ", "\n"),))), stack
            elif token.type == "formula":
                yield Thing(self._take(token.content)), stack
            elif token.type == "code_inline":
                yield Thing(self._match(_CODE)), stack
            elif token.type == "html_inline":
                end = _find_kept_end(tokens, index)
                self._take(token.content)
                if end > index:
                    for _ in self._read(tokens[index + 1 : end + 1], ()):
                        pass
                    yield Thing(self._source[start : self._place]), stack
                    index = end
                else:
                    yield _Raw((token.content,)), stack
            elif token.type == "image":
                yield self._read_image(token), stack
            elif token.type == "link_open" and token.markup == "autolink":
                self._place = self._source.index(">", start) + 1
                yield Thing(self._source[start : self._place]), stack
                index += 2
            elif token.type.endswith("_open"):
                end = _find_close(tokens, index)
                yield from self._read_tag(tokens[index : end + 1], stack)
                index = end
            else:
                raise ValueError(f"unknown token {token.type}")
            index += 1

    def _read_tag(self, tokens: Sequence[Any], stack: Stack) -> Iterator[Piece]:
        """Yield the pieces of emphasized text or a link. The first and the last token are its start and its end."""
        number, start = next(self._numbers), self._place
        is_link = tokens[0].type == "link_open"
        opening = self._take("[" if is_link else tokens[0].markup)
        content = list(self._read(tokens[1:-1], (*stack, number)))
        inner = self._source[start + 1 : self._place]
        closing = self._take("]" if is_link else tokens[-1].markup)
        if is_link:
            tail = self._match_target(tokens[0])
            # The label is not the text any more, so it must be given.
            closing += f"[{inner}]" if tail in ("", "[]") else tail
        if is_link and inner.startswith("^"):  # a footnote whose text looks like an address
            yield _Raw((self._source[start : self._place],)), stack
            return
        self._marks[number] = opening, closing
        yield from content

    def _match_target(self, token: Any) -> str:
        """Return what follows the text of a link or an image: an address, a label or nothing."""
        if "label" not in token.meta:
            return self._match(_ADDRESS)
        return self._match(_LABEL) if self._source.startswith("[", self._place) else ""

    def _read_image(self, token: Any) -> _Raw:
        start = self._place
        self._take("![")
        alt = self._take(token.content)
        self._take("]")
        target = self._match_target(token)
        if "label" in token.meta and target in ("", "[]"):
            return _Raw((self._source[start : self._place],))
        parts: list[str | int] = ["![", alt, "]"]
        if any(map(str.isalpha, alt)) and not set(alt) & set("[]*_`\\"):
            parts[1] = self._add_extra(alt)
        title = _TITLE.search(target)
        if title and any(map(str.isalpha, title[2])) and not set(title[2]) & {'"', "'", "\\", "\n"}:
            parts += [target[: title.start(2)], self._add_extra(title[2]), target[title.end(2) :]]
        else:
            parts.append(target)
        return _Raw(tuple(parts))

    def _add_extra(self, text: str) -> int:
        self._extras.append(make_plain(text))
        return len(self._extras) - 1

    def _take(self, text: str) -> str:
        if not self._source.startswith(text, self._place):
            raise ValueError("the tokens do not fit the source")
        self._place += len(text)
        return text

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._source, self._place)
        if not match:
            raise ValueError("the tokens do not fit the source")
        self._place = match.end()
        return match[0]


def _divide(text: str, stack: Stack) -> Iterator[Piece]:
    """Yield the pieces of a text: footnotes and template code are objects."""
    place = 0
    for match in _OBJECT.finditer(text):
        yield text[place : match.start()], stack
        yield _Raw((match[0],)), stack
        place = match.end()
    yield text[place:], stack


def _find_close(tokens: Sequence[Any], start: int) -> int:
    """Return the index of the token that closes the token at `start`."""
    depth = 0
    for index in range(start, len(tokens)):
        depth += tokens[index].nesting
        if not depth:
            return index
    raise ValueError("a token is not closed")


def _find_kept_end(tokens: Sequence[Any], start: int) -> int:
    """Return the index of the tag that ends an element of HTML whose content is kept, or -1."""
    match = _TAG.match(tokens[start].content)
    if not match or match[1] or (match[2].lower() not in _KEPT and 'translate="no"' not in match[0]):
        return -1
    close = f"</{match[2].lower()}"
    ends = (index for index in range(start + 1, len(tokens)) if tokens[index].content.lower().startswith(close))
    return next((index for index in ends if tokens[index].type == "html_inline"), -1)


def _find_role(item: object) -> Role | None:
    """Return what an HTML tag is in its pair."""
    match = _TAG.fullmatch(item.parts[0]) if isinstance(item, _Raw) and isinstance(item.parts[0], str) else None
    return (match[2].lower(), not match[1]) if match and not match[3] and match[2].lower() != "br" else None
