"""Which target pieces a search considers: all of them, or a shortlist for each sentence."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.types import EOS


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The pieces among which the search of a batch chooses, for each sentence its own. Scores have a column for each of them.

    No sentence's probabilities depend on the pieces of its neighbours: the columns that fill up a row count for nothing.
    """

    pieces: Tensor  # (B, W) int64, each row ascending, EOS first: padding, unknown and begin are never candidates
    counts: Tensor | None  # (B,) int64, how many of its row are a sentence's, the rest is EOS; None: one row serves all

    @staticmethod
    def all(size: int, device: torch.device | None = None) -> "Candidates":
        """The whole vocabulary of this size."""
        return Candidates(pieces=torch.arange(EOS, size, device=device).unsqueeze(0), counts=None)

    def select(self, sentences: Tensor) -> "Candidates":
        """Those of some of the batch's sentences, by row."""
        if self.counts is None:
            return self
        return Candidates(pieces=self.pieces[sentences], counts=self.counts[sentences])

    def columns(self, source: Tensor) -> Tensor:
        """Where the pieces of each source (B, S) stand in its row, (B, S); W where they are no candidates. One vocabulary."""
        width = self.pieces.size(1)
        pieces = self.pieces.expand(len(source), width)
        if self.counts is not None:  # what fills up a row must not be found, and goes after the others
            padding = torch.arange(width, device=pieces.device) >= self.counts.unsqueeze(1)
            pieces = pieces.masked_fill(padding, torch.iinfo(pieces.dtype).max)
        columns = torch.searchsorted(pieces.contiguous(), source)
        found = pieces.gather(1, columns.clamp_max(width - 1)) == source
        return columns.masked_fill(~found, width)

    def together(self) -> "Together":
        """Those of all sentences, without repetition."""
        if self.counts is None:
            return Together(pieces=self.pieces[0], columns=None, padding=None)
        marks = torch.zeros(int(self.pieces.max()) + 1, dtype=torch.bool, device=self.pieces.device)
        marks[self.pieces] = True
        padding = torch.arange(self.pieces.size(1), device=marks.device) >= self.counts.unsqueeze(1)
        columns = (marks.cumsum(0) - 1)[self.pieces]
        return Together(pieces=marks.nonzero().squeeze(1), columns=columns, padding=padding)


@dataclass(frozen=True, kw_only=True)
class Together:
    """The candidates of all sentences of a batch: one product serves them all, and each takes what is its own."""

    pieces: Tensor  # (U,) ascending
    columns: Tensor | None  # (B, W) where they stand that are a sentence's; None: it wants them all
    padding: Tensor | None  # (B, W) True where a row is filled up

    def select(self, sentences: Tensor) -> "Together":
        """For some of the batch's sentences, by row."""
        if self.columns is None or self.padding is None:
            return self
        return replace(self, columns=self.columns[sentences], padding=self.padding[sentences])

    def distribute(self, scores: Tensor) -> Tensor:
        """Scores (N, U) of these pieces to those of each sentence's candidates (N, W), −∞ where there is none."""
        if self.columns is None or self.padding is None:
            return scores
        B, W = self.columns.shape
        K = len(scores) // B
        own = scores.view(B, K, -1).gather(2, self.columns.unsqueeze(1).expand(B, K, W))
        return own.masked_fill_(self.padding.unsqueeze(1), -torch.inf).view(-1, W)


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

    def copying(self, tags: int = 0) -> "Shortlist":
        """The same with each source piece itself, for a network that copies: all but tags, which are so many. One vocabulary."""
        itself = np.arange(len(self.best))
        itself = np.where((itself > EOS) & (itself < len(itself) - tags), itself, EOS)
        return replace(self, best=np.column_stack([self.best, itself]))

    def candidates(self, source: Tensor, lengths: Tensor) -> Candidates:
        """What the sentences of a batch may use, each whatever its neighbours are.

        Args:
            source: ids (B, S).
            lengths: (B,), EOS counted.
        """
        ids, B = source.cpu().numpy(), len(source)
        sentences, positions = np.nonzero(np.arange(ids.shape[1]) < lengths.cpu().numpy()[:, None])
        marks = np.zeros((B, self.target_size), dtype=np.bool_)
        marks[:, self._always] = True
        marks[sentences[:, None], self.best[ids[sentences, positions]]] = True
        counts = np.count_nonzero(marks, axis=1)
        pieces = np.full((B, counts.max()), EOS)
        pieces[np.arange(pieces.shape[1]) < counts[:, None]] = np.nonzero(marks)[1]
        return Candidates(
            pieces=torch.from_numpy(pieces).to(source.device), counts=torch.from_numpy(counts).to(source.device)
        )

    @cached_property
    def _always(self) -> NDArray[np.int64]:
        return np.append(self.frequent, EOS)
