"""The set of the source words that a model has seen in training. It shows how far other text is from that text.

Case and punctuation do not count. In languages without spaces between words, pairs of adjacent letters take the place
of words. The set has a hash of 32 bits for each word, so one unknown word in some thousands counts as known.
"""

import itertools
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from nmt.data.check.letters import read_letters, split_words
from nmt.errors import ModelError
from nmt.metrics.languages import WITHOUT_SPACES, language_code
from nmt.system.files import reason

MAX_WORDS = 8_000_000
"""The largest number of words in a set. Further words count as unknown."""

_CHUNK = 10_000  # the number of lines that are read at once


class KnownWords:
    """A set of words. `count_unknown` counts the words of a text that are not in the set."""

    def __init__(self, hashes: NDArray[np.uint32]) -> None:
        """Build a set from the hashes of its words, in increasing order."""
        self._hashes = hashes

    def __len__(self) -> int:
        return len(self._hashes)

    @classmethod
    def learn(cls, lines: Iterable[str], language: str) -> Self:
        """Return the words of a text in a language. The lines must be normalized, and must not contain line feeds."""
        known, lines = cls(np.empty(0, dtype=np.uint32)), iter(lines)
        while chunk := list(itertools.islice(lines, _CHUNK)):
            known = known.join(cls(_hash_words(_count_words(chunk, language))))
        return known

    def join(self, other: Self) -> Self:
        """Return the union of two sets."""
        return type(self)(np.union1d(self._hashes, other._hashes)[:MAX_WORDS])

    def count_unknown(self, lines: Sequence[str], language: str) -> tuple[int, int]:
        """Return the number of words of a text that are not in the set, and the number of all its words."""
        counts = _count_words(lines, language)
        unknown = ~np.isin(_hash_words(counts), self._hashes)
        return int(np.fromiter(counts.values(), np.int64, len(counts))[unknown].sum()), counts.total()

    def to_bytes(self) -> bytes:
        """Return the content of a file that `from_bytes` reads."""
        return save({"words": self._hashes})

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Self:
        """Read the result of `to_bytes`.

        Raises:
            ModelError: the content is damaged. The message contains `where`, the path of the file.
        """
        try:
            hashes = load(content)["words"]
            if hashes.dtype != np.uint32 or hashes.ndim != 1 or not (hashes[:-1] < hashes[1:]).all():
                raise ValueError("its words have another form")
            return cls(hashes)
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ModelError(f"{where}: cannot be read ({reason(error)}); copy the whole folder again") from error


def _count_words(lines: Sequence[str], language: str) -> Counter[str]:
    words = split_words(read_letters(lines, numbers=True))
    if language_code(language) in WITHOUT_SPACES:
        return Counter(word[begin : begin + 2] for word in words for begin in range(max(1, len(word) - 1)))
    return Counter(words)


def _hash_words(words: Iterable[str]) -> NDArray[np.uint32]:
    return np.array([zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words], dtype=np.uint32)
