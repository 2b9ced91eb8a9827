"""Text with tags and objects, and how a translation takes them over from its source.

Each character has a stack of tags, the outermost first. Objects, such as URLs and empty elements, have been taken out
of the text; they have a place between two characters. Each word of the translation takes the stack of the source word
that it is aligned to, and each object is put where its neighbors are aligned to. This module knows no markup language:
whatever reads and writes one uses `TaggedText`.
"""

import itertools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt.metrics.languages import WITHOUT_SPACES, language_code
from nmt.tokenizers.base import Spans
from nmt.translation.alignment import Weights, share_weights, sum_weights
from nmt.translation.request import Translation

Stack = tuple[int, ...]

_UNIT = re.compile(r"\w+|[^\w\s]")  # a word or a punctuation mark
_CLOSING = ".,;:!?…)]}”»"  # no space precedes these marks
_NEARLY = 1e-3  # places whose scores differ by less are equally good
LOST = 0.1  # a tag keeps a word of the translation only if the word looks at it with at least this weight


class Anchor(NamedTuple):
    """An object between two characters of a text."""

    position: int
    """The number of characters before the object."""
    content: object
    """A text to be copied, or whatever the reader of the markup uses for an empty element."""
    stack: Stack = ()
    """The tags around the object, the outermost first."""
    spaces: tuple[bool, bool] = (False, False)
    """Whether a space precedes and follows the object."""
    symbol: str | None = None
    """The character of the text that replaces the object, if the model copies it. It follows `position`."""


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """A text, the stack of tags of each of its characters, and the objects in it, in the order of the text.

    If an object has a space before and after it, `text` has one space there. Without a space, `text` has none.
    """

    text: str
    stacks: Sequence[Stack]
    anchors: Sequence[Anchor] = ()

    @property
    def plain(self) -> bool:
        """Whether there is neither a tag nor an object."""
        return not self.anchors and not any(self.stacks)

    def runs(self) -> list[tuple[Stack, object]]:
        """Return the content in order: for each run of characters with the same tags, and each object, its stack."""
        runs: list[tuple[Stack, object]] = []
        anchors = sorted(self.anchors, key=lambda anchor: anchor.position)
        ends = [anchor.position for anchor in anchors]
        start, space = 0, False  # whether a space precedes the next run
        for end, anchor in itertools.zip_longest([*ends, len(self.text)], anchors):
            position = start
            if space and start < end:
                runs.append((_shared(runs[-1][0], self.stacks[start]), " "))
                space = False
            for stack, group in itertools.groupby(self.stacks[start:end]):
                length = len(list(group))
                runs.append((stack, self.text[position : position + length]))
                position += length
            if anchor:
                following = self.text[end : end + 1]
                before, after = anchor.spaces
                if isinstance(anchor.content, str):  # a thing is a word of the text
                    before |= _ends(runs, str.isalnum)
                    after = following.isalnum() or (after and following not in _CLOSING and not following.isspace())
                else:  # other objects have no text, so spaces may only become longer
                    before &= not following or following.isspace()
                    after &= not end
                if space or (before and runs and not _ends(runs, str.isspace)):
                    runs.append((_shared(runs[-1][0], anchor.stack), " "))
                runs.append((anchor.stack, anchor.content))
                space = after and bool(following)
            start = end
        return runs


def _ends(runs: Sequence[tuple[Stack, object]], kind: Callable[[str], bool]) -> bool:
    """Return whether the last run is text whose last character is of a kind."""
    last = runs[-1][1] if runs else None
    return isinstance(last, str) and kind(last[-1:])


class Unit(NamedTuple):
    """A word or a punctuation mark of a text."""

    start: int
    end: int
    mark: bool
    """Whether it is a punctuation mark."""


def find_units(text: str, stacks: Sequence[Stack] = (), spans: Spans | None = None) -> list[Unit]:
    """Return the words and punctuation marks of a text. A word is cut where its stack changes.

    If `spans` are given, as for languages that are written without spaces, words are cut at these spans too.
    """
    cuts = {start for start, _ in spans or ()}
    cuts.update(
        place
        for place, (before, after) in enumerate(itertools.pairwise(stacks), start=1)
        if before is not after and before != after
    )
    units = []
    for match in _UNIT.finditer(text):
        first, last = match.span()
        mark = not text[first].isalnum()
        if last - first > 1 and cuts:
            for place in range(first + 1, last):
                if place in cuts:
                    units.append(Unit(first, place, mark))
                    first = place
        units.append(Unit(first, last, mark))
    return units


def carry(source: TaggedText, translation: Translation, source_spans: Spans, language: str) -> TaggedText:
    """Return a translation with the tags and objects of its source.

    Args:
        source: the text that was translated.
        translation: its translation, with attention.
        source_spans: the characters of `source.text` of each source token.
        language: the language of the translation.
    """
    placed = place(source, translation, source_spans, language)
    return write_symbols(placed, {anchor.symbol: str(anchor.content) for anchor in placed.anchors if anchor.symbol})


def place(source: TaggedText, translation: Translation, source_spans: Spans, language: str) -> TaggedText:
    """Return a translation with the tags and objects of its source. Symbols that the model copied stay in the text.

    The objects of the source come first, in their order, and then objects for tags without a word. See `carry` for the
    arguments.
    """
    spaced = language_code(language) not in WITHOUT_SPACES
    sources = find_units(source.text, source.stacks)
    targets = find_units(translation.text, spans=None if spaced else translation.spans)
    weights = sum_weights(translation.attention, source_spans, translation.spans, sources, targets)
    shares = share_weights(weights)
    stacks = _choose_stacks(source, translation.text, sources, targets, weights, shares)
    characters = _spread(translation.text, targets, stacks)
    columns = list(zip(*shares, strict=True))
    placed = []
    for anchor in [*source.anchors, *_find_lost(source, sources, stacks)]:
        position = translation.text.find(anchor.symbol) if anchor.symbol else -1
        if position >= 0:
            placed.append(anchor._replace(position=position))
        else:
            position = _find_place(anchor, translation.text, sources, targets, columns)
            placed.append(anchor._replace(position=position, symbol=None))
    return TaggedText(text=translation.text, stacks=characters, anchors=placed)


def write_symbols(tagged: TaggedText, contents: Mapping[str, str]) -> TaggedText:
    """Replace each symbol of a text by its content where it occurs first. Remove it elsewhere."""
    if not contents:
        return tagged
    pieces, left = list[str](), dict(contents)
    for letter in tagged.text:
        pieces.append(left.pop(letter, "") if letter in contents else letter)
    lengths = list(map(len, pieces))
    places = [0, *itertools.accumulate(lengths)]
    return TaggedText(
        text="".join(pieces),
        stacks=[stack for stack, length in zip(tagged.stacks, lengths, strict=True) for _ in range(length)],
        anchors=[
            anchor._replace(position=places[anchor.position]) for anchor in tagged.anchors if anchor.symbol is None
        ],
    )


def _choose_stacks(
    source: TaggedText, text: str, sources: Sequence[Unit], targets: Sequence[Unit], weights: Weights, shares: Weights
) -> list[Stack | None]:
    """Return the stack of each target unit. None is a punctuation mark that takes the tags of both its neighbors."""
    if not sources:
        return [()] * len(targets)
    stacks_of = [source.stacks[unit.start] for unit in sources]
    marks = [index for index, unit in enumerate(sources) if unit.mark]
    words = [index for index, unit in enumerate(sources) if not unit.mark] or marks
    chosen: list[Stack | None] = []
    for number, (target, row) in enumerate(zip(targets, shares, strict=True)):
        place = number / max(1, len(targets) - 1) * (len(sources) - 1)  # breaks ties in favor of the same order
        if target.mark:
            own = text[target.start : target.end]
            same = [index for index in marks if source.text[sources[index].start : sources[index].end] == own]
            best = max(same, key=lambda index: (row[index], -abs(index - place)), default=None)
            chosen.append(None if best is None else stacks_of[best])
            continue
        own_shares = [row[index] for index in words]
        largest = max(own_shares)
        best = words[own_shares.index(largest)] if largest else min(words, key=lambda index: abs(index - place))
        chosen.append(stacks_of[best])
    _keep_tags(stacks_of, words, targets, weights, chosen)
    return chosen


def _keep_tags(
    stacks_of: Sequence[Stack],
    words: Sequence[int],
    targets: Sequence[Unit],
    weights: Sequence[Sequence[float]],
    chosen: list[Stack | None],
) -> None:
    """Give each tag that has no target word the free word that looks most at its source words, if there is one."""
    tags = dict.fromkeys(itertools.chain.from_iterable(stacks_of))
    used = set(itertools.chain.from_iterable(stack or () for stack in chosen))
    for tag in tags if len(used) < len(tags) else ():
        if tag in used and any(tag in stack for stack in chosen if stack):
            continue
        own = [index for index in words if tag in stacks_of[index]]
        if not own:
            continue
        stack = stacks_of[own[0]][: stacks_of[own[0]].index(tag) + 1]
        free = [
            number
            for number, target in enumerate(targets)
            if not target.mark and chosen[number] == stack[: len(chosen[number] or ())]
        ]
        best = max(free, key=lambda number: sum(weights[number][index] for index in own), default=None)
        if best is not None and sum(weights[best][index] for index in own) >= LOST:
            others = [number for number in free if number != best and chosen[number] == chosen[best]]
            if others or not chosen[best]:
                chosen[best] = stack


def _spread(text: str, targets: Sequence[Unit], stacks: Sequence[Stack | None]) -> list[Stack]:
    """Return the stack of each character. Spaces, and marks without a stack, take what their neighbors share."""
    result: list[Stack] = []
    before: Stack = ()
    for unit, stack in zip(targets, stacks, strict=True):
        if stack is not None:
            result += [_shared(before, stack)] * (unit.start - len(result))
            result += [stack] * (unit.end - unit.start)
            before = stack
    return result + [()] * (len(text) - len(result))


def _shared(first: Stack, second: Stack) -> Stack:
    if first == second:
        return first
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return first[:length]


@dataclass(frozen=True)
class Lost:
    """The content of an anchor for a tag that no word of the translation takes. It is written as an empty element."""

    tag: int = field(default=-1)


def _find_lost(source: TaggedText, sources: Sequence[Unit], stacks: Sequence[Stack | None]) -> list[Anchor]:
    """Return an anchor for each innermost tag of the source text that no target unit and no object takes."""
    kept = set(itertools.chain.from_iterable(stack or () for stack in stacks))
    kept |= set(itertools.chain.from_iterable(anchor.stack for anchor in source.anchors))
    lost: dict[int, Anchor] = {}
    for unit in sources:
        stack = source.stacks[unit.start]
        if stack and stack[-1] not in kept:
            lost.setdefault(stack[-1], Anchor(position=unit.start, content=Lost(stack[-1]), stack=stack))
            kept |= set(stack)
    return list(lost.values())


def _find_place(
    anchor: Anchor, text: str, sources: Sequence[Unit], targets: Sequence[Unit], columns: Sequence[Sequence[float]]
) -> int:
    """Return the position of an object in the translation: where its neighbors in the source are aligned to.

    A position between two words is good if the word before it looks at the source word before the object, and the word
    after it at the source word after the object. `columns` has the shares of each source unit.
    """
    following = sum(unit.start < anchor.position for unit in sources)  # the index of the source unit after the object
    before, after = following - 1, following + (anchor.symbol is not None)
    if not targets or before < 0:
        return 0
    if after >= len(sources):
        return len(text)
    scores = list(map(operator.add, (0.0, *columns[before]), (*columns[after], 0.0)))
    threshold = max(scores) - _NEARLY
    place = following / len(sources) * len(targets)
    good = [gap for gap, score in enumerate(scores) if score >= threshold]
    best = min(good, key=lambda gap: abs(gap - place))
    if best == 0:
        return 0
    glued_after = anchor.spaces == (True, False) and best < len(targets)
    return targets[best].start if glued_after else targets[best - 1].end


def trace(tagged: TaggedText, written: str) -> tuple[list[int], Spans]:
    """Find the characters and the objects of a text in the form that contains the objects.

    Args:
        tagged: a text whose objects are texts. It can contain symbols, as `place` returns it.
        written: the same text with its objects, and perhaps with more spaces.

    Returns:
        The position in `written` of each character of the text, and the start and the end of each object.
    """
    places: list[int] = []
    spans = [(0, 0)] * len(tagged.anchors)
    symbols = {anchor.symbol for anchor in tagged.anchors}
    order = sorted(range(len(spans)), key=lambda number: tagged.anchors[number].position)
    done = 0
    for position, letter in enumerate([*tagged.text, ""]):
        while order and tagged.anchors[order[0]].position == position:
            number = order.pop(0)
            content = str(tagged.anchors[number].content)
            start = written.index(content, done)
            done = start + len(content)
            spans[number] = (start, done)
        if letter in symbols:  # its object, if any, is written in its place
            places.append(done - 1)
        else:
            places.append(written.index(letter, done))
            done = places[-1] + len(letter)
    return places[:-1], spans


def map_spans(spans: Spans, places: Sequence[int]) -> Spans:
    """Return spans of characters in the text in which the characters have other places. Empty spans become (0, 0)."""
    return [(places[start], places[end - 1] + 1) if start < end else (0, 0) for start, end in spans]
