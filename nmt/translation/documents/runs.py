"""Paragraphs of Office Open XML: runs of text with the same properties, which editors cut into many pieces.

Adjacent runs with the same properties are one. The properties of most of the text belong to the paragraph, and runs
with other properties are tags. Hyperlinks and insertions are tags too. Everything else is an object.
"""

import copy
import itertools
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
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

_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_TRANSLATED_FIELDS = ("HYPERLINK", "TOC")  # the results of other fields, such as page numbers, are computed


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names of elements in a kind of Office Open XML, without the namespace."""

    containers: frozenset[str] = frozenset()
    """Elements within paragraphs that contain runs."""
    dropped: frozenset[str] = frozenset()
    """Elements that only say what an editor found in the text, such as errors of spelling."""
    dividers: frozenset[str] = frozenset()
    """Elements that divide the text: tabs and line breaks."""
    ignored: frozenset[str] = frozenset()
    """Elements and attributes of the properties of runs that do not matter, such as the language."""
    characters: tuple[tuple[str, str], ...] = ()
    """Elements that are characters."""
    keep_spaces: bool = False
    """Whether spaces at the ends of texts are lost unless an attribute keeps them."""


@dataclass(frozen=True)
class _InRun:
    """Content of a run that is not text."""

    properties: Any
    node: Any


@dataclass(frozen=True)
class _Object:
    """Elements of a paragraph, or content of its runs."""

    nodes: tuple[Any, ...]


@dataclass(frozen=True)
class _Properties:
    """The properties of a run: an element or None, and a key that equal properties share."""

    element: Any
    key: Hashable


class Paragraph:
    """A paragraph. `texts` are to be translated."""

    def __init__(self, element: Any, names: Names) -> None:
        self._element, self._names = element, names
        self._space = element.tag.rpartition("}")[0] + "}"
        self._numbers = itertools.count()
        self._shells: dict[int, Any] = {}  # containers without content, by tag
        self._properties: dict[int, _Properties] = {}  # of runs, by tag
        self._pairs: dict[int, tuple[object, object]] = {}  # what is around the text of a tag
        self._latest: tuple[Stack, Hashable, int] = ((), None, -1)
        self._bases: dict[Stack, _Properties] = {}  # the properties of most of the text, by container
        pieces = self._choose_bases(list(self._read(list(element), ())))
        pieces, pairs = pair_objects(pieces, self._find_role, self._numbers)
        self._pairs |= pairs
        self._passage = Passage(pieces)
        self.texts: Sequence[TaggedText] = self._passage.texts

    def write(self, translations: Sequence[TaggedText]) -> None:
        """Put translations, which belong to `texts`, into the paragraph."""
        if not self.texts:
            return
        pieces = restore_objects(self._passage.write(translations), self._pairs)
        content = list(self._element)
        last = [node for node in content if self._name(node) == "endParaRPr"]
        for node in content:
            if self._name(node) != "pPr":
                self._element.remove(node)
        open_: list[tuple[int, Any]] = [(-1, self._element)]
        written: tuple[Any, Any, Any] | None = None  # the latest text: its parent, its properties and its element
        for item, stack in order_pairs(pieces, self._find_role):
            containers = tuple(tag for tag in stack if tag in self._shells)
            now = [tag for tag, _ in open_[1:]]
            shared = count_shared(containers, now)
            del open_[shared + 1 :]
            for tag in containers[shared:]:
                shell = copy.deepcopy(self._shells[tag])
                open_[-1][1].append(shell)
                open_.append((tag, shell))
            parent = open_[-1][1]
            if isinstance(item, str):
                properties = self._find_properties(stack, containers)
                if written is None or written[:2] != (parent, properties):
                    parent.append(self._make_run(properties, "t"))
                    written = parent, properties, parent[-1][-1]
                written[2].text = (written[2].text or "") + clean(item)
                if self._names.keep_spaces and written[2].text != written[2].text.strip():
                    written[2].set(_SPACE, "preserve")
                continue
            written = None
            for node in item.nodes if isinstance(item, _Object) else ():
                if isinstance(node, _InRun):
                    parent.append(self._make_run(node.properties, ""))
                    parent[-1].append(node.node)
                else:
                    parent.append(node)
        for node in last:
            self._element.append(node)

    def _name(self, node: Any) -> str:
        """Return the name of an element of the namespace of the paragraph. Others have none."""
        return str(node.tag).removeprefix(self._space) if str(node.tag).startswith(self._space) else ""

    def _read(self, nodes: Sequence[Any], stack: Stack) -> Iterator[Piece]:
        """Yield the pieces of content of the paragraph. The last tag of each text is that of its run."""
        fields, fixed = self._find_fields(nodes)
        index = 0
        while index < len(nodes):
            node, name = nodes[index], self._name(nodes[index])
            if index in fields:
                middle, end = fields[index]
                if middle:  # the result of the field is translated
                    tag = next(self._numbers)
                    self._pairs[tag] = _Object(tuple(nodes[index:middle])), _Object((nodes[end],))
                    yield from self._read(nodes[middle:end], (*stack, tag))
                else:
                    yield _Object(tuple(nodes[index : end + 1])), stack
                index = end
            elif index in fixed:
                yield Divider(_Object((node,))), stack
            elif name == "r":
                yield from self._read_run(node, stack)
            elif name in self._names.containers and any(text.text for text in node.iter(f"{self._space}t")):
                tag = next(self._numbers)
                self._shells[tag] = shell = copy.copy(node)
                del shell[:]
                shell.text = shell.tail = None
                yield from self._read(list(node), (*stack, tag))
            elif name in self._names.dividers:
                yield Divider(_Object((node,))), stack
            elif name not in self._names.dropped and name not in ("pPr", "endParaRPr"):
                yield _Object((node,)), stack
            index += 1

    def _read_run(self, run: Any, stack: Stack) -> Iterator[Piece]:
        element = next((node for node in run if self._name(node) == "rPr"), None)
        properties = _Properties(element, _find_key(element, self._names.ignored) if element is not None else None)
        characters = dict(self._names.characters)
        for node in run:
            name = self._name(node)
            if name == "t" or name in characters:
                text = characters.get(name) or node.text or ""
                tag = self._find_tag(stack, properties, text)
                for part in filter(None, text.replace("\t", "\n\t\n").split("\n") if "\t" in text else [text]):
                    yield Divider(part) if part == "\t" else part, (*stack, tag)
            elif name in self._names.dividers:
                yield Divider(_Object((_InRun(element, node),))), stack
            elif name != "rPr" and name not in self._names.dropped:
                yield _Object((_InRun(element, node),)), stack

    def _find_tag(self, stack: Stack, properties: _Properties, text: str) -> int:
        """Return the tag of a text in a run: that of the run before it if it has the same properties, or is a space."""
        container, key, tag = self._latest
        if tag >= 0 and container == stack and (key == properties.key or text.isspace()):
            return tag
        tag = next(self._numbers)
        self._properties[tag] = properties
        self._latest = stack, properties.key, tag
        return tag

    def _choose_bases(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Remove the tags of the runs with the properties of most of the text, in each container."""
        counts: dict[Stack, Counter[Hashable]] = {}
        by_key: dict[Hashable, _Properties] = {}
        for item, stack in pieces:
            if isinstance(item, str):
                properties = self._properties[stack[-1]]
                by_key.setdefault(properties.key, properties)
                counts.setdefault(self._container(stack), Counter())[properties.key] += len(item)
        self._bases = {container: by_key[count.most_common(1)[0][0]] for container, count in counts.items()}
        changed: list[Piece] = []
        for item, stack in pieces:
            own, base = self._properties.get(stack[-1]) if stack else None, self._bases.get(self._container(stack))
            is_base = own and base and own.key == base.key
            changed.append((item, stack[:-1] if is_base else stack))
        return changed

    def _container(self, stack: Stack) -> Stack:
        return tuple(tag for tag in stack if tag in self._shells)

    def _find_properties(self, stack: Stack, container: Stack) -> Any:
        """Return the properties of the run of a text, or of most of the text in its container."""
        if stack and stack[-1] in self._properties:
            return self._properties[stack[-1]].element
        while container and container not in self._bases:
            container = container[:-1]
        base = self._bases.get(container) or next(iter(self._bases.values()))
        return base.element

    def _make_run(self, properties: Any, name: str) -> Any:
        """Return a run with an empty element, or without one if `name` is empty."""
        run = self._element.makeelement(f"{self._space}r", nsmap=self._element.nsmap)
        if properties is not None:
            run.append(copy.deepcopy(properties))
        if name:
            run.append(self._element.makeelement(f"{self._space}{name}", nsmap=self._element.nsmap))
        return run

    def _find_fields(self, nodes: Sequence[Any]) -> tuple[dict[int, tuple[int, int]], set[int]]:
        """Find fields, such as page numbers, by the characters that start, separate and end them.

        Returns:
            For the place of the start of each field, the place of its translated result (0 if it is not translated) and
            the place of its end, and the places of what belongs to fields that start or end in another paragraph.
        """
        fields: dict[int, tuple[int, int]] = {}
        fixed: set[int] = set()
        starts: list[int] = []
        middle, instruction = 0, ""
        for index, run in enumerate(nodes):
            for node in run if self._name(run) == "r" else ():
                kind = node.get(f"{self._space}fldCharType") if self._name(node) == "fldChar" else None
                if kind == "begin":
                    if not starts:
                        middle, instruction = 0, ""
                    starts.append(index)
                elif kind == "separate" and len(starts) == 1:
                    middle = index + 1
                elif kind == "end":
                    fixed |= set() if starts else {index}
                    start = starts.pop() if starts else index
                    if not starts and index not in fixed:
                        translated = instruction.split()[:1] and instruction.split()[0] in _TRANSLATED_FIELDS
                        fields[start] = (middle if translated and start < middle < index else 0, index)
                elif self._name(node) == "instrText" and len(starts) == 1 and not middle:
                    instruction += node.text or ""
        if starts:
            fixed |= set(range(starts[0], max(starts[0] + 1, middle)))
        return fields, fixed

    def _find_role(self, item: object) -> Role | None:
        """Return what an object is in its pair: the start or the end of a bookmark, a comment, or another range."""
        if not isinstance(item, _Object) or len(item.nodes) != 1 or isinstance(item.nodes[0], _InRun):
            return None
        name, number = self._name(item.nodes[0]), item.nodes[0].get(f"{self._space}id")
        for ending in ("Start", "End"):
            if name.endswith(ending):
                return (name.removesuffix(ending), number), ending == "Start"
        return None


def _find_key(element: Any, ignored: frozenset[str]) -> Hashable:
    """Return what equal properties share: names, attributes and content, without what is ignored."""
    attributes = tuple(sorted((name, value) for name, value in element.attrib.items() if name not in ignored))
    inner = [child for child in element if str(child.tag).rpartition("}")[2] not in ignored]
    content = tuple((child.tag, child.text, _find_key(child, ignored)) for child in inner)
    return (attributes, content) if attributes or content else None
