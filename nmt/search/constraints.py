"""Filters: changes to the scores of next pieces. A ban is −∞.

A new rule for decoding is a new filter, never a branch in the loop. Filters may lower scores, not raise them: that
log P only falls as a hypothesis grows is what lets a search end early.
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nmt.search.beam import Beam
from nmt.search.extensions import NEVER, Ids


class Filter(Protocol):
    """One rule."""

    def apply(self, scores: Tensor, beam: Beam) -> None:
        """Changes `scores` (B, K, W), log P of each candidate piece after each hypothesis in `beam`, in place. EOS is first."""
        ...


class LengthBounds:
    """Bans EOS from hypotheses that are too short, and everything else from those as long as their sentence allows.

    Args:
        least: fewest pieces, EOS not counted.
        limits: most pieces of each sentence, (B,), EOS not counted; at least `least`.
    """

    def __init__(self, least: int, limits: Ids) -> None:
        self.least = least
        self.limits = limits
        self.lowest = limits.min()

    def apply(self, scores: Tensor, beam: Beam) -> None:
        if beam.length < self.least:
            scores[:, :, 0] = NEVER
        if beam.length >= self.lowest:
            full = np.flatnonzero(self.limits[beam.sentences] <= beam.length)
            scores[torch.from_numpy(full), :, 1:] = NEVER


class NoTags:
    """Bans the last pieces of the vocabulary, where scores have a column for each piece: tags stand before sources only.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def apply(self, scores: Tensor, beam: Beam) -> None:  # noqa: ARG002 - after any hypothesis
        scores[:, :, -self.count :] = NEVER
