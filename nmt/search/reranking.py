"""Rerankers: how finished hypotheses are scored. The best score wins.

The score of a hypothesis begins as its log P, and each reranker of a list changes it in turn. A new one is a class here
that `build_rerankers` adds to its list. The decoding loop does not change.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from nmt.search.options import SearchOptions


class Scored(Protocol):
    """What a reranker may read of a finished hypothesis."""

    @property
    def length(self) -> int:
        """Tokens, EOS counted."""
        ...

    def tokens(self) -> list[int]:
        """Ids without BOS and EOS."""
        ...

    def attention(self) -> Tensor:
        """Attention weights, (length, S), EOS included on both sides. Only for rerankers that need them."""
        ...


class Reranker(Protocol):
    """One step of the way from log P to the score of a finished hypothesis."""

    needs_attention: bool
    """Whether `rescore` reads attention weights, which are then kept."""

    def rescore(self, score: float, hypothesis: Scored) -> float:
        """The score after this step."""
        ...

    def least(self, score: float, length: int) -> float:
        """The score that a hypothesis of at most `length` tokens must have before this step to reach `score` after it.

        The search gives up live hypotheses below it. −∞ is always right, and means that none is given up early.
        """
        ...

    def tolerance(self, source_length: int) -> float:
        """How much this step adds to the uncertainty of a score, in units of that of log P (`Scorer.tolerance`)."""
        ...


class LengthNormalization:
    """score / length^α, EOS counted in the length (Jean et al. 2015)."""

    needs_attention = False

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def rescore(self, score: float, hypothesis: Scored) -> float:
        return score / float(hypothesis.length**self.exponent)

    def least(self, score: float, length: int) -> float:
        return score * float(length**self.exponent)

    def tolerance(self, source_length: int) -> float:  # noqa: ARG002 - division by at least 1
        return 0.0


class CoveragePenalty:
    """score + β Σ_s log min(Σ_t a_ts, 1) (Wu et al. 2016, eq. 14): source tokens with little attention cost score."""

    needs_attention = True

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def rescore(self, score: float, hypothesis: Scored) -> float:
        attention = hypothesis.attention()
        smallest = torch.finfo(
            attention.dtype
        ).tiny  # a token without any attention costs much, but not infinitely much
        return score + self.weight * float(attention.sum(dim=0).clamp(smallest, 1.0).log().sum())

    def least(self, score: float, length: int) -> float:  # noqa: ARG002 - the penalty never raises a score
        return score

    def tolerance(self, source_length: int) -> float:
        return self.weight * source_length  # the logarithm of each sum varies as much as log P does


def build_rerankers(options: SearchOptions) -> Sequence[Reranker]:
    """The rerankers that the options ask for, in the order in which they are applied."""
    rerankers: list[Reranker] = [LengthNormalization(options.length_penalty)]
    if options.coverage_penalty:
        rerankers.append(CoveragePenalty(options.coverage_penalty))
    return rerankers
