"""The candidates of search: the target tokens among which it chooses the next token of a translation.

The candidates are the whole vocabulary, or a shortlist for each sentence.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.types import EOS


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The target tokens that translations may contain, for each sentence of a batch.

    Scores (N, W) have one column for each candidate. If a sentence has fewer than W candidates, padding follows them in
    its row. Padding has the probability 0, so the probabilities do not depend on the other sentences of the batch.
    """

    tokens: Tensor
    """(B, W) int64, or (1, W) if all sentences have the same candidates. Each row is ascending from EOS, since PAD, UNK
    and BOS are never candidates. Padding is EOS."""
    counts: Tensor | None
    """The number of candidates in each row before the padding, (B,) int64. None if all sentences have the same."""

    @staticmethod
    def all(size: int, device: torch.device | None = None) -> "Candidates":
        """Return the whole vocabulary of `size` tokens as candidates of every sentence."""
        return Candidates(tokens=torch.arange(EOS, size, device=device).unsqueeze(0), counts=None)

    def select(self, sentences: Tensor) -> "Candidates":
        """Return the candidates of the sentences with these indices, (B',) int64."""
        if self.counts is None:
            return self
        return Candidates(tokens=self.tokens[sentences], counts=self.counts[sentences])

    def columns(self, source: Tensor) -> Tensor:
        """Find the column (B, S) of each source token (B, S) among the candidates of its sentence.

        A token that is not a candidate gets W, the number of columns. Source and target must share one vocabulary.
        """
        width = self.tokens.size(1)
        tokens = self.tokens.expand(len(source), width)
        if self.counts is not None:  # padding must not be found, so it gets an id greater than all others
            padding = torch.arange(width, device=tokens.device) >= self.counts.unsqueeze(1)
            tokens = tokens.masked_fill(padding, torch.iinfo(tokens.dtype).max)
        columns = torch.searchsorted(tokens.contiguous(), source)
        found = tokens.gather(1, columns.clamp_max(width - 1)) == source
        return columns.masked_fill(~found, width)

    def union(self) -> "CandidateUnion":
        """Return the candidates of all sentences together, each token once."""
        if self.counts is None:
            return CandidateUnion(tokens=self.tokens[0], columns=None, padding=None)
        marks = torch.zeros(int(self.tokens.max()) + 1, dtype=torch.bool, device=self.tokens.device)
        marks[self.tokens] = True
        padding = torch.arange(self.tokens.size(1), device=marks.device) >= self.counts.unsqueeze(1)
        columns = (marks.cumsum(0) - 1)[self.tokens]
        return CandidateUnion(tokens=marks.nonzero().squeeze(1), columns=columns, padding=padding)


@dataclass(frozen=True, kw_only=True)
class CandidateUnion:
    """The union of the candidates of all sentences of a batch, U tokens.

    One matrix product computes the scores of all these tokens. `distribute` then gathers the scores of each sentence.
    """

    tokens: Tensor  # (U,) ascending
    columns: Tensor | None  # (B, W) the index of each candidate in `tokens`; None: every sentence uses all tokens
    padding: Tensor | None  # (B, W) True at padding

    def select(self, sentences: Tensor) -> "CandidateUnion":
        """Select sentences by their indices, (B',) int64, and return their rows of candidates."""
        if self.columns is None or self.padding is None:
            return self
        return replace(self, columns=self.columns[sentences], padding=self.padding[sentences])

    def distribute(self, scores: Tensor) -> Tensor:
        """Gather the scores (N, W) of each sentence's candidates from scores (N, U) of all tokens. Padding gets −∞."""
        if self.columns is None or self.padding is None:
            return scores
        B, W = self.columns.shape
        K = len(scores) // B
        own = scores.view(B, K, -1).gather(2, self.columns.unsqueeze(1).expand(B, K, W))  # (B, K, W)
        return own.masked_fill_(self.padding.unsqueeze(1), -torch.inf).view(-1, W)


@dataclass(frozen=True, kw_only=True)
class Shortlist:
    """A lexical shortlist (Jean et al. 2015, section 3.4; Schwenk et al. 2012), which makes search faster.

    The candidates of a sentence are the likely translations of its source tokens, and frequent tokens. They are known
    before the sentence is translated, and are a small part of the vocabulary.
    """

    target_size: int  # size of the target vocabulary
    frequent: NDArray[np.int64]  # one dimension: tokens that are candidates of every sentence
    best: NDArray[np.int64]  # two dimensions: target tokens for each source token, padded with EOS

    def __post_init__(self) -> None:
        """Raises ValueError if an array has the wrong shape, or contains an id that cannot be a candidate."""
        if self.frequent.ndim != 1 or self.best.ndim != 2:
            raise ValueError(f"{self.frequent.ndim} and {self.best.ndim} dimensions instead of 1 and 2")
        ids = np.concatenate([self.frequent, self.best.ravel()])
        if len(ids) and not (ids.min() >= EOS and ids.max() < self.target_size):
            raise ValueError(f"tokens {ids.min()} to {ids.max()}, but {EOS} to {self.target_size - 1} are allowed")

    def with_source_tokens(self, producible: NDArray[np.bool_]) -> "Shortlist":
        """Make each source token a candidate for itself if a translation may contain it, for a network that copies.

        Source and target must share one vocabulary. `producible` (V,) is True at the tokens that a translation may
        contain.
        """
        itself = np.where(producible, np.arange(len(self.best)), EOS)
        return replace(self, best=np.column_stack([self.best, itself]))

    def candidates(self, source: Tensor, lengths: Tensor) -> Candidates:
        """Return the candidates of each sentence. They do not depend on the other sentences of the batch.

        Args:
            source: ids (B, S).
            lengths: (B,), including EOS.
        """
        ids, B = source.cpu().numpy(), len(source)
        sentences, positions = np.nonzero(np.arange(ids.shape[1]) < lengths.cpu().numpy()[:, None])
        marks = np.zeros((B, self.target_size), dtype=np.bool_)
        marks[:, self._always] = True
        marks[sentences[:, None], self.best[ids[sentences, positions]]] = True
        counts = np.count_nonzero(marks, axis=1)
        tokens = np.full((B, counts.max()), EOS)
        tokens[np.arange(tokens.shape[1]) < counts[:, None]] = np.nonzero(marks)[1]
        return Candidates(
            tokens=torch.from_numpy(tokens).to(source.device), counts=torch.from_numpy(counts).to(source.device)
        )

    @cached_property
    def _always(self) -> NDArray[np.int64]:
        return np.append(self.frequent, EOS)
