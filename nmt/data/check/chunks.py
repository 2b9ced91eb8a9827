"""The text that checks read: chunks of consecutive pairs, and a sample of all chunks."""

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

MAX_CHUNK_PAIRS = 2_000
"""The largest number of pairs in a chunk."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The names that findings have for a corpus, its files and its languages."""

    set: Set
    """The key of the configuration that names the corpus."""
    name: str
    """A description of the corpus."""
    files: tuple[str, str]
    """The names of the source and the target file. The two names are equal if one file or dataset has both sides."""
    languages: tuple[str, str]
    """The source and the target language."""

    def locate(self, side: int, index: int) -> str:
        """Return the file name and the line number of the line with this index, as `FILE:NUMBER`."""
        return f"{self.files[side]}:{index + 1}"


class SideLines:
    """One side of consecutive pairs. Values that several checks need are computed only once."""

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
        """The index in `text` at which each line begins."""
        return np.cumsum(self.lengths + 1) - self.lengths - 1

    @cached_property
    def letters(self) -> Letters:
        """The letters and numbers of the lines."""
        return read_letters(self.lines, numbers=True)

    @cached_property
    def letter_counts(self) -> NDArray[np.int64]:
        """The number of letters and digits in each line. A letter of Chinese, Japanese or Korean counts as three."""
        kept = self.letters.codes > APOSTROPHE
        weights = np.where(self.letters.codes[kept] >= _IDEOGRAPHS, 3, 1)
        return np.bincount(self.letters.lines[kept], weights=weights, minlength=len(self.lines)).astype(np.int64)

    @cached_property
    def keys(self) -> Keys:
        """A hash of the letters and numbers in each line."""
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
    """The index of the first pair in the corpus, counted from 0."""
    sides: tuple[SideLines, SideLines]

    @cached_property
    def hashes(self) -> Keys:
        """A hash of the exact text of each pair."""
        pairs = zip(*(side.lines for side in self.sides), strict=True)
        return np.fromiter(map(hash, pairs), np.int64, len(self)).view(np.uint64)

    def __len__(self) -> int:
        return len(self.sides[0].lines)


class Sample:
    """A sample of chunks that are spread evenly over all pairs. They are kept as UTF-8, which takes little memory.

    All chunks are kept while their text has at most `limit` bytes. When the text grows larger, every second chunk is
    dropped.
    """

    def __init__(self, limit: int) -> None:
        self.step = 1
        """One chunk in this many is kept."""
        self._limit, self._size, self._seen = limit, 0, 0
        self._kept: list[tuple[int, Place, int, tuple[bytes, bytes]]] = []

    def add(self, chunk: Chunk) -> None:
        """Offer the next chunk to the sample, which keeps every `step`-th chunk."""
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
            source, target = (SideLines(text.decode("utf-8", "surrogatepass").split("\n")) for text in texts)
            yield Chunk(place=place, first=first, sides=(source, target))
