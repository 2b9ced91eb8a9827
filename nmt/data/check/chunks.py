"""The text that checks read: consecutive pairs of a corpus, and a sample of all pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nmt.data.check.letters import APOSTROPHE, Keys, Letters, hash_letters, read_letters, split_words

Set = Literal["train", "valid", "held_out"]

SIDES = (0, 1)
"""The indices of the source and the target side."""

_IDEOGRAPHS = 0x2E80  # the first code point of the scripts of East Asia

CHUNK = 2_000
"""The number of pairs of a chunk."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A corpus as findings name it."""

    set: Set
    """The key of the configuration that names the corpus."""
    name: str
    """A description of the corpus."""
    files: tuple[str, str]
    """The names of both sides: two files, or twice the same file or dataset."""
    languages: tuple[str, str]
    """The source and the target language."""

    def locate(self, side: int, index: int) -> str:
        """Return the file and the line number of a line, given its index from 0."""
        return f"{self.files[side]}:{index + 1}"


class Side:
    """One side of consecutive pairs. Everything that several checks need is computed once."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines

    @cached_property
    def text(self) -> str:
        """All lines, separated by line feeds."""
        return "\n".join(self.lines)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The number of characters of each line."""
        return np.fromiter(map(len, self.lines), dtype=np.int64, count=len(self.lines))

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The place in `text` where each line begins."""
        return np.cumsum(self.lengths + 1) - self.lengths - 1

    @cached_property
    def letters(self) -> Letters:
        """The letters and numbers of the lines."""
        return read_letters(self.lines, numbers=True)

    @cached_property
    def letter_counts(self) -> NDArray[np.int64]:
        """The number of letters and numbers of each line. One of Chinese, Japanese or Korean counts as three."""
        kept = self.letters.codes > APOSTROPHE
        weights = np.where(self.letters.codes[kept] >= _IDEOGRAPHS, 3, 1)
        return np.bincount(self.letters.lines[kept], weights=weights, minlength=len(self.lines)).astype(np.int64)

    @cached_property
    def keys(self) -> Keys:
        """A hash of the letters and numbers of each line."""
        return hash_letters(self.letters)

    @cached_property
    def words(self) -> list[str]:
        """The lower-cased words of all lines, without punctuation."""
        return split_words(self.letters)


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Consecutive pairs of a corpus."""

    place: Place
    first: int
    """The index of the first pair within its corpus, from 0."""
    sides: tuple[Side, Side]

    def __len__(self) -> int:
        return len(self.sides[0].lines)


class Sample:
    """Chunks that are spread evenly over all pairs, kept as UTF-8 so that they take little memory.

    While the text fits into `limit` bytes, all chunks are kept. Whenever it does not, every second one is dropped.
    """

    def __init__(self, limit: int) -> None:
        self.step = 1
        """One chunk in this many is kept."""
        self._limit, self._size, self._seen = limit, 0, 0
        self._kept: list[tuple[int, Place, int, tuple[bytes, bytes]]] = []

    def add(self, chunk: Chunk) -> None:
        """Keep a chunk, unless the sample leaves it out."""
        number, self._seen = self._seen, self._seen + 1
        if number % self.step:
            return
        source, target = (side.text.encode("utf-8", "surrogatepass") for side in chunk.sides)
        self._kept.append((number, chunk.place, chunk.first, (source, target)))
        self._size += len(source) + len(target)
        while self._size > self._limit and len(self._kept) > 1:
            self.step *= 2
            self._kept = [kept for kept in self._kept if kept[0] % self.step == 0]
            self._size = sum(len(source) + len(target) for *_, (source, target) in self._kept)

    def __iter__(self) -> Iterator[Chunk]:
        for _, place, first, texts in self._kept:
            source, target = (Side(text.decode("utf-8", "surrogatepass").split("\n")) for text in texts)
            yield Chunk(place=place, first=first, sides=(source, target))
