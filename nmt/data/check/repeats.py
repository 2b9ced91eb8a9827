"""Checks of repeated text: duplicates, boilerplate, and training pairs in validation or test text."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nmt.data.check.chunks import SIDES, Chunk, Place, Sample
from nmt.data.check.findings import MAX_EXAMPLES, Example, Finding, Severity
from nmt.data.check.letters import Keys
from nmt.data.cleaning import SeenHashes, contains_hashes

_DUPLICATES = 0.02  # the smallest share of duplicates that is reported; good corpora also repeat short sentences
# From this share or this number of leaked pairs on, the finding is a warning. Fewer leaked pairs are only a note,
# because they can occur by chance.
_LEAKS = 0.005
_LEAKED_PAIRS = 20
_SHORT = 15  # the least number of letters of both sides; shorter pairs, such as greetings, are repeated by chance
_BOILERPLATE = 0.001  # a text is boilerplate if at least this share of the lines consists of it
_BOILERPLATE_LENGTH = 20  # the least length of boilerplate in characters; shorter lines are words such as "Yes."
_BOILERPLATE_COUNT = 20


class Duplicates:
    """Finds pairs that occur several times in the training text."""

    def __init__(self) -> None:
        self._seen: dict[Place, SeenHashes] = {}
        self._count: Counter[Place] = Counter()
        self._total: Counter[Place] = Counter()
        self._examples: dict[Place, list[Example]] = {}

    def add(self, chunk: Chunk) -> None:
        """Count the pairs that are equal to an earlier pair of the corpus."""
        if chunk.place.set != "train":
            return
        place, sources = chunk.place, chunk.sides[0].lines
        repeated = np.flatnonzero(~self._seen.setdefault(place, SeenHashes()).add(chunk.hashes))
        self._total[place] += len(chunk)
        self._count[place] += len(repeated)
        examples = self._examples.setdefault(place, [])
        for index in repeated[: MAX_EXAMPLES - len(examples)].tolist():
            examples.append(Example(where=place.locate(0, chunk.first + index), text=sources[index]))

    def report(self) -> Iterable[Finding]:
        """Report corpora with many duplicates."""
        for place, count in self._count.items():
            share = count / self._total[place]
            if share >= _DUPLICATES:
                yield Finding(
                    check="duplicates",
                    severity=Severity.NOTE,
                    place=place.name,
                    message=f"{count:,} of {self._total[place]:,} pairs ({share:.0%}) repeat an earlier pair",
                    advice="nothing, as long as data.drop_duplicates is true",
                    share=share,
                    count=count,
                    examples=tuple(self._examples[place]),
                )


class Leakage:
    """Finds validation and held-out pairs that also occur in the training text.

    Two pairs count as the same if their letters and numbers are the same.
    """

    def __init__(self, *, ignore_exact: bool = False) -> None:
        """Prepare to find leaked pairs. `ignore_exact` ignores exact copies, which training leaves out by default."""
        self._ignore_exact = ignore_exact
        self._parts: dict[Place, list[tuple[Keys, Keys]]] = {}
        self._examples: dict[Place, dict[int, str]] = {}
        self._table: tuple[Keys, NDArray[np.int64], Keys] | None = None
        self._places: list[Place] = []
        self._leaks: dict[Place, dict[int, tuple[str, bool]]] = {}

    def add(self, chunk: Chunk) -> None:
        """Record the pairs of validation and held-out text. Look up the pairs of training text among them."""
        keys, exact = combine_keys(chunk), chunk.hashes
        if chunk.place.set != "train":
            self._parts.setdefault(chunk.place, []).append((keys, exact))
            return
        if self._table is None:
            self._table = self._build_table()
        known, owners, exacts = self._table
        for index in np.flatnonzero(contains_hashes(known, keys) & (keys > 0)).tolist():
            where = chunk.place.locate(0, chunk.first + index)
            first, last = np.searchsorted(known, keys[index], "left"), np.searchsorted(known, keys[index], "right")
            for row in range(int(first), int(last)):
                place, line = self._places[int(owners[row, 0])], int(owners[row, 1])
                same = bool(exacts[row] == exact[index])
                before = self._leaks.setdefault(place, {}).get(line)
                if before is None or (same and not before[1]):
                    self._leaks[place][line] = (where, same)

    def _build_table(self) -> tuple[Keys, NDArray[np.int64], Keys]:
        """Build a table of the N pairs that were recorded. It is sorted by key.

        Returns:
            Three arrays with one row for each pair:

            - (N,) the key of the pair, from `combine_keys`
            - (N, 2) the index of its corpus in `_places`, and the index of its line
            - (N,) the hash of its exact text
        """
        self._places = list(self._parts)
        keys = [np.empty(0, dtype=np.uint64)]
        owners, exacts = [np.empty((0, 2), dtype=np.int64)], [np.empty(0, dtype=np.uint64)]
        for number, parts in enumerate(self._parts.values()):
            keys += [part for part, _ in parts]
            exacts += [part for _, part in parts]
            count = sum(len(part) for part, _ in parts)
            owners.append(np.stack([np.full(count, number), np.arange(count)], axis=1))
        joined = np.concatenate(keys)
        order = np.argsort(joined, kind="stable")
        return joined[order], np.concatenate(owners)[order], np.concatenate(exacts)[order]

    def report(self) -> Iterable[Finding]:
        """Report sets that have pairs in the training text."""
        for place, leaks in self._leaks.items():
            total = sum(len(keys) for keys, _ in self._parts[place])
            if self._ignore_exact:
                leaks = {line: leak for line, leak in leaks.items() if not leak[1]}
            exact = sum(same for _, same in leaks.values())
            loose, share = len(leaks) - exact, len(leaks) / total
            serious = len(leaks) >= _LEAKED_PAIRS or share >= _LEAKS
            if len(leaks) < 2:
                continue
            kinds = [
                f"{exact:,} exactly" if exact else "",
                f"{loose:,} with other case, punctuation or spaces" if loose else "",
            ]
            advice = "leave these pairs out of the training text (--fix does), or scores are too high"
            if not loose:
                advice = "data.drop_overlap leaves them out of training; keep it true"
            first = sorted(leaks.items(), key=lambda item: item[1][1])[:MAX_EXAMPLES]
            yield Finding(
                check="leakage",
                severity=Severity.WARNING if serious else Severity.NOTE,
                place=place.name,
                message=f"{len(leaks):,} of {total:,} pairs ({share:.1%}) are in the training text, "
                + " and ".join(kind for kind in kinds if kind),
                advice=advice,
                share=share,
                line=min(leaks) + 1,
                count=len(leaks),
                examples=tuple(
                    Example(where=place.locate(0, line), text=f"also {where}") for line, (where, _) in first
                ),
            )


def combine_keys(chunk: Chunk) -> Keys:
    """Return a hash of the letters and numbers of each pair. It is 0 if a pair is short or has an empty side."""
    source, target = (side.keys for side in chunk.sides)
    pairs: Keys = (source * np.uint64(0x9E3779B97F4A7C15)) ^ target
    lengths = chunk.sides[0].letter_counts + chunk.sides[1].letter_counts
    return np.where((source > 0) & (target > 0) & (lengths >= _SHORT), pairs, np.uint64(0))


class Boilerplate:
    """Finds lines that are repeated very often, such as notices and headings."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def add(self, chunk: Chunk) -> None:
        """Do nothing, because the check reads the sample."""

    def report(self) -> Iterable[Finding]:
        """Report the most frequent long lines of each side of each training corpus."""
        counts: dict[tuple[Place, int], Counter[str]] = {}
        totals: Counter[Place] = Counter()
        for chunk in self._sample:
            if chunk.place.set == "train":
                totals[chunk.place] += len(chunk)
                for side in SIDES:
                    long = (line for line in chunk.sides[side].lines if len(line) >= _BOILERPLATE_LENGTH)
                    counts.setdefault((chunk.place, side), Counter()).update(long)
        for (place, side), counter in counts.items():
            fewest = max(_BOILERPLATE_COUNT, _BOILERPLATE * totals[place])
            frequent = [(text, count) for text, count in counter.most_common(50) if count >= fewest]
            if frequent:
                count, share = sum(count for _, count in frequent), sum(count for _, count in frequent) / totals[place]
                texts = "the same text" if len(frequent) == 1 else f"one of {len(frequent)} texts"
                yield Finding(
                    check="boilerplate",
                    severity=Severity.NOTE,
                    place=place.files[side],
                    message=f"{share:.1%} of the lines are {texts}",
                    advice="keep one copy of each if this is boilerplate",
                    share=share,
                    count=count * self._sample.step,
                    examples=tuple(
                        Example(where=f"{count:,} times", text=text) for text, count in frequent[:MAX_EXAMPLES]
                    ),
                )
