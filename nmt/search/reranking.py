"""Rerankers, which compute the scores that rank finished hypotheses. A higher score is better.

The initial score of a hypothesis is log P. Each reranker in a list then changes the score in turn. To add a reranker,
write a class in this module, and add an instance of the class to the list in `build_rerankers`. The decoding loop needs
no change.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from nmt.search.options import SearchOptions


class Scored(Protocol):
    """What rerankers can read of a finished hypothesis."""

    @property
    def length(self) -> int:
        """The number of tokens, including EOS."""
        ...

    def tokens(self) -> list[int]:
        """Return the ids of the tokens, without BOS and EOS."""
        ...

    def attention(self) -> Tensor:
        """Return the attention weights (length, S), including EOS of the source and EOS of the target.

        Only rerankers with `needs_attention` can call this method.
        """
        ...


class Reranker(Protocol):
    """One step in computing the score of a finished hypothesis. The first step receives log P as the score."""

    needs_attention: bool
    """Whether `rescore` reads attention weights. If True, the search keeps attention weights."""

    def rescore(self, score: float, hypothesis: Scored) -> float:
        """Return the new score of a hypothesis. `score` is the score before this step."""
        ...

    def lower_bound(self, score: float, length: int) -> float:
        """Return a bound below which a score before this step is too low for `rescore` to return at least `score`.

        The bound must be correct for all hypotheses of at most `length` tokens. The search drops live hypotheses below
        the bound. The bound −∞ is always correct, and drops no hypothesis.
        """
        ...

    def tolerance(self, source_length: int) -> float:
        """Return how much this step adds to the rounding error of a score.

        The unit is `Scorer.tolerance`, which is the rounding error of log P.
        """
        ...


class LengthNormalization:
    """Divides the score by length^α (Jean et al. 2015). The length includes EOS."""

    needs_attention = False

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def rescore(self, score: float, hypothesis: Scored) -> float:
        return score / float(hypothesis.length**self.exponent)

    def lower_bound(self, score: float, length: int) -> float:
        return score * float(length**self.exponent)

    def tolerance(self, source_length: int) -> float:  # noqa: ARG002 - division by 1 or more adds no error
        return 0.0


class CoveragePenalty:
    """Lowers the score for each source token s with little attention (Wu et al. 2016, eq. 14).

    The new score is score + β Σ_s log min(Σ_t a_ts, 1), where a_ts is the attention weight of target token t on source
    token s.
    """

    needs_attention = True

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def rescore(self, score: float, hypothesis: Scored) -> float:
        attention = hypothesis.attention()
        smallest = torch.finfo(attention.dtype).tiny  # keeps the penalty of a token without attention finite
        return score + self.weight * float(attention.sum(dim=0).clamp(smallest, 1.0).log().sum())

    def lower_bound(self, score: float, length: int) -> float:  # noqa: ARG002 - the penalty never raises a score
        return score

    def tolerance(self, source_length: int) -> float:
        return self.weight * source_length  # the logarithm of each sum has about the same error as log P


def build_rerankers(options: SearchOptions) -> Sequence[Reranker]:
    """Return the rerankers that the options ask for, in the order in which they are applied."""
    rerankers: list[Reranker] = [LengthNormalization(options.length_exponent)]
    if options.coverage_penalty:
        rerankers.append(CoveragePenalty(options.coverage_penalty))
    return rerankers
