"""HTML and XML: their texts, and their form with the translations of these texts.

Elements with text are divided at blocks, such as paragraphs. Each run of text and inline elements within a block is a
`TaggedText`, whose tags are the inline elements. Elements without text, comments, and content that is not translated,
such as code, are objects in this text. The parser is lxml, a package of the extra `markup`.
"""

import copy
import itertools
import logging
from collections.abc import Sequence
from typing import Any

from nmt.tokenizers.base import replace_surrogates
from nmt.translation.pieces import join_pieces
from nmt.translation.tagged import Stack, TaggedText
from nmt.translation.trees import (
    MAX_DEPTH,
    Format,
    append_shell,
    append_text,
    fill,
    find_character,
    find_name,
    is_too_deep,
    list_content,
    make_root,
    parse,
    write,
)

logger = logging.getLogger(__name__)

_BLOCKS = """
address article aside blockquote body button canvas caption center col colgroup dd details dialog dir div dl dt fieldset
figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe legend li main menu meta nav
noframes noscript ol optgroup option p section select summary table tbody td tfoot th thead title tr ul link base
"""
BLOCKS = frozenset(_BLOCKS.split())  # the text before such an element, in it and after it is translated separately
_KEPT_BLOCKS = ("pre", "textarea")
KEPT = frozenset(("script", "style", "code", "kbd", "samp", "svg", "math", "template", *_KEPT_BLOCKS))
_KEPT_INLINE, _DIVIDING = KEPT - set(_KEPT_BLOCKS), BLOCKS | set(_KEPT_BLOCKS)
ATTRIBUTES = ("alt", "title", "placeholder", "aria-label")
DESCRIPTIONS = frozenset(("description", "og:title", "og:description", "twitter:title", "twitter:description"))

_DOCUMENT = ("<?xml", "<!doctype", "<html", "<head", "<body")  # a text that begins like this is a whole document
CONTROL = str.maketrans(dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "\ufffd"))


class MarkupTree:
    """A parsed text with markup. `texts` are to be translated, and `fill` puts their translations in their place."""

    def __init__(self, root: Any, kind: Format) -> None:
        """Find the texts of a tree.

        Args:
            root: the root element.
            kind: html or xml. Blocks, and elements whose content is kept, have the same names in both. In HTML, some
                attributes are translated too.
        """
        self.root = root
        self._kind = kind
        self._shells: dict[int, Any] = {}  # inline elements, by tag number
        self._nodes: dict[int, Any] = {}  # objects
        self._runs: list[tuple[Any, int, int, str, str]] = []
        self._attributes: list[tuple[Any, str]] = []
        self.texts: list[TaggedText] = []
        self._contents: dict[Any, list[Any]] = {}
        if not is_too_deep(root):
            self._read(root, kept=False)

    def _read(self, root: Any, kept: bool) -> None:
        """Find the texts below a block."""
        waiting = [(root, kept)]
        while waiting:
            block, kept = waiting.pop()
            kept = _is_kept(block, kept)
            if not kept and self._kind == "html":
                self._read_attributes(block)
            content = list_content(block)
            self._contents[block] = content
            for is_block, group in itertools.groupby(range(len(content)), key=lambda i: _is_block(content[i])):
                places = list(group)
                if is_block:
                    waiting += [(content[place], kept) for place in places]
                elif not kept:
                    self._read_run(block, places[0], places[-1] + 1)

    def _read_attributes(self, element: Any) -> None:
        names = [name for name in ATTRIBUTES if element.get(name, "").strip()]
        if find_name(element) == "meta" and element.get("name", element.get("property", "")).lower() in DESCRIPTIONS:
            names.append("content")
        if find_name(element) == "input" and element.get("type", "").lower() in ("submit", "button", "reset"):
            names.append("value")
        for name in names:
            value = element.get(name)
            if value and any(character.isalpha() for character in value):
                self._attributes.append((element, name))
                self.texts.append(TaggedText(text=value, stacks=[()] * len(value)))
                self._runs.append((None, 0, 0, "", ""))

    def _read_run(self, block: Any, first: int, last: int) -> None:
        """Read inline content of a block as one text."""
        pieces: list[tuple[str | int, Stack]] = []  # texts, and numbers of objects
        content = self._contents[block][first:last]
        self._flatten(content, (), pieces)
        if not any(isinstance(piece, str) and any(map(str.isalpha, piece)) for piece, _ in pieces):
            self._read_attributes_only(content)
            return
        numbers = {piece for piece, _ in pieces if isinstance(piece, int)}
        numbers |= {number for _, stack in pieces for number in stack}
        copies = [(self._shells | self._nodes)[number] for number in sorted(numbers)]
        self._read_attributes_only(copies)
        lead, tagged, trail = join_pieces(pieces, self._break_lines)
        self.texts.append(tagged)
        self._runs.append((block, first, last, lead, trail))

    def _read_attributes_only(self, content: Sequence[Any]) -> None:
        """Find the attributes of inline content that stays in its place."""
        waiting = [node for node in content if not isinstance(node, str) and not _is_kept(node, False)]
        while waiting and self._kind == "html":
            element = waiting.pop()
            self._read_attributes(element)
            waiting += [child for child in element if not _is_kept(child, False)]

    def _break_lines(self, content: object) -> bool:
        return isinstance(content, int) and find_name(self._nodes[content]) == "br"

    def _flatten(self, content: Sequence[Any], stack: Stack, pieces: list[tuple[str | int, Stack]]) -> None:
        waiting: list[tuple[Any, Stack]] = [(node, stack) for node in reversed(content)]
        while waiting:
            node, stack = waiting.pop()
            text = node if isinstance(node, str) else find_character(node)
            if text:
                pieces.append((text, stack))
            elif not isinstance(node.tag, str) or _is_kept(node, False) or not "".join(node.itertext()).strip():
                number = len(self._shells) + len(self._nodes)
                self._nodes[number] = node
                pieces.append((number, stack))
            else:
                number = len(self._shells) + len(self._nodes)
                self._shells[number] = node
                waiting += [(child, (*stack, number)) for child in reversed(list_content(node))]

    def fill(self, translations: Sequence[TaggedText]) -> None:
        """Put translations into the tree. They belong to `texts`, in the same order. Call this once."""
        attributes = iter(self._attributes)
        written: dict[Any, list[tuple[int, int, list[Any]]]] = {}
        for run, translation in zip(self._runs, translations, strict=True):
            block, first, last, lead, trail = run
            if block is None:
                element, name = next(attributes)
                element.set(name, "".join(map(str, (item for _, item in translation.runs()))).translate(CONTROL))
        for run, translation in zip(self._runs, translations, strict=True):
            block, first, last, lead, trail = run
            if block is not None:
                holder = self._build(translation)
                written.setdefault(block, []).append((first, last, [lead, *list_content(holder), trail]))
        for block, parts in written.items():
            content = self._contents[block]
            for first, last, new in sorted(parts, key=lambda part: part[0], reverse=True):
                content[first:last] = new
            fill(block, content)

    def _build(self, tagged: TaggedText) -> Any:
        """Return an element whose content is a text with tags and objects."""
        holder = make_root()
        used: set[int] = set()
        open_: list[tuple[int, Any]] = [(-1, holder)]
        for stack, item in tagged.runs():
            common = 0
            while common < min(len(stack), len(open_) - 1) and open_[common + 1][0] == stack[common]:
                common += 1
            del open_[common + 1 :]
            for number in stack[common:]:
                element = append_shell(open_[-1][1], self._shells[number])
                if number in used and self._kind == "html":
                    element.attrib.pop("id", None)  # must be unique
                used.add(number)
                open_.append((number, element))
            parent = open_[-1][1]
            if isinstance(item, str):
                append_text(parent, item.translate(CONTROL))
            elif isinstance(item, int):
                node = copy.deepcopy(self._nodes[item])
                node.tail = None
                parent.append(node)
        return holder


class Markup(MarkupTree):
    """A text with markup. `texts` are to be translated, and `write` returns the text with their translations.

    >>> markup = Markup("<p>A <b>man</b></p>", "html")
    >>> [text.text for text in markup.texts]
    ['A man']
    >>> markup.write(markup.texts)
    '<p>A <b>man</b></p>'
    """

    def __init__(self, text: str, kind: Format, name: str = "the text") -> None:
        """Parse a text. Well-formed text is read as it is; other text is read as HTML, which mends it.

        Args:
            text: a fragment, or a whole document.
            kind: html or xml (see `MarkupTree`).
            name: the name of the text in warnings.

        Raises:
            ConfigError: lxml is not installed.
        """
        text = replace_surrogates(text).translate(CONTROL)
        self._document = text.lstrip("\ufeff \t\r\n").lower().startswith(_DOCUMENT)
        root, self._well_formed = parse(text, kind, self._document)
        self._unchanged = None
        if root is None:  # the document is only a declaration and comments
            root, self._unchanged = make_root(), text
        elif kind == "xml" and not self._well_formed:
            logger.warning("%s: not well-formed XML, mended", name)
        if is_too_deep(root):
            logger.warning("%s: elements are nested more than %d deep, not translated", name, MAX_DEPTH)
            self._unchanged = text
        super().__init__(root, kind)

    def write(self, translations: Sequence[TaggedText]) -> str:
        """Return the text with translations. They belong to `texts`, in the same order. Call this once."""
        if self._unchanged is not None:
            return self._unchanged
        self.fill(translations)
        return write(self.root, self._kind, self._document, self._well_formed)


def _is_kept(element: Any, inherited: bool) -> bool:
    """Return whether the content of an element is not translated."""
    if not isinstance(element.tag, str):
        return True
    choice = element.get("translate", "").lower()
    if choice in ("yes", "no"):
        return bool(choice == "no")
    return inherited or find_name(element) in KEPT or "notranslate" in element.get("class", "").split()


def _is_block(node: Any) -> bool:
    """Return whether a node divides the text: a block, or an inline element that contains a block."""
    if isinstance(node, str) or not isinstance(node.tag, str):
        return False
    if find_name(node) in _KEPT_INLINE:
        return False
    return any(find_name(element) in _DIVIDING for element in node.iter("*"))
