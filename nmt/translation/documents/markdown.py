"""Markdown (.md): CommonMark with tables, strikethrough, footnotes, tasks and front matter.

markdown-it finds the blocks and the inline content. Only the source of translated text changes: the marks of blocks,
code, addresses and labels stay as they are, byte for byte.
"""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from nmt.errors import ConfigError
from nmt.translation.documents.document import Context, Document
from nmt.translation.documents.encoding import decode
from nmt.translation.documents.markdown_inline import SENTENCE_END, Inline
from nmt.translation.documents.plain_text import is_wrapped
from nmt.translation.markup import Markup
from nmt.translation.tagged import TaggedText

_CARRIAGE_RETURN = re.compile(r"\r(?!\n)")  # a line break of Markdown, by itself
_FRONT = re.compile(r"---\n.*?\n(?:---|\.\.\.)(?:\n|$)|\+\+\+\n.*?\n\+\+\+(?:\n|$)", re.DOTALL)
_LEAD = re.compile(
    r"\[[ xX]\]\s+|\[\^[^\]\s]+\]:\s*|\[![A-Za-z]+\][+-]?\s*"
)  # a task, a footnote, the kind of an alert
_TRAIL = re.compile(r"\s*\{[#.:][^{}]*\}\s*$")  # the attributes of a heading
_DIRECTIVE = re.compile(r"(?:!!!|\?\?\?\+?|:{3,}|===) ?[^\n]*(?:\n|$)")
_FORMULA = re.compile(r"\$\$.+?\$\$|\$[^\s$](?:[^$\n]*[^\s$])?\$(?!\d)", re.DOTALL)
_MIN_WIDTH = 40  # the width of a text that is wrapped more narrowly
_BLOCK = re.compile(r"(?:#{1,6}|[-+*>]|=+|\d{1,9}[.)])(?:\s|$)")  # a line that starts like this starts a block


def read_markdown(data: bytes, context: Context) -> Document:
    """Read Markdown.

    Raises:
        ConfigError: markdown-it-py is not installed.
    """
    return _Markdown(data, context)


class _Markdown(Document):
    def __init__(self, data: bytes, context: Context) -> None:
        text, self._form = decode(data, context.name)
        text = _CARRIAGE_RETURN.sub("\n", text)
        front = _FRONT.match(text)
        self._front = front[0] if front else ""
        self._lines = text[len(self._front) :].replace("\0", "\ufffd").split("\n")
        self._blocks: list[_Block | _Html] = []
        parser, references = _make_parser(), dict[str, Any]()
        row: tuple[int, int] = (-1, 0)  # the line of the last cell of a table, and its end
        for token in parser.parse("\n".join(self._lines), references):
            if token.type == "html_block":
                self._blocks.append(_Html(self._lines, *token.map))
            elif token.type == "inline" and token.map:
                first = token.map[0]
                block = _find_block(self._lines, first, token.content, row[1] if row[0] == first else 0)
                if block:
                    row = (first, block.ends[0])
                    block.parse(parser, references)
                    self._blocks.append(block)
        self.texts = [text for block in self._blocks for text in block.texts]

    def write(self, translations: Sequence[TaggedText]) -> bytes:
        place = len(translations)
        for block in reversed(self._blocks):
            place -= len(block.texts)
            block.write(self._lines, translations[place : place + len(block.texts)])
        return self._form.encode(self._front + "\n".join(self._lines))


class _Block:
    """A paragraph, a heading or a cell of a table."""

    def __init__(
        self, lines: Sequence[str], first: int, starts: Sequence[int], ends: Sequence[int], cell: bool
    ) -> None:
        self._first, self._starts, self.ends, self._cell = first, starts, ends, cell
        content = [lines[first + i][start:end] for i, (start, end) in enumerate(zip(starts, ends, strict=True))]
        breaks = [line.rstrip()[-1:] in SENTENCE_END for line in content[:-1]]
        wrapped = bool(breaks) and (is_wrapped(content) or sum(breaks) * 2 < len(breaks))
        self._width = max(_MIN_WIDTH, *map(len, content)) if wrapped else 0
        self._source = "\n".join(content)
        self._inline: Inline | None = None
        self._lead = self._trail = ""
        self.texts: Sequence[TaggedText] = ()

    def parse(self, parser: Any, references: dict[str, Any]) -> None:
        """Read the inline content. If it cannot be read, it is kept."""
        source = self._source.replace("\\|", "|") if self._cell else self._source
        lead = _DIRECTIVE.match(source) or _LEAD.match(source)
        self._lead = lead[0] if lead else ""
        trail = _TRAIL.search(source, len(self._lead))
        self._trail = trail[0] if trail else ""
        source = source[len(self._lead) : len(source) - len(self._trail)]
        if not source.strip():
            return
        (token,) = parser.parseInline(source, references)
        try:
            self._inline = Inline(source, token.children, wrapped=bool(self._width))
        except ValueError:
            return
        self.texts = self._inline.texts

    def write(self, lines: list[str], translations: Sequence[TaggedText]) -> None:
        """Replace the source of the block in the lines of the document."""
        if self._inline is None or not self.texts:
            return
        written = self._inline.write(translations)
        if not self._lead and _BLOCK.match(written) and not _BLOCK.match(self._source):
            written = re.sub(r"^(\d*)", r"\1\\", written)
        text = self._lead + written + self._trail
        if self._cell:
            text = text.replace("|", "\\|")
        content = text.split("\n")
        if self._width:
            content = [part for line in content for part in _wrap(line, self._width)]
        last = lines[self._first + len(self._starts) - 1]
        before = [lines[self._first + i][:start] for i, start in enumerate(self._starts)]
        after = [last[self.ends[-1] :]]
        count = len(self._starts)
        new = [before[min(i, count - 1)] + line for i, line in enumerate(content)]
        lines[self._first : self._first + count] = [*new[:-1], new[-1] + after[0]]


def _find_block(lines: Sequence[str], first: int, content: str, place: int) -> _Block | None:
    """Return the block with this content whose first line is `first`, or None if the source has another form.

    Args:
        lines: the lines of the document.
        first: the number of the line.
        content: the content, as markdown-it has it: without marks of blocks, and without escapes of bars in cells.
        place: where the content starts at the earliest, in a row of a table.
    """
    starts, ends = [], []
    parts = content.split("\n")
    line = lines[first]
    cell = len(parts) == 1 and "|" in content and content not in line
    if len(parts) == 1 and (place or cell or line.count("|") > content.count("|")):
        source = content if line.find(content, place) >= 0 and not cell else content.replace("|", "\\|")
        start = line.find(source, place)
        return _Block(lines, first, [start], [start + len(source)], True) if start >= 0 and content else None
    for number, part in enumerate(parts):
        line, part = lines[first + number], part.strip(" \t") if number == len(parts) - 1 else part.lstrip(" \t")
        start = line.rfind(part)
        if start < 0 or not part:
            return None
        starts.append(start)
        ends.append(start + len(part))
    return _Block(lines, first, starts, ends, False)


def _wrap(line: str, width: int) -> list[str]:
    """Wrap a line so that no part of it starts a block."""
    wrapped: list[str] = []
    trail = line[len(line.rstrip(" ")) :]  # two spaces are a line break
    for part in textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False):
        if wrapped and (_BLOCK.match(part) or set(part) <= set("-=* ")):
            wrapped[-1] += f" {part}"
        else:
            wrapped.append(part)
    return [*wrapped[:-1], wrapped[-1] + trail] if wrapped else [line]


class _Html:
    """A block of HTML. It is kept if its source would change although its texts do not."""

    def __init__(self, lines: Sequence[str], first: int, last: int) -> None:
        self._first, self._source = first, lines[first:last]
        text = "\n".join(self._source)
        self.texts: Sequence[TaggedText] = ()
        if any(map(str.isalpha, re.sub(r"<[^>]*>", "", text))):
            trial = Markup(text, "html")
            if trial.write(trial.texts) == text:
                self._markup = Markup(text, "html")
                self.texts = self._markup.texts

    def write(self, lines: list[str], translations: Sequence[TaggedText]) -> None:
        if self.texts:
            lines[self._first : self._first + len(self._source)] = self._markup.write(translations).split("\n")


def _make_parser() -> Any:
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise ConfigError("Markdown needs markdown-it-py; install it with: pip install 'nmt[documents]'") from error
    parser = MarkdownIt("commonmark", {"store_labels": True}).enable(["table", "strikethrough"])
    parser.inline.ruler.before("escape", "formula", _find_formula)
    return parser.disable("text_join")  # escapes stay apart from text


def _find_formula(state: Any, silent: bool) -> bool:
    """Recognize a formula between dollars. This is a rule of markdown-it."""
    match = _FORMULA.match(state.src, state.pos)
    if not match:
        return False
    if not silent:
        state.push("formula", "", 0).content = match[0]
    state.pos = match.end()
    return True
