"""Random segmentation of text: subword regularization (Kudo 2018) and BPE-dropout (Provilkov et al. 2020).

SentencePiece can also sample segmentations. But its version 0.2.3 draws different random numbers in each process, even
with the same seed, so training could be neither repeated nor resumed exactly. This module seeds a generator for each
text instead.
"""

import heapq
import itertools
import math
import random
import re
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from nmt.tokenizers.model_file import SubwordModel
from nmt.types import UNK

_SPACE = "▁"
_UNKNOWN_PENALTY = 10.0  # the lowest score of a piece minus the score of an unknown character, as in SentencePiece
_CACHED_WORDS = 1 << 15
_CACHED_LENGTH = 20  # longer words are not cached, because in languages without spaces each sentence is one word

Draw = Callable[[], float]  # returns the next random number, uniform in [0, 1)


class Sampler:
    """A sampler of segmentations. Each sampled segmentation depends only on the normalized text and its seed."""

    def __init__(self, model: SubwordModel, strength: float) -> None:
        """Prepare to sample from a model.

        Args:
            model: a unigram or BPE model.
            strength: for a unigram model, the exponent α of the probabilities. For BPE, the probability that a merge
                is skipped.
        """
        kinds: dict[str, type[UnigramSampler | DropoutSampler]] = {"unigram": UnigramSampler, "bpe": DropoutSampler}
        self._segment = kinds[model.kind](model, strength).segment
        self._symbols = model.symbols
        self._merges_unknown = not model.byte_ids
        # A word is segmented together with the space before it. If any piece spans several words, the whole text is
        # segmented as one word.
        spans_words = any(_SPACE in piece[1:] for piece in model.pieces)
        words = ".+" if spans_words else f"{_SPACE}[^{_SPACE}]*|[^{_SPACE}]+"
        self._words = re.compile(words, re.DOTALL)
        longest_first = sorted(model.symbols, key=len, reverse=True)
        self._split = re.compile(f"({'|'.join(map(re.escape, longest_first))})").split if longest_first else None

    def sample(self, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
        """Return the ids of a random segmentation of each text. Texts must be normalized by SentencePiece."""
        generator, samples = random.Random(0), []
        for text, seed in zip(texts, seeds, strict=True):
            generator.seed(seed)
            samples.append(self._sample(text, generator.random))
        return samples

    def _sample(self, text: str, draw: Draw) -> list[int]:
        ids: list[int] = []
        for part in self._split(text) if self._split else (text,):
            if part in self._symbols:
                ids.append(self._symbols[part])
            else:
                for word in self._words.findall(part):
                    ids += self._segment(word, draw)
        if self._merges_unknown and UNK in ids:  # adjacent unknown characters are one UNK, as in SentencePiece
            return [id_ for known, group in itertools.groupby(ids, UNK.__ne__) for id_ in (group if known else (UNK,))]
        return ids


class UnigramSampler:
    """Draws segmentations of words. A segmentation x has a probability proportional to P(x)^α.

    Source: Kudo 2018, section 3.2, with l = ∞.

    The method is forward filtering and backward sampling. The forward sums of common words are cached.
    """

    def __init__(self, model: SubwordModel, alpha: float) -> None:
        self._model, self._alpha = model, alpha
        self._longest = max(map(len, model.pieces), default=1)
        self._unknown = min((score for _, score in model.pieces.values()), default=0.0) - _UNKNOWN_PENALTY
        self._lattice = lru_cache(maxsize=_CACHED_WORDS)(self._make_lattice)

    def segment(self, word: str, draw: Draw) -> list[int]:
        lattice = self._lattice(word) if len(word) <= _CACHED_LENGTH else self._make_lattice(word)
        pieces, end = [], len(word)
        while end:
            sums, choices = lattice[end - 1]
            chosen = bisect(sums, draw() * sums[-1], hi=len(sums) - 1) if len(sums) > 1 else 0
            end, ids = choices[chosen]
            pieces.append(ids)
        return [id_ for ids in reversed(pieces) for id_ in ids]

    def _make_lattice(self, word: str) -> list[tuple[list[float], list[tuple[int, list[int]]]]]:
        """List the pieces that can end at each position of a word.

        Returns:
            Two lists for each end position: the cumulative weights of the pieces that end there, and the start position
            and the ids of each of these pieces. The weights of a position are proportional to probabilities.
        """
        pieces, lattice = self._model.pieces, []
        totals = [0.0]  # for each position, the log of the total weight of all segmentations up to this position
        for end in range(1, len(word) + 1):
            # A piece that ends here has a start position, ids and a score.
            starts = range(max(0, end - self._longest), end)
            found = [(start, pieces[word[start:end]]) for start in starts if word[start:end] in pieces]
            arcs = [(start, [id_], score) for start, (id_, score) in found]
            if word[end - 1] not in pieces:
                arcs.append((end - 1, _ids(word[end - 1], self._model), self._unknown))
            weights = [totals[start] + self._alpha * score for start, _, score in arcs]
            highest = max(weights)
            sums = list(itertools.accumulate(math.exp(weight - highest) for weight in weights))
            totals.append(highest + math.log(sums[-1]))
            lattice.append((sums, [(start, ids) for start, ids, _ in arcs]))
        return lattice


class DropoutSampler:
    """BPE that skips each merge with a fixed probability (Provilkov et al. 2020)."""

    def __init__(self, model: SubwordModel, dropout: float) -> None:
        self._model, self._dropout = model, dropout
        self._cached = lru_cache(maxsize=_CACHED_WORDS)(self._merge_all)

    def segment(self, word: str, draw: Draw) -> list[int]:
        ids, merges = self._cached(word) if len(word) <= _CACHED_LENGTH else self._merge_all(word)
        # The number of merges before the first skipped merge has a geometric distribution. This number is drawn first.
        # Most words skip no merge, so their ids can be taken from the cache.
        first = 0
        if merges and self._dropout < 1:
            first = int(math.log(1 - draw()) / math.log(1 - self._dropout))
        if first >= merges:
            return ids
        later = (draw() < self._dropout for _ in itertools.count())
        return self._merge(word, itertools.chain(itertools.repeat(False, first), [True], later))[0]

    def _merge_all(self, word: str) -> tuple[list[int], int]:
        return self._merge(word, itertools.repeat(False))

    def _merge(self, word: str, skips: Iterator[bool]) -> tuple[list[int], int]:
        """Merge the characters of a word into pieces. The best merge comes first, and the leftmost of equal merges.

        Args:
            word: the word.
            skips: for each merge in turn, whether to skip the merge.

        Returns:
            The ids of the word, and the number of merges.
        """
        pieces = list(word)  # a piece is stored at its start position, and its other positions hold empty strings
        ends = list(range(1, len(word) + 1))  # the end of each piece, indexed by its start
        begins = list(range(len(word)))  # the start of each piece, indexed by its end - 1
        merges = 0
        agenda: list[tuple[float, int, int, int]] = []  # -score, start, middle, end

        def propose(left: int, middle: int) -> None:
            found = self._model.pieces.get(pieces[left] + pieces[middle])
            if found:
                heapq.heappush(agenda, (-found[1], left, middle, ends[middle]))

        for middle in range(1, len(word)):
            propose(middle - 1, middle)
        while agenda:
            _, left, middle, end = heapq.heappop(agenda)
            stale = not pieces[left] or ends[left] != middle or ends[middle] != end
            if stale or next(skips):
                continue
            pieces[left], pieces[middle] = pieces[left] + pieces[middle], ""
            ends[left], begins[end - 1] = end, left
            merges += 1
            if left:
                propose(begins[left - 1], left)
            if end < len(word):
                propose(left, end)
        return [id_ for piece in pieces if piece for id_ in _ids(piece, self._model)], merges


def _ids(piece: str, model: SubwordModel) -> list[int]:
    """Return the id of a known piece. An unknown character has the ids of its bytes, or UNK without byte fallback."""
    if piece in model.pieces:
        return [model.pieces[piece][0]]
    return [model.byte_ids[byte] for byte in piece.encode()] if model.byte_ids else [UNK]
