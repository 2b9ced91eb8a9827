"""Measurements of the training text, from which the settings of training are chosen."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from nmt.config.schema import DataConfig
from nmt.data.check.letters import read_letters, split_words
from nmt.data.check.names import script_of
from nmt.data.cleaning import CleaningReport, SeenHashes, TextFilter, split_chunks
from nmt.data.readers import read_corpora
from nmt.tokenizers.normalization import Normalizers

_CHUNK = 10_000  # the number of pairs that are measured at once


@dataclass(kw_only=True)
class SideMeasures:
    """The measures of one side of a text, after cleaning."""

    words: int = 0
    types: int = 0
    """The number of different words. Case and punctuation do not count."""
    characters: Counter[str] = field(default_factory=Counter)

    @property
    def scripts(self) -> dict[str, float]:
        """The share of the letters in each script, such as LATIN. The most frequent script comes first."""
        counts: Counter[str] = Counter()
        for character, count in self.characters.items():
            if script := script_of(character):
                counts[script] += count
        return {script: count / counts.total() for script, count in counts.most_common()}

    def count_characters(self, coverage: float = 1.0) -> int:
        """Return how many of the most frequent different characters cover this share of the text."""
        covered = np.cumsum([count for _, count in self.characters.most_common()])
        return int(np.searchsorted(covered, coverage * covered[-1])) + 1 if len(covered) else 0


@dataclass(frozen=True, kw_only=True)
class TextMeasures:
    """The measures of the training text."""

    report: CleaningReport
    source: SideMeasures
    target: SideMeasures

    @property
    def pairs(self) -> int:
        """The number of pairs after cleaning."""
        return self.report.kept

    @property
    def sides(self) -> tuple[SideMeasures, SideMeasures]:
        return self.source, self.target

    @property
    def shared_script(self) -> float:
        """The share of the letters that the two sides have in the same scripts, from 0 to 1."""
        target = self.target.scripts
        return sum(min(share, target.get(script, 0.0)) for script, share in self.source.scripts.items())


def measure_text(data: DataConfig, normalizers: Normalizers) -> TextMeasures:
    """Measure the training corpora. Pairs that cleaning leaves out without a tokenizer are not measured.

    Raises:
        DataError: a corpus cannot be read.
    """
    text_filter, seen, report = TextFilter(data, normalizers), SeenHashes(), CleaningReport()
    sides, types = (SideMeasures(), SideMeasures()), (SeenHashes(), SeenHashes())
    for chunk in split_chunks(read_corpora(data.train, data), _CHUNK):
        pairs, counts = text_filter.filter(chunk, seen)
        report += counts
        for side, known, lines in zip(sides, types, zip(*(pair.sides for pair in pairs), strict=True), strict=False):
            words = split_words(read_letters(lines, numbers=True))
            different = set(words)
            side.words += len(words)
            hashes = np.fromiter(map(hash, different), np.int64, len(different)).view(np.uint64)
            side.types += int(known.add(hashes).sum())
            for line in lines:
                side.characters.update(line)
    return TextMeasures(report=report, source=sides[0], target=sides[1])
