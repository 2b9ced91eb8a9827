"""Sampled segmentations: subword regularisation (Kudo 2018) and BPE-dropout (Provilkov et al. 2020).

SentencePiece samples too, but 0.2.3 from random numbers that differ from process to process whatever the seed, so that
no training could be repeated or resumed exactly. Here they come from a generator of our own.
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
_UNKNOWN_PENALTY = 10.0  # log-probability of an unknown character below the rarest piece, as in SentencePiece
_CACHED_WORDS = 1 << 15
_CACHED_LENGTH = 20  # characters at most: where no spaces are, whole sentences are words

Draw = Callable[[], float]  # the next random number, uniform in [0, 1)


class Sampler:
    """Segments normalised text at random, a pure function of the text and its seed."""

    def __init__(self, model: SubwordModel, strength: float) -> None:
        """`strength`: for unigram the power α that probabilities are taken to, for BPE the share of merges left out."""
        kinds: dict[str, type[UnigramSampler | DropoutSampler]] = {"unigram": UnigramSampler, "bpe": DropoutSampler}
        self._segment = kinds[model.kind](model, strength).segment
        self._symbols = model.symbols
        self._merges_unknown = not model.byte_ids
        # A word with the space before it is segmented for itself, unless there are pieces that reach over words.
        over_words = any(_SPACE in piece[1:] for piece in model.pieces)
        words = ".+" if over_words else f"{_SPACE}[^{_SPACE}]*|[^{_SPACE}]+"
        self._words = re.compile(words, re.DOTALL)
        longest_first = sorted(model.symbols, key=len, reverse=True)
        self._split = re.compile(f"({'|'.join(map(re.escape, longest_first))})").split if longest_first else None

    def sample(self, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
        """Ids for each text, which SentencePiece's `normalize` has seen."""
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
        if self._merges_unknown and UNK in ids:  # neighbours are one unknown piece, as in SentencePiece
            return [id_ for known, group in itertools.groupby(ids, UNK.__ne__) for id_ in (group if known else (UNK,))]
        return ids


class UnigramSampler:
    """Draws a segmentation x of a word with a probability proportional to P(x)^α (Kudo 2018, section 3.2, l = ∞).

    Forward filtering, backward sampling: the sums over all ways to reach a place in the word are kept for common words.
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
        """For each place after a character: running sums of the probabilities of the pieces that end there, up to a
        factor, and where these pieces start, with their ids."""
        lattice = []
        totals = [0.0]  # log of the sum over the segmentations up to each place
        for end in range(1, len(word) + 1):
            arcs = self._arcs(word, end)
            weights = [totals[start] + self._alpha * score for start, _, score in arcs]
            highest = max(weights)
            sums = list(itertools.accumulate(math.exp(weight - highest) for weight in weights))
            totals.append(highest + math.log(sums[-1]))
            lattice.append((sums, [(start, ids) for start, ids, _ in arcs]))
        return lattice

    def _arcs(self, word: str, end: int) -> list[tuple[int, list[int], float]]:
        """Start, ids and score of each piece of the word that ends at a place."""
        pieces = self._model.pieces
        starts = range(max(0, end - self._longest), end)
        found = [(start, pieces[word[start:end]]) for start in starts if word[start:end] in pieces]
        arcs = [(start, [id_], score) for start, (id_, score) in found]
        if word[end - 1] not in pieces:
            arcs.append((end - 1, _ids(word[end - 1], self._model), self._unknown))
        return arcs


class DropoutSampler:
    """BPE that leaves out each merge with a probability (Provilkov et al. 2020)."""

    def __init__(self, model: SubwordModel, dropout: float) -> None:
        self._model, self._dropout = model, dropout
        self._known = lru_cache(maxsize=_CACHED_WORDS)(self._whole)

    def segment(self, word: str, draw: Draw) -> list[int]:
        ids, merges = self._known(word) if len(word) <= _CACHED_LENGTH else self._whole(word)
        kept = self._kept(draw) if merges else 0
        return ids if kept >= merges else self._merge(word, self._losses(kept, draw))[0]

    def _whole(self, word: str) -> tuple[list[int], int]:
        """As `_merge` without losses."""
        return self._merge(word, itertools.repeat(False))

    def _kept(self, draw: Draw) -> int:
        """Merges before the first that is lost. Drawn at once, since most words lose none and then are known."""
        if self._dropout >= 1:
            return 0
        return int(math.log(1 - draw()) / math.log(1 - self._dropout))  # a geometric number

    def _losses(self, kept: int, draw: Draw) -> Iterator[bool]:
        """Whether each merge is lost."""
        yield from itertools.repeat(False, kept)
        yield True
        while True:
            yield draw() < self._dropout

    def _merge(self, word: str, losses: Iterator[bool]) -> tuple[list[int], int]:
        """Ids of the word, and how many merges made them. Best merge first, the leftmost among equals."""
        pieces = list(word)  # a piece stands where it begins; what it has swallowed is empty
        ends = list(range(1, len(word) + 1))
        begins = list(range(len(word)))  # of the piece that ends at a place, less one
        merges = 0
        agenda: list[tuple[float, int, int, int]] = []  # less score, left, middle, end

        def propose(left: int, middle: int) -> None:
            found = self._model.pieces.get(pieces[left] + pieces[middle])
            if found:
                heapq.heappush(agenda, (-found[1], left, middle, ends[middle]))

        for middle in range(1, len(word)):
            propose(middle - 1, middle)
        while agenda:
            _, left, middle, end = heapq.heappop(agenda)
            stale = not pieces[left] or ends[left] != middle or ends[middle] != end
            if stale or next(losses):
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
    """The id of a piece; a character that is none is spelled in bytes or unknown."""
    if piece in model.pieces:
        return [model.pieces[piece][0]]
    return [model.byte_ids[byte] for byte in piece.encode()] if model.byte_ids else [UNK]
