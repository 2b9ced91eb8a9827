"""Checks of characters that the training text lacks, and of variants of apostrophes and quotes."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from nmt.data.check.chunks import SIDES, Chunk, Place
from nmt.data.check.findings import Example, Finding, Severity
from nmt.data.check.letters import APOSTROPHES

_UNSEEN_WARNING = 0.01  # this many unseen characters per line cost quality
_UNSEEN_FEWEST = 2
_SHOWN = 8  # the number of characters that a message lists
_MIXED = 0.02  # apostrophes are mixed if all but the most frequent variant have at least this share
_MIXED_QUOTES = 0.2  # the same share for quotes; mixed quotes are more common and cost less quality
_FEWEST = 20  # this many apostrophes or quotes are enough for a finding
_UNUSUAL = 0.05  # a variant with a smaller share in the training text is unusual

WITHIN_WORDS = re.compile(rf"(?<=\w)[{APOSTROPHES}](?=\w)")
_QUOTES = {"straight": '"', "curly": "“”„‟", "angle": "«»‹›"}


class UnseenCharacters:
    """Finds characters of validation and held-out text that do not occur in the training text."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Place, int], Counter[str]] = {}
        self._lines: Counter[Place] = Counter()
        self._first: dict[tuple[Place, int, str], tuple[int, str]] = {}
        self._trained: tuple[set[str], set[str]] = (set(), set())

    def add(self, chunk: Chunk) -> None:
        """Collect the characters of both sides."""
        for side in SIDES:
            text = chunk.sides[side].text
            if chunk.place.set == "train":
                self._trained[side].update(text)
                continue
            counts = self._counts.setdefault((chunk.place, side), Counter())
            new = set(text) - counts.keys()
            counts.update(text)
            for character in new - {"\n"}:
                line = text.count("\n", 0, text.index(character))
                self._first[(chunk.place, side, character)] = (chunk.first + line, chunk.sides[side].lines[line])
        if chunk.place.set != "train":
            self._lines[chunk.place] += len(chunk)

    def report(self) -> Iterable[Finding]:
        """Report the unseen characters of each side."""
        for (place, side), counts in self._counts.items():
            unseen = Counter({char: n for char, n in counts.items() if char not in self._trained[side] | {"\n"}})
            total, share = unseen.total(), unseen.total() / max(1, self._lines[place])
            if not self._trained[side] or total < _UNSEEN_FEWEST:
                continue
            names = ", ".join(f"{show_character(char)} {n:,} times" for char, n in unseen.most_common(_SHOWN))
            first = [self._first[(place, side, char)] for char, _ in unseen.most_common(2)]
            yield Finding(
                check="unseen-characters",
                severity=Severity.WARNING if share >= _UNSEEN_WARNING else Severity.NOTE,
                place=place.files[side],
                message=f"{len(unseen):,} character{'s' * (len(unseen) > 1)} that training never has: {names}"
                + (" ..." if len(unseen) > _SHOWN else ""),
                advice="write them as the training text does, or add training text that has them",
                share=min(1.0, share),
                line=min(index for index, _ in first) + 1,
                count=total,
                examples=tuple(Example(where=place.locate(side, index), text=text) for index, text in first),
            )


def show_character(character: str) -> str:
    """Return a character in the form that messages show. Characters outside of ASCII are shown with their code."""
    code = f"U+{ord(character):04X}"
    if unicodedata.category(character)[0] in "CZM":
        return code
    return character if character.isascii() else f"{code}({character})"


class Variants:
    """Finds apostrophes and quotes that are written in several ways, in training text or in different sets."""

    def __init__(self) -> None:
        self._apostrophes: dict[tuple[Place, int], Counter[str]] = {}
        self._quotes: dict[tuple[Place, int], Counter[str]] = {}

    def add(self, chunk: Chunk) -> None:
        """Count the variants on both sides."""
        for side in SIDES:
            text, key = chunk.sides[side].text, (chunk.place, side)
            apostrophes = self._apostrophes.setdefault(key, Counter())
            if any(character in text for character in APOSTROPHES):
                apostrophes.update(WITHIN_WORDS.findall(text))
            quotes = self._quotes.setdefault(key, Counter())
            for style, characters in _QUOTES.items():
                if number := sum(map(text.count, characters)):
                    quotes[style] += number

    def choose_apostrophes(self) -> tuple[str | None, str | None]:
        """Return the most frequent apostrophe of the training text for each side.

        The result for a side is None if all text of this side has the same apostrophe.
        """
        chosen: list[str | None] = []
        for side in SIDES:
            counters = [counter for (place, other), counter in self._apostrophes.items() if other == side]
            trained = sum(
                (c for (p, o), c in self._apostrophes.items() if o == side and p.set == "train"), Counter[str]()
            )
            mixed = sum(counters, Counter[str]()).keys() - set(trained.most_common(1)[0][:1] if trained else ())
            chosen.append(trained.most_common(1)[0][0] if trained and mixed else None)
        return chosen[0], chosen[1]

    def report(self) -> Iterable[Finding]:
        """Report training text with mixed variants, and other sets whose variants are unusual in the training text."""
        for what, counts, least in (
            ("apostrophes", self._apostrophes, _MIXED),
            ("quotes", self._quotes, _MIXED_QUOTES),
        ):
            trained: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
            for (place, side), counter in counts.items():
                if place.set == "train":
                    trained[side].update(counter)
                    yield from _report_mixed(what, place, side, counter, least)
            for (place, side), counter in counts.items():
                if place.set != "train" and counter.total() >= _FEWEST and trained[side].total() >= _FEWEST:
                    yield from _report_unusual(what, place, side, counter, trained[side])


def _report_mixed(what: str, place: Place, side: int, counter: Counter[str], least: float) -> Iterable[Finding]:
    total = counter.total()
    others = total - max(counter.values(), default=0)
    if others < _FEWEST or others < least * total:
        return
    yield Finding(
        check=f"mixed-{what}",
        severity=Severity.WARNING if what == "apostrophes" else Severity.NOTE,
        place=place.files[side],
        message=f"{what} are written in {len(counter)} ways: {_list_shares(counter)}",
        advice=f"choose one for all files{' (--fix does)' if what == 'apostrophes' else ''}",
        share=others / total,
        count=others,
    )


def _report_unusual(
    what: str, place: Place, side: int, counter: Counter[str], trained: Counter[str]
) -> Iterable[Finding]:
    unusual = sum(number for name, number in counter.items() if trained[name] < _UNUSUAL * trained.total())
    if unusual < counter.total() / 2:
        return
    yield Finding(
        check=f"unusual-{what}",
        severity=Severity.WARNING,
        place=place.files[side],
        message=f"{what} are written {_list_shares(counter)}, but in training text {_list_shares(trained)}",
        advice="write them as in the training text",
        share=unusual / counter.total(),
        count=unusual,
    )


def _list_shares(counter: Mapping[str, int]) -> str:
    total = sum(counter.values())
    named = sorted(counter.items(), key=lambda item: -item[1])
    return ", ".join(f"{show_character(name) if len(name) == 1 else name} {count / total:.0%}" for name, count in named)
