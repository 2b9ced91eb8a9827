"""Mixed content of XML: text and inline elements, as in OpenDocument, XLIFF and TMX."""

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.translation.documents.document import clean
from nmt.translation.documents.passage import (
    Divider,
    Passage,
    Role,
    count_shared,
    order_pairs,
    pair_objects,
    restore_objects,
)
from nmt.translation.pieces import Piece
from nmt.translation.tagged import Stack, TaggedText
from nmt.translation.trees import append_text, find_character, find_name, list_content


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the inline elements of a format are. Elements that are not named here are objects."""

    tags: frozenset[str]
    """Elements whose content is text."""
    dividers: frozenset[str] = frozenset()
    """Elements that divide the text."""
    find_role: Callable[[Any], Role | None] = lambda _: None
    """A function that returns what an empty element is in a pair."""
    is_transparent: Callable[[Any], bool] = lambda _: False
    """A function that returns whether an element has no effect, so that it is left out."""
    repeat: Callable[[Any, int], None] = lambda _element, _number: None
    """A function that changes an element that is repeated, because its words are apart. It is given the number."""


@dataclass(frozen=True)
class _Node:
    element: Any


class MixedContent:
    """The content of an element. `texts` are to be translated."""

    def __init__(self, element: Any, rules: Rules, target: Any = None) -> None:
        """Read the content of an element.

        Args:
            element: the element.
            rules: the rules of its format.
            target: the element that gets the translations. By default, it is `element`, and its content is replaced.
        """
        self._element, self._rules = element, rules
        self._target = element if target is None else target
        self._numbers = itertools.count()
        self._shells: dict[int, Any] = {}
        pieces, self._pairs = pair_objects(list(self._read(element, ())), self._find_role, self._numbers)
        self._passage = Passage(pieces)
        self.texts: Sequence[TaggedText] = self._passage.texts

    def write(self, translations: Sequence[TaggedText]) -> None:
        """Put translations, which belong to `texts`, into the element."""
        same = self._target is self._element
        if same and not self.texts:
            return
        pieces = order_pairs(restore_objects(self._passage.write(translations), self._pairs), self._find_role)
        for child in list(self._target):
            self._target.remove(child)
        self._target.text = None
        counts: dict[int, int] = {}
        open_: list[tuple[int, Any]] = [(-1, self._target)]
        for item, stack in pieces:
            now = [tag for tag, _ in open_[1:]]
            shared = count_shared(stack, now)
            del open_[shared + 1 :]
            for tag in stack[shared:]:
                shell = copy.deepcopy(self._shells[tag])
                counts[tag] = counts.get(tag, 0) + 1
                if counts[tag] > 1:
                    self._rules.repeat(shell, counts[tag])
                open_[-1][1].append(shell)
                open_.append((tag, shell))
            if isinstance(item, str):
                append_text(open_[-1][1], clean(item))
            elif isinstance(item, _Node):
                # An element that is moved keeps its identity, because texts in it are translated on their own.
                node = item.element if same else copy.deepcopy(item.element)
                node.tail = None
                open_[-1][1].append(node)

    def _read(self, element: Any, stack: Stack) -> Iterator[Piece]:
        for node in list_content(element):
            text = node if isinstance(node, str) else find_character(node)
            name = "" if text else find_name(node)
            if text:
                yield text, stack
            elif name in self._rules.dividers:
                yield Divider(_Node(node)), stack
            elif name in self._rules.tags and self._rules.is_transparent(node):
                yield from self._read(node, stack)
            elif name in self._rules.tags and "".join(node.itertext()).strip():
                tag = next(self._numbers)
                self._shells[tag] = shell = copy.copy(node)
                del shell[:]
                shell.text = shell.tail = None
                yield from self._read(node, (*stack, tag))
            else:
                yield _Node(node), stack

    def _find_role(self, item: object) -> Role | None:
        if not isinstance(item, _Node) or not isinstance(item.element.tag, str):
            return None
        return self._rules.find_role(item.element)
