"""Finished hypotheses: how they are ranked, and when a sentence needs no more of them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nmt.search.beam import Beam, Ended
from nmt.search.options import SearchOptions


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A finished translation, in ids."""

    ids: list[int]
    """Pieces without BOS and EOS."""
    log_probability: float
    """log P of the pieces and EOS."""
    score: float
    """log P / length^α: what hypotheses are ranked by."""
    attention: Tensor | None
    """Weights over the source pieces, (len(ids) + 1, S), EOS included on both sides; only if the options ask for it."""


class LengthNormalization:
    """score = log P / length^α, EOS counted in the length (Jean et al. 2015)."""

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def score(self, log_probability: float, length: int) -> float:
        return log_probability / float(length**self.exponent)


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
        self.hypotheses: list[list[Hypothesis]] = [[] for _ in lengths]

    def add(self, ended: Ended) -> None:
        """Takes in what ended at one step."""
        for index, (sentence, ids) in enumerate(zip(ended.sentences, ended.pieces, strict=True)):
            log_probability = ended.log_probabilities[index]
            hypothesis = Hypothesis(
                ids=ids,
                log_probability=log_probability,
                score=self.ranker.score(log_probability, len(ids) + 1),
                attention=None if ended.attention is None else ended.attention[index][:, : self.lengths[sentence]],
            )
            self.hypotheses[sentence].append(hypothesis)

    def unsettled(self, beam: Beam) -> list[int]:
        """Rows of the beam's sentences that need further search."""
        best = zip(beam.sentences.tolist(), beam.log_probabilities[:, 0].tolist(), strict=True)
        return [row for row, (sentence, live) in enumerate(best) if not self._settled(sentence, live)]

    def _settled(self, sentence: int, live: float) -> bool:
        """Whether a sentence, whose best live hypothesis has log P `live`, is done.

        It is done when no live hypothesis can beat the n-best, which changes nothing about the result, and, unless the
        search is to be exact, as soon as `beam` hypotheses have finished. log P only falls and no length passes the
        limit, so nothing that grows from a live hypothesis scores better than its log P over the greatest length.
        """
        found = self.hypotheses[sentence]
        if not math.isfinite(live):  # no live hypothesis is left, or the model is broken
            return True
        if len(found) < self.options.nbest:
            return False
        if len(found) >= self.options.beam and not self.options.exact:
            return True
        worst = self.best(sentence)[-1].score
        longest = self.options.max_length(self.lengths[sentence]) + 1
        return self.ranker.score(live, longest) <= worst

    def best(self, sentence: int) -> list[Hypothesis]:
        """The n-best, best first; equal scores in the order of their ids."""
        return self._ranked(sentence)[: self.options.nbest]

    def margin(self, sentence: int) -> float:
        """The smallest difference between neighbouring scores that decided what `best` returns and in which order."""
        scores = [hypothesis.score for hypothesis in self._ranked(sentence)[: self.options.nbest + 1]]
        return min((better - worse for better, worse in itertools.pairwise(scores)), default=float("inf"))

    def _ranked(self, sentence: int) -> list[Hypothesis]:
        return sorted(self.hypotheses[sentence], key=lambda hypothesis: (-hypothesis.score, hypothesis.ids))
