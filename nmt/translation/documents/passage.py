"""Passages: inline content of a document whose parts are translated, and the objects within and between them."""

import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nmt.translation.pieces import Piece, join_pieces
from nmt.translation.tagged import Lost, TaggedText


@dataclass(frozen=True)
class Divider:
    """An object that stays where it is. The texts before and after it are translated separately."""

    content: object


@dataclass(frozen=True)
class _Group:
    """Objects without text between them. They stay together."""

    objects: tuple[object, ...]


class Passage:
    """Inline content. `texts` are to be translated, and `write` returns the content with their translations."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.texts: list[TaggedText] = []
        self._parts: list[list[Piece] | tuple[str, str]] = []  # what is kept, and the spaces around texts
        for fixed, group in itertools.groupby(pieces, key=lambda piece: isinstance(piece[0], Divider)):
            part = list(group)
            lead, text, trail = join_pieces([] if fixed else _group_objects(part))
            if any(map(str.isalpha, text.text)):
                self.texts.append(text)
                self._parts.append((lead, trail))
            else:
                self._parts.append(part)

    def write(self, translations: Sequence[TaggedText]) -> list[Piece]:
        """Return the pieces with translations. They belong to `texts`, in the same order."""
        pieces: list[Piece] = []
        left = iter(translations)
        for part in self._parts:
            if isinstance(part, list):
                pieces += [(item.content if isinstance(item, Divider) else item, stack) for item, stack in part]
            else:
                lead, trail = part
                pieces.append((lead, ()))
                for stack, item in next(left).runs():
                    pieces += [(one, stack) for one in (item.objects if isinstance(item, _Group) else [item])]
                pieces.append((trail, ()))
        return [piece for piece in pieces if piece[0] != ""]


def _group_objects(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces in which adjacent objects with the same tags are one object."""
    grouped: list[Piece] = []
    for (is_text, stack), group in itertools.groupby(pieces, key=lambda piece: (isinstance(piece[0], str), piece[1])):
        items = [item for item, _ in group]
        grouped += [(item, stack) for item in (items if is_text or len(items) == 1 else [_Group(tuple(items))])]
    return grouped


Role = tuple[Hashable, bool]
"""What an object is in a pair, such as the start of a bookmark and its end: a key, and whether it is the start."""


def pair_objects(
    pieces: Sequence[Piece], role: Callable[[object], Role | None], numbers: Iterator[int]
) -> tuple[list[Piece], dict[int, tuple[object, object]]]:
    """Replace pairs of objects around words by tags, so that they keep these words between them.

    Args:
        pieces: inline content.
        role: a function that returns what an object is in a pair.
        numbers: numbers for new tags.

    Returns:
        The pieces, and the two objects of each new tag.
    """
    starts: dict[Hashable, int] = {}
    pairs: list[tuple[int, int]] = []
    for index, (item, stack) in enumerate(pieces):
        key, opens = (None if isinstance(item, str) else role(item)) or (None, False)
        if opens:
            starts[key] = index
        elif key in starts:
            start = starts.pop(key)
            inner = [content for content, _ in pieces[start:index]]
            words = any(isinstance(content, str) and any(map(str.isalnum, content)) for content in inner)
            if stack == pieces[start][1] and words and not any(isinstance(content, Divider) for content in inner):
                pairs.append((start, index))
    changed: list[Piece | None] = list(pieces)
    tags: dict[int, tuple[object, object]] = {}
    for start, end in sorted(pairs, reverse=True):
        tag, depth = next(numbers), len(pieces[start][1])
        tags[tag] = (pieces[start][0], pieces[end][0])
        for index in range(start + 1, end):
            if (piece := changed[index]) is not None:
                item, stack = piece
                changed[index] = (item, (*stack[:depth], tag, *stack[depth:]))
        changed[start] = changed[end] = None
    return [piece for piece in changed if piece is not None], tags


def restore_objects(pieces: Sequence[Piece], tags: Mapping[int, tuple[object, object]]) -> list[Piece]:
    """Put the objects that `pair_objects` replaced by tags around everything that has these tags."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for index, (_, stack) in enumerate(pieces):
        for tag in stack:
            first.setdefault(tag, index)
            last[tag] = index
    restored: list[Piece] = []
    for index, (item, stack) in enumerate(pieces):
        own = [tag for tag in stack if tag in tags]
        places = {tag: tuple(other for other in stack[: stack.index(tag)] if other not in tags) for tag in own}
        restored += [(tags[tag][0], places[tag]) for tag in own if first[tag] == index]
        if not (isinstance(item, Lost) and item.tag in tags):
            restored.append((item, tuple(tag for tag in stack if tag not in tags)))
        restored += [(tags[tag][1], places[tag]) for tag in reversed(own) if last[tag] == index]
    return restored


def order_pairs(pieces: Sequence[Piece], role: Callable[[object], Role | None]) -> list[Piece]:
    """Move each object that ends a pair after the object that starts it."""
    roles = [None if isinstance(item, str) else role(item) for item, _ in pieces]
    starts = {found[0] for found in roles if found and found[1]}
    seen: set[Hashable] = set()
    waiting: dict[Hashable, list[Piece]] = {}
    ordered: list[Piece] = []
    for piece, found in zip(pieces, roles, strict=True):
        if found and not found[1] and found[0] in starts - seen:
            waiting.setdefault(found[0], []).append(piece)
            continue
        ordered.append(piece)
        if found and found[1]:
            seen.add(found[0])
            ordered += waiting.pop(found[0], [])
    return ordered


def count_shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the number of tags that two stacks share, from the outermost on."""
    return sum(1 for _ in itertools.takewhile(lambda two: two[0] == two[1], zip(first, second, strict=False)))
