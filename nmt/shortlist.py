"""Which target pieces a search considers: all of them, or a shortlist for each sentence."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
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


@dataclass(frozen=True, kw_only=True)
class Shortlist:
    """The target pieces worth considering for a sentence: those that go with its source pieces, and the frequent ones.

    A lexical shortlist (Jean et al. 2015, section 3.4; Schwenk et al. 2012): what a sentence may use is known before it is
    translated, and is a small part of the vocabulary.
    """

    target_size: int  # of the vocabulary
    frequent: NDArray[np.int64]  # (F,) pieces that every sentence may use
    best: NDArray[np.int64]  # (source pieces, N) the pieces that go with each source piece; EOS where there are fewer

    def __post_init__(self) -> None:
        """Raises ValueError: the ids are not target pieces that can be candidates."""
        if self.frequent.ndim != 1 or self.best.ndim != 2:
            raise ValueError(f"{self.frequent.ndim} and {self.best.ndim} dimensions instead of 1 and 2")
        ids = np.concatenate([self.frequent, self.best.ravel()])
        if len(ids) and not (ids.min() >= EOS and ids.max() < self.target_size):
            raise ValueError(f"pieces {ids.min()} to {ids.max()}, but {EOS} to {self.target_size - 1} are allowed")

    def candidates(self, source: Tensor, lengths: Tensor) -> Candidates:
        """What the sentences of a batch may use, each whatever its neighbours are.

        Args:
            source: ids (B, S).
            lengths: (B,), EOS counted.
        """
        ids = source.cpu().numpy()
        if len(ids) == 1:
            pieces = np.flatnonzero(self._with(self.best[ids[0, : int(lengths[0])]]))
            return _candidates(pieces, None, source.device)
        sentences, positions = np.nonzero(np.arange(ids.shape[1]) < lengths.cpu().numpy()[:, None])
        own = self.best[ids[sentences, positions]]  # (source pieces of the batch, N)
        together = self._with(own)
        pieces, columns = np.flatnonzero(together), np.cumsum(together) - 1
        bans = np.full((len(ids), len(pieces)), -np.inf, dtype=np.float32)
        bans[:, columns[self._always]] = 0
        bans.reshape(-1)[columns[own] + (sentences * len(pieces))[:, None]] = 0
        return _candidates(pieces, bans, source.device)

    def _with(self, own: NDArray[np.int64]) -> NDArray[np.bool_]:
        """True at these pieces and those of every sentence, (V,)."""
        marks = self._marks.copy()
        marks[own] = True
        return marks

    @cached_property
    def _always(self) -> NDArray[np.int64]:
        return np.append(self.frequent, EOS)

    @cached_property
    def _marks(self) -> NDArray[np.bool_]:
        marks = np.zeros(self.target_size, dtype=np.bool_)
        marks[self._always] = True
        return marks


def _candidates(pieces: NDArray[np.int64], bans: NDArray[np.float32] | None, device: torch.device) -> Candidates:
    """From arrays to the device of the batch."""
    return Candidates(
        pieces=torch.from_numpy(pieces).to(device), bans=None if bans is None else torch.from_numpy(bans).to(device)
    )
