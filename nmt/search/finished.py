"""Finished hypotheses: how they are ranked, and when a sentence needs no more of them."""

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nmt.search.beam import Advance, Beam, Ended
from nmt.search.extensions import Ids
from nmt.search.options import SearchOptions

# Those who leave make the others move together, in all the memory of a scorer; so they wait until they are this part.
LEAVING = 1 / 8


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A finished translation, in ids."""

    ids: list[int]
    """Pieces without BOS and EOS."""
    log_probability: float
    """log P of the pieces and EOS."""
    score: float
    """log P / length^α, with the coverage penalty if there is one: what hypotheses are ranked by."""
    attention: Tensor | None
    """Weights over the source pieces, (len(ids) + 1, S), EOS included on both sides; only if the options ask for it."""


class LengthNormalization:
    """score = log P / length^α, EOS counted in the length (Jean et al. 2015)."""

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def score(self, log_probability: float, length: int) -> float:
        return log_probability / float(length**self.exponent)

    def log_probability(self, score: float, length: int) -> float:
        """That which at this length makes this score."""
        return score * float(length**self.exponent)


class CoveragePenalty:
    """cp = β Σ_s log min(Σ_t a_ts, 1): what source pieces that were not looked at cost (Wu et al. 2016, eq. 14)."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def score(self, attention: Tensor) -> float:
        """Never above 0, of attention weights (T, S), EOS included on both sides."""
        least = torch.finfo(attention.dtype).tiny  # a piece without any attention costs much, not everything
        return self.weight * float(attention.sum(dim=0).clamp(least, 1.0).log().sum())

    def noise(self, source_length: int) -> float:
        """How much more than log P a score may differ between batches: the logarithm of each weight does as log P does."""
        return 1.0 + self.weight * source_length


@dataclass(frozen=True, kw_only=True)
class End:
    """Where a hypothesis ended: its pieces are read only if it is among the best."""

    score: float
    log_probability: float
    row: int
    ended: Ended

    def pieces(self) -> list[int]:
        return self.ended.beam.pieces(self.row)


class Finished:
    """The finished hypotheses of each sentence of a batch.

    Args:
        lengths: of the sources, EOS counted.
        options: of the search.
    """

    def __init__(self, lengths: Sequence[int], options: SearchOptions) -> None:
        self.lengths = lengths
        self.options = options
        self.ranker = LengthNormalization(options.length_penalty)
        self.penalty = CoveragePenalty(options.coverage_penalty) if options.coverage_penalty else None
        self._ends: list[list[End]] = [[] for _ in lengths]
        self._margins = np.full(len(lengths), np.inf)
        # The log P that a live hypothesis must exceed to be of interest: −∞ as long as all are, ∞ when its sentence is done.
        self._bars = np.full(len(lengths), -np.inf)

    def add(self, step: Advance) -> None:
        """Takes in what ended and what was decided at one step, of the sentences that are not done."""
        if step.margins is not None:
            sentences = step.beam.sentences
            open_margins = np.where(self._bars[sentences] < np.inf, step.margins, np.inf)
            self._margins[sentences] = np.fmin(self._margins[sentences], open_margins)
        if step.ended is not None:
            self._take(step.ended)

    def _take(self, ended: Ended) -> None:
        beam, length = ended.beam, ended.beam.length + 1
        sentences = beam.sentences[ended.rows // beam.log_probabilities.shape[1]]
        taken = [index for index, bar in enumerate(self._bars[sentences]) if bar < np.inf]
        for index in taken:
            log_probability, row = float(ended.log_probabilities[index]), int(ended.rows[index])
            score = self.ranker.score(log_probability, length)
            if self.penalty:
                score += self.penalty.score(ended.weights(row)[:, : self.lengths[sentences[index]]])
            end = End(score=score, log_probability=log_probability, row=row, ended=ended)
            self._ends[sentences[index]].append(end)
        for sentence in set(sentences[taken].tolist()):
            self._bars[sentence] = self._bar(sentence)

    def _bar(self, sentence: int) -> float:
        """The log P that a live hypothesis of a sentence must exceed.

        log P only falls, no length passes the limit, and the coverage penalty gives nothing: so nothing that grows from a live
        hypothesis scores better than its log P over the greatest length, and one that does not beat the n-best so changes
        nothing. Unless the search is to be exact, a sentence is done as soon as `beam` hypotheses have finished.
        """
        found = self._ends[sentence]
        if len(found) < self.options.nbest:
            return -np.inf
        if len(found) >= self.options.beam and not self.options.exact:
            return np.inf
        worst = heapq.nlargest(self.options.nbest, (end.score for end in found))[-1]
        return self.ranker.log_probability(worst, self.options.max_length(self.lengths[sentence]) + 1)

    def staying(self, beam: Beam) -> Ids | None:
        """Rows of the beam's sentences that go on in the search; None: all.

        A sentence without a live hypothesis of interest, or whose log P is no number, is done. It may stay for a while: nothing
        of it counts any more.
        """
        wanted = beam.log_probabilities[:, 0] > self._bars[beam.sentences]
        count, B = np.count_nonzero(wanted), len(wanted)
        if count == B:
            return None
        self._bars[beam.sentences[~wanted]] = np.inf
        return None if count and B - count < LEAVING * B else np.flatnonzero(wanted)

    def complete(self) -> bool:
        """Whether every sentence has a hypothesis."""
        return all(self._ends)

    def best(self, sentence: int) -> list[Hypothesis]:
        """The n-best, best first; equal scores in the order of their ids."""
        length = self.lengths[sentence]
        return [
            Hypothesis(
                ids=end.pieces(),
                log_probability=end.log_probability,
                score=end.score,
                attention=end.ended.weights(end.row)[:, :length] if self.options.attention else None,
            )
            for end in self._ranked(sentence)[: self.options.nbest]
        ]

    def margin(self, sentence: int) -> float:
        """By how little it was decided what `best` returns and in which order, in nats of log P or of score."""
        scores = [end.score for end in self._ranked(sentence)[: self.options.nbest + 1]]
        noise = self.penalty.noise(self.lengths[sentence]) if self.penalty else 1.0
        gaps = ((better - worse) / noise for better, worse in itertools.pairwise(scores))
        return min([float(self._margins[sentence]), *gaps])

    def _ranked(self, sentence: int) -> list[End]:
        found = sorted(self._ends[sentence], key=lambda end: -end.score)
        if any(first.score == second.score for first, second in itertools.pairwise(found)):
            found.sort(key=lambda end: (-end.score, end.pieces()))
        return found
