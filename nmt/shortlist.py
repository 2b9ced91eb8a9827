"""Which target pieces a search considers: all of them, or a shortlist for each sentence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.types import EOS


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The pieces among which the search of a batch chooses. Scores have a column for each of them.

    Sentences of a batch share the columns, for one product serves them all, but each may have pieces of its own: the others
    are banned before the softmax, so that no sentence's probabilities depend on its neighbours.
    """

    pieces: Tensor  # (V',) int64, ascending and EOS first: padding, unknown and begin are never candidates
    bans: Tensor | None = None  # (B, V') float32, 0 or −∞, which is added to the scores; None: all may use all

    @staticmethod
    def all(size: int, device: torch.device | None = None) -> "Candidates":
        """The whole vocabulary of this size."""
        return Candidates(pieces=torch.arange(EOS, size, device=device))

    def select(self, sentences: Tensor) -> "Candidates":
        """Those of some of the batch's sentences, by row."""
        return self if self.bans is None else Candidates(pieces=self.pieces, bans=self.bans[sentences])
