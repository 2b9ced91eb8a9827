"""Checks that look at one line or one pair at a time. To add such a check, list a fault in LINE_FAULTS."""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import DataConfig
from nmt.data.check.chunks import SIDES, Chunk, Place, SideLines
from nmt.data.check.findings import MAX_EXAMPLES, Example, Finding, Severity

_UNREADABLE = re.compile("\ufffd")
_EMPTY = re.compile(r"(?m)^[^\S\n]*$")
_ODD_SPACES = re.compile(r"(?m)^[^\S\n]+|[^\S\n]+$|[^\S\n]{2,}|[^\S\n ]")
# Zero-width characters, soft hyphens, direction marks and control characters. Joiners (200c, 200d) are not included,
# because some scripts need them.
INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x08\x0e-\x1b\x7f-\x9f]")
_MOJIBAKE = re.compile("Ã[\u0080-\u00bf¼¶¤Ÿ©¨]|â€[\u0080-\u00bf™œ“”\u009d]|Â[\u00a0-\u00bf]")
_CHARACTERS_PER_TOKEN = 6  # tokens are rarely longer, so a line with more characters exceeds `data.max_length` tokens
_LOPSIDED_LENGTH = 20  # the least length of the longer side in characters; the ratio of shorter texts varies too much
_UNTRANSLATED_LETTERS = 15  # shorter lines, such as names, may be equal in both languages

Indices = Sequence[int] | NDArray[np.int64]
"""The indices of lines within a chunk, in ascending order."""


@dataclass(frozen=True, kw_only=True)
class LineFault:
    """A fault that single lines or single pairs can have."""

    name: str
    find_lines: Callable[[SideLines], Indices] | None = None
    """For a fault of lines, a function that returns the indices of the lines with the fault."""
    find_pairs: Callable[[Chunk, DataConfig], Indices] | None = None
    """For a fault of pairs, a function that returns the indices of the pairs with the fault."""
    message: str
    """The part of the message that follows the number of lines."""
    advice: str
    severity: Severity
    least: float = 0.0
    """The smallest share of the lines that is reported."""
    fewest: int = 1
    """The smallest number of lines that is reported."""
    severe: float = 2.0
    """The fault is severe if at least this share of the lines has it."""


def find_matches(side: SideLines, pattern: re.Pattern[str]) -> NDArray[np.int64]:
    """Return the indices of the lines in which a pattern occurs. The pattern must not match line feeds."""
    starts = np.fromiter((match.start() for match in pattern.finditer(side.text)), dtype=np.int64)
    return np.unique(np.searchsorted(side.starts, starts, "right") - 1)


def find_decomposed(side: SideLines) -> Indices:
    """Find lines in which letters and accents are separate characters, which is not normalization form NFC."""
    if unicodedata.is_normalized("NFC", side.text):
        return ()
    return [index for index, line in enumerate(side.lines) if not unicodedata.is_normalized("NFC", line)]


def find_long(chunk: Chunk, data: DataConfig) -> Indices:
    """Find pairs that probably exceed `data.max_length` tokens."""
    longer = np.maximum(chunk.sides[0].lengths, chunk.sides[1].lengths)
    return np.flatnonzero(longer > _CHARACTERS_PER_TOKEN * data.max_length)


def find_lopsided(chunk: Chunk, data: DataConfig) -> Indices:
    """Find pairs whose ratio of lengths is unusual.

    The ratio is unusual if it differs from the median ratio of the chunk by more than the factor `data.max_ratio`.
    """
    source, target = (side.lengths for side in chunk.sides)
    ratios = np.log((source + 1) / (target + 1))
    longer = np.maximum(source, target) >= _LOPSIDED_LENGTH
    both = np.minimum(source, target) > 0  # another check finds empty sides
    return np.flatnonzero(longer & both & (np.abs(ratios - np.median(ratios)) > np.log(data.max_ratio)))


def find_untranslated(chunk: Chunk, data: DataConfig) -> Indices:  # noqa: ARG001 - all functions of pairs take it
    """Find pairs with the same letters and numbers on both sides."""
    source, target = chunk.sides
    return np.flatnonzero((source.keys == target.keys) & (source.letter_counts >= _UNTRANSLATED_LETTERS))


LINE_FAULTS = (
    LineFault(
        name="untranslated",
        find_pairs=find_untranslated,
        message="have the same text on both sides",
        advice="leave them out (--fix does): the model learns to copy",
        severity=Severity.WARNING,
        least=0.003,
        fewest=3,
        severe=0.2,
    ),
    LineFault(
        name="unreadable",
        find_lines=lambda side: find_matches(side, _UNREADABLE),
        message="are not UTF-8",
        advice="convert the file, for example: iconv -f latin1 -t utf-8",
        severity=Severity.WARNING,
        severe=0.05,
    ),
    LineFault(
        name="mojibake",
        find_lines=lambda side: find_matches(side, _MOJIBAKE),
        message="have letters of a wrong encoding",
        advice="repair the file, for example with ftfy",
        severity=Severity.WARNING,
        fewest=3,
    ),
    LineFault(
        name="decomposed",
        find_lines=find_decomposed,
        message="have letters and accents as separate characters (not NFC)",
        advice="compose them in all files (--fix does)",
        severity=Severity.WARNING,
        least=0.001,
        fewest=3,
    ),
    LineFault(
        name="empty",
        find_lines=lambda side: find_matches(side, _EMPTY),
        message="have no text",
        advice="nothing in training, which leaves them out; look for lost text if there are many",
        severity=Severity.NOTE,
        least=0.001,
        severe=0.3,
    ),
    LineFault(
        name="lopsided",
        find_pairs=find_lopsided,
        message="have one side that is many times as long as the other, compared with the other pairs",
        advice="read some of them; training leaves out those above data.max_ratio (--fix leaves out all)",
        severity=Severity.NOTE,
        least=0.01,
        severe=0.3,
    ),
    LineFault(
        name="long",
        find_pairs=find_long,
        message="have a side that is probably longer than data.max_length",
        advice="split them into sentences, or they are left out of training",
        severity=Severity.NOTE,
        least=0.002,
    ),
    LineFault(
        name="spaces",
        find_lines=lambda side: np.setdiff1d(find_matches(side, _ODD_SPACES), find_matches(side, _EMPTY)),
        message="begin or end with spaces, or have double or unusual spaces",
        advice="replace them by single spaces (--fix does)",
        severity=Severity.NOTE,
        least=0.02,
    ),
    LineFault(
        name="invisible",
        find_lines=lambda side: find_matches(side, INVISIBLE),
        message="have invisible characters",
        advice="remove them (--fix does)",
        severity=Severity.NOTE,
        least=0.001,
        fewest=3,
    ),
)


class LineFaults:
    """Finds the faults that LINE_FAULTS lists, which show in a single line."""

    def __init__(self, data: DataConfig, faults: Sequence[LineFault] = LINE_FAULTS) -> None:
        self._data, self._faults = data, faults
        self._totals: Counter[Place] = Counter()
        self._counts: Counter[tuple[str, Place, int]] = Counter()
        self._examples: dict[tuple[str, Place, int], list[tuple[int, str]]] = {}

    def add(self, chunk: Chunk) -> None:
        """Count the lines with each fault."""
        self._totals[chunk.place] += len(chunk)
        for fault in self._faults:
            found = [(side, fault.find_lines(chunk.sides[side])) for side in SIDES] if fault.find_lines else []
            found += [(0, fault.find_pairs(chunk, self._data))] if fault.find_pairs else []
            for side, indices in found:
                if len(indices):
                    key = (fault.name, chunk.place, side)
                    self._counts[key] += len(indices)
                    examples = self._examples.setdefault(key, [])
                    for index in map(int, itertools.islice(indices, MAX_EXAMPLES - len(examples))):
                        examples.append((chunk.first + index, chunk.sides[side].lines[index]))

    def report(self) -> Iterable[Finding]:
        """Report each fault that occurs in enough lines."""
        faults = {fault.name: fault for fault in self._faults}
        for (name, place, side), count in self._counts.items():
            fault, share = faults[name], count / self._totals[place]
            if share < fault.least or count < fault.fewest:
                continue
            examples = self._examples[(name, place, side)]
            things = "pairs" if fault.find_pairs else "lines"
            yield Finding(
                check=name,
                severity=Severity.SEVERE if share >= fault.severe else fault.severity,
                place=place.name if fault.find_pairs else place.files[side],
                message=f"{count:,} of {self._totals[place]:,} {things} ({share:.1%}) {fault.message}",
                advice=fault.advice,
                share=share,
                line=examples[0][0] + 1,
                count=count,
                examples=tuple(Example(where=place.locate(side, index), text=text) for index, text in examples),
            )
