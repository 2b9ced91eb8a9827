"""Filters: changes to the scores of next pieces. A ban is −∞.

A new rule for decoding is a new filter, never a branch in the loop. Filters may lower scores, not raise them: that
log P only falls as a hypothesis grows is what lets a search end early.
"""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from nmt.search.beam import Beam
from nmt.types import EOS

BANNED = float("-inf")


class Filter(Protocol):
    """One rule."""

    def apply(self, scores: Tensor, beam: Beam) -> None:
        """Changes `scores` (B, K, V), log P of each next piece of each hypothesis in `beam`, in place."""
        ...


class Never:
    """Bans pieces for good."""

    def __init__(self, pieces: Sequence[int]) -> None:
        self.pieces = list(pieces)

    def apply(self, scores: Tensor, beam: Beam) -> None:  # noqa: ARG002
        scores[..., self.pieces] = BANNED


class LengthBounds:
    """Bans EOS from hypotheses that are too short, and everything else from those as long as their sentence allows.

    Args:
        least: fewest pieces, EOS not counted.
        limits: most pieces of each sentence, (B,) int64, EOS not counted; at least `least`.
    """

    def __init__(self, least: int, limits: Tensor) -> None:
        self.least = least
        self.limits = limits

    def apply(self, scores: Tensor, beam: Beam) -> None:
        if beam.length < self.least:
            scores[..., EOS] = BANNED
        full = (self.limits[beam.sentences] <= beam.length).nonzero().flatten()
        if len(full):
            end = scores[full, :, EOS]
            scores[full] = BANNED
            scores[full, :, EOS] = end
