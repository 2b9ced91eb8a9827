"""Rerankers, which compute the score by which finished hypotheses are ranked. A higher score is better.

The score of a hypothesis begins as its log P, and each reranker in a list changes the score in turn. To add a reranker,
write a class in this module and let `build_rerankers` add it to its list. The decoding loop does not change.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from nmt.search.options import SearchOptions


class Scored(Protocol):
    """The view of a finished hypothesis that rerankers get."""

    @property
    def length(self) -> int:
        """The number of tokens, EOS counted."""
        ...

    def tokens(self) -> list[int]:
        """Return the ids of the tokens, without BOS and EOS."""
        ...

    def attention(self) -> Tensor:
        """Return the attention weights, (length, S), EOS included on both sides.

        Only a reranker with `needs_attention` may call this method.
        """
        ...


class Reranker(Protocol):
    """One step of the computation that turns log P of a finished hypothesis into its score."""

    needs_attention: bool
    """Whether `rescore` reads attention weights. If it does, the search keeps them."""

    def rescore(self, score: float, hypothesis: Scored) -> float:
        """Return the new score of a hypothesis, computed from the score before this step."""
        ...

    def lower_bound(self, score: float, length: int) -> float:
        """Return the least input with which `rescore` may return `score` for a hypothesis of at most `length` tokens.

        The search drops live hypotheses below this bound. A bound of −∞ is always correct, and drops no hypothesis.
        """
        ...

    def tolerance(self, source_length: int) -> float:
        """Return how much this step adds to the rounding error of a score, as a multiple of `Scorer.tolerance`.

        `Scorer.tolerance` is the rounding error of log P.
        """
        ...


class LengthNormalization:
    """Divides the score by length^α (Jean et al. 2015). EOS counts in the length."""

    needs_attention = False

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def rescore(self, score: float, hypothesis: Scored) -> float:
        return score / float(hypothesis.length**self.exponent)

    def lower_bound(self, score: float, length: int) -> float:
        return score * float(length**self.exponent)

    def tolerance(self, source_length: int) -> float:  # noqa: ARG002 - division by at least 1
        return 0.0


class CoveragePenalty:
    """Lowers the score for each source token s with little attention (Wu et al. 2016, eq. 14).

    With the attention weight a_ts of target token t on source token s, the new score is
    score + β Σ_s log min(Σ_t a_ts, 1).
    """

    needs_attention = True

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def rescore(self, score: float, hypothesis: Scored) -> float:
        attention = hypothesis.attention()
        smallest = torch.finfo(attention.dtype).tiny  # without attention, a token has a large but finite penalty
        return score + self.weight * float(attention.sum(dim=0).clamp(smallest, 1.0).log().sum())

    def lower_bound(self, score: float, length: int) -> float:  # noqa: ARG002 - the penalty never raises a score
        return score

    def tolerance(self, source_length: int) -> float:
        return self.weight * source_length  # the logarithm of each sum varies as much as log P


def build_rerankers(options: SearchOptions) -> Sequence[Reranker]:
    """Return the rerankers that the options ask for, in the order in which they are applied."""
    rerankers: list[Reranker] = [LengthNormalization(options.length_penalty)]
    if options.coverage_penalty:
        rerankers.append(CoveragePenalty(options.coverage_penalty))
    return rerankers
