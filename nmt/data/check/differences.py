"""Checks that compare the case and the words of validation and held-out text with the training text."""

import itertools
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nmt.data.check.chunks import SIDES, Chunk, Place, SideLines
from nmt.data.check.findings import Finding, Severity
from nmt.data.cleaning import SeenHashes

_CASE_DIFFERENCE = 0.5  # the least difference between a set and the training text in the share of one kind of case
_CASE_LINES = 50  # this many lines with upper-case or lower-case letters are enough for a comparison
# The share of unseen words is reported if it is this many times the share that is expected in new text of the same kind
# and also exceeds the expected share by this much.
_UNSEEN_FACTOR = 2.5
_UNSEEN_EXTRA = 0.05
_UNSEEN_WORDS = 500  # this many words in a set are enough for a comparison
_BUCKETS = 2**22  # words of training text are counted by hash, which takes 4 MB and is accurate for a million words


class Case:
    """Finds sets whose case differs from the training text. For example, a set may be lower-cased."""

    _KINDS = ("begin with a capital letter", "are lower-case", "are ALL CAPS")

    def __init__(self) -> None:
        self._counts: dict[tuple[Place, int], NDArray[np.int64]] = {}

    def add(self, chunk: Chunk) -> None:
        """Count the lines of each kind of case."""
        for side in SIDES:
            lines = chunk.sides[side].lines
            figures = np.array(
                [
                    sum(line[:1].isupper() for line in lines),
                    sum(map(str.islower, lines)),
                    sum(map(str.isupper, lines)),
                    sum(line.lower() != line.upper() for line in lines),
                ]
            )
            self._counts[(chunk.place, side)] = self._counts.get((chunk.place, side), 0) + figures

    def report(self) -> Iterable[Finding]:
        """Report sets that differ from the training text in the share of lines with one kind of case."""
        for side in SIDES:
            trained = sum(
                (counts for (place, other), counts in self._counts.items() if place.set == "train" and other == side),
                start=np.zeros(4, dtype=np.int64),
            )
            if trained[3] < _CASE_LINES:
                continue
            for (place, other), counts in self._counts.items():
                if place.set == "train" or other != side or counts[3] < _CASE_LINES:
                    continue
                shares, usual = counts[:3] / counts[3], trained[:3] / trained[3]
                kind = int(np.abs(shares - usual).argmax())
                if abs(shares[kind] - usual[kind]) >= _CASE_DIFFERENCE:
                    yield Finding(
                        check="case",
                        severity=Severity.WARNING,
                        place=place.files[side],
                        message=f"{shares[kind]:.0%} of the lines {self._KINDS[kind]}, "
                        f"in the training text {usual[kind]:.0%}",
                        advice="write all sets in the same case",
                        share=float(abs(shares[kind] - usual[kind])),
                    )


class UnseenWords:
    """Finds sets with many words that do not occur in the training text, because of another domain or spelling.

    The expected share of unseen words in new text of the same kind is the share of the words that the training text has
    exactly once (Good 1953). It is higher in languages with many word forms.
    """

    def __init__(self) -> None:
        self._words: dict[tuple[Place, int], Counter[str]] = {}
        self._lines: dict[tuple[Place, int], list[str]] = {}
        self._unseen: tuple[set[str], set[str]] | None = None
        self._counts = tuple(np.zeros(_BUCKETS, dtype=np.uint8) for _ in SIDES)
        self._totals = [0, 0]
        self._seen = (SeenHashes(), SeenHashes())

    def add(self, chunk: Chunk) -> None:
        """Collect the words of the other sets, and remove the words that occur in the training text."""
        for side in SIDES:
            words = chunk.sides[side].words
            if chunk.place.set != "train":
                self._words.setdefault((chunk.place, side), Counter()).update(words)
                continue
            if self._unseen is None:
                unseen: tuple[set[str], set[str]] = (set(), set())
                for (_, other), counter in self._words.items():
                    unseen[other].update(counter)
                self._unseen = unseen
            self._unseen[side].difference_update(words)
            lines = chunk.sides[side].lines
            new = self._seen[side].add(np.fromiter(map(hash, lines), np.int64, len(lines)).view(np.uint64))
            if not new.all():  # repeated lines do not count, because they make rare words look frequent
                words = SideLines(list(itertools.compress(lines, new))).words
            counter = Counter(words)
            self._totals[side] += len(words)
            buckets = np.fromiter(map(hash, counter), dtype=np.int64, count=len(counter)) & (_BUCKETS - 1)
            numbers = np.fromiter(counter.values(), dtype=np.int64, count=len(counter))
            counts = self._counts[side]
            counts[buckets] = np.minimum(counts[buckets] + numbers, 2)

    def report(self) -> Iterable[Finding]:
        """Report sets with many more unseen words than expected."""
        for (place, side), counter in self._words.items():
            total = counter.total()
            if self._unseen is None or total < _UNSEEN_WORDS or not self._totals[side]:
                continue
            unseen = Counter({word: counter[word] for word in counter.keys() & self._unseen[side]})
            share = unseen.total() / total
            expected = int((self._counts[side] == 1).sum()) / self._totals[side]
            if share >= _UNSEEN_FACTOR * expected and share >= expected + _UNSEEN_EXTRA:
                words = ", ".join(word for word, _ in unseen.most_common(6))
                yield Finding(
                    check="unseen-words",
                    severity=Severity.WARNING,
                    place=place.files[side],
                    message=f"{share:.0%} of the words are not in the training text, {expected:.0%} would be usual: "
                    f"{words}",
                    advice="add training text of this kind, or expect low scores on it",
                    share=share,
                    count=unseen.total(),
                )
