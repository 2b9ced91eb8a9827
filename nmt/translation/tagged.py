"""Text with tags and objects, and how a translation takes them over from its source.

Each character has a stack of tags, the outermost first. Objects, such as URLs and empty elements, have been taken out
of the text; they have a place between two characters. Each word of the translation takes the stack of the source word
that it is aligned to, and each object is put where its neighbors are aligned to. This module knows no markup language:
whatever reads and writes one uses `TaggedText`.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nmt.metrics.languages import WITHOUT_SPACES, language_code
from nmt.tokenizers.base import Spans
from nmt.translation.request import Translation

Stack = tuple[int, ...]

_UNIT = re.compile(r"\w+|[^\w\s]")  # a word or a punctuation mark
_CLOSING = ".,;:!?…)]}”»"  # no space precedes these marks
LOST = 0.1  # a tag keeps a word of the translation only if the word looks at it with at least this weight


@dataclass(frozen=True, kw_only=True)
class Anchor:
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
    """The character of the text that stands for the object, if the model copies it. It follows `position`."""


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


@dataclass(frozen=True, kw_only=True)
class Unit:
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
    cuts |= {place for place in range(1, len(stacks)) if stacks[place] != stacks[place - 1]}
    units = []
    for match in _UNIT.finditer(text):
        inner = [place for place in range(match.start() + 1, match.end()) if place in cuts] if cuts else []
        mark = not match[0][0].isalnum()
        for start, end in itertools.pairwise([match.start(), *inner, match.end()]):
            units.append(Unit(start=start, end=end, mark=mark))
    return units


def carry(source: TaggedText, translation: Translation, source_spans: Spans, language: str) -> TaggedText:
    """Return a translation with the tags and objects of its source.

    Args:
        source: the text that was translated.
        translation: its translation, with attention.
        source_spans: the characters of `source.text` of each source token.
        language: the language of the translation.
    """
    spaced = language_code(language) not in WITHOUT_SPACES
    sources = find_units(source.text, source.stacks)
    targets = find_units(translation.text, spans=None if spaced else translation.spans)
    weights = _sum_weights(translation, source_spans, sources, targets)
    stacks = _choose_stacks(source, translation.text, sources, targets, weights)
    characters = _spread(translation.text, targets, stacks)
    copied = {anchor.symbol for anchor in source.anchors if anchor.symbol and anchor.symbol in translation.text}
    anchors = [anchor for anchor in source.anchors if anchor.symbol not in copied]
    anchors += _find_lost(source, sources, stacks)
    anchors.sort(key=lambda anchor: anchor.position)
    placed = [
        replace(anchor, position=_place(anchor, translation.text, sources, targets, weights), symbol=None)
        for anchor in anchors
    ]
    carried = TaggedText(text=translation.text, stacks=characters, anchors=placed)
    return write_symbols(carried, {anchor.symbol: str(anchor.content) for anchor in source.anchors if anchor.symbol})


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
        anchors=[replace(anchor, position=places[anchor.position]) for anchor in tagged.anchors],
    )


def _overlaps(spans: Spans, units: Sequence[Unit]) -> list[list[tuple[int, float]]]:
    """Return, for each span, the indices of the units that it covers, and the share of each in its characters."""
    shares = []
    for start, end in spans:
        covered = [
            (index, min(end, unit.end) - max(start, unit.start))
            for index, unit in enumerate(units)
            if unit.start < end and start < unit.end
        ]
        total = sum(length for _, length in covered)
        shares.append([(index, length / total) for index, length in covered])
    return shares


def _sum_weights(
    translation: Translation, source_spans: Spans, sources: Sequence[Unit], targets: Sequence[Unit]
) -> list[list[float]]:
    """Return the attention of each target unit to each source unit: the mean over the tokens of the target unit."""
    weights = [[0.0] * len(sources) for _ in targets]
    counts = [0.0] * len(targets)
    source_shares = _overlaps(source_spans, sources)
    for row, own in zip(translation.attention, _overlaps(translation.spans, targets), strict=True):
        for target, share in own:
            counts[target] += share
            for weight, covered in zip(row, source_shares, strict=False):  # text that is kept has no rows
                for index, part in covered:
                    weights[target][index] += share * part * weight
    return [[weight / (count or 1.0) for weight in row] for row, count in zip(weights, counts, strict=True)]


def _choose_stacks(
    source: TaggedText, text: str, sources: Sequence[Unit], targets: Sequence[Unit], weights: Sequence[Sequence[float]]
) -> list[Stack | None]:
    """Return the stack of each target unit. None is a punctuation mark that takes the tags of both its neighbors."""
    if not sources:
        return [()] * len(targets)
    stacks_of = [source.stacks[unit.start] for unit in sources]
    words = [index for index, unit in enumerate(sources) if not unit.mark] or list(range(len(sources)))
    chosen: list[Stack | None] = []
    for number, (target, row) in enumerate(zip(targets, weights, strict=True)):
        place = number / max(1, len(targets) - 1) * (len(sources) - 1)  # breaks ties in favor of the same order
        if target.mark:
            same = [
                index
                for index, unit in enumerate(sources)
                if source.text[unit.start : unit.end] == text[target.start : target.end]
            ]
            best = max(same, key=lambda index: (row[index], -abs(index - place)), default=None)
            chosen.append(None if best is None else stacks_of[best])
        else:
            best = max(words, key=lambda index: (round(row[index], 3), -abs(index - place)))
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
    for tag in dict.fromkeys(itertools.chain.from_iterable(stacks_of)):
        if any(tag in stack for stack in chosen if stack):
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
    characters: list[Stack | None] = [None] * len(text)
    for unit, stack in zip(targets, stacks, strict=True):
        characters[unit.start : unit.end] = [stack] * (unit.end - unit.start)
    result: list[Stack] = []
    before: Stack = ()
    for known, group in itertools.groupby(range(len(text)), key=lambda place: characters[place] is not None):
        places = list(group)
        if known:
            result += [characters[place] or () for place in places]
            before = result[-1]
        else:
            after = characters[places[-1] + 1] if places[-1] + 1 < len(text) else ()
            result += [_shared(before, after or ())] * len(places)
    return result


def _shared(first: Stack, second: Stack) -> Stack:
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return tuple(tag for tag, _ in pairs)


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


def _place(
    anchor: Anchor,
    text: str,
    sources: Sequence[Unit],
    targets: Sequence[Unit],
    weights: Sequence[Sequence[float]],
) -> int:
    """Return the position of an object in the translation: where its neighbors in the source are aligned to.

    A position between two words is good if the word before it looks at the source word before the object, and the word
    after it at the source word after the object.
    """
    following = sum(unit.start < anchor.position for unit in sources)  # the index of the source unit after the object
    before, after = following - 1, following + (anchor.symbol is not None)
    if not targets or before < 0:
        return 0
    if after >= len(sources):
        return len(text)

    def score(gap: int) -> tuple[float, float]:
        left = weights[gap - 1][before] if gap else 0.0
        right = weights[gap][after] if gap < len(targets) else 0.0
        same = abs(gap / len(targets) - following / len(sources))
        return round(left + right, 3), -same

    best = max(range(len(targets) + 1), key=score)
    if best == 0:
        return 0
    glued_after = anchor.spaces == (True, False) and best < len(targets)
    return targets[best].start if glued_after else targets[best - 1].end
