"""The target tokens that a search considers: the whole vocabulary, or a shortlist for each sentence."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.types import EOS


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The tokens that each sentence of a batch may use. Scores have one column for each of them.

    The probabilities of a sentence do not depend on the candidates of its neighbors: columns that pad a row count for
    nothing.
    """

    tokens: Tensor  # (B, W) int64, each row ascending, EOS first: padding, unknown and BOS are never candidates
    counts: (
        Tensor | None
    )  # (B,) int64, how many of a row belong to the sentence, the rest is EOS; None: one row serves all

    @staticmethod
    def all(size: int, device: torch.device | None = None) -> "Candidates":
        """The whole vocabulary of this size."""
        return Candidates(tokens=torch.arange(EOS, size, device=device).unsqueeze(0), counts=None)

    def select(self, sentences: Tensor) -> "Candidates":
        """Keep the rows of these sentences."""
        if self.counts is None:
            return self
        return Candidates(tokens=self.tokens[sentences], counts=self.counts[sentences])

    def columns(self, source: Tensor) -> Tensor:
        """The column of each source token (B, S) in its row, (B, S); W for tokens that are not candidates.

        Source and target must share one vocabulary.
        """
        width = self.tokens.size(1)
        tokens = self.tokens.expand(len(source), width)
        if self.counts is not None:  # a column that pads a row must not be found: it gets an id after all others
            padding = torch.arange(width, device=tokens.device) >= self.counts.unsqueeze(1)
            tokens = tokens.masked_fill(padding, torch.iinfo(tokens.dtype).max)
        columns = torch.searchsorted(tokens.contiguous(), source)
        found = tokens.gather(1, columns.clamp_max(width - 1)) == source
        return columns.masked_fill(~found, width)

    def union(self) -> "CandidateUnion":
        """The candidates of all sentences, each token once."""
        if self.counts is None:
            return CandidateUnion(tokens=self.tokens[0], columns=None, padding=None)
        marks = torch.zeros(int(self.tokens.max()) + 1, dtype=torch.bool, device=self.tokens.device)
        marks[self.tokens] = True
        padding = torch.arange(self.tokens.size(1), device=marks.device) >= self.counts.unsqueeze(1)
        columns = (marks.cumsum(0) - 1)[self.tokens]
        return CandidateUnion(tokens=marks.nonzero().squeeze(1), columns=columns, padding=padding)


@dataclass(frozen=True, kw_only=True)
class CandidateUnion:
    """The candidates of all sentences of a batch: scored in one product, then gathered for each sentence."""

    tokens: Tensor  # (U,) ascending
    columns: Tensor | None  # (B, W) the column of each candidate among the tokens; None: every sentence uses them all
    padding: Tensor | None  # (B, W) True at columns that pad a row

    def select(self, sentences: Tensor) -> "CandidateUnion":
        """Keep the rows of these sentences."""
        if self.columns is None or self.padding is None:
            return self
        return replace(self, columns=self.columns[sentences], padding=self.padding[sentences])

    def distribute(self, scores: Tensor) -> Tensor:
        """Gather scores (N, U) of these tokens for the candidates of each sentence, (N, W); −∞ at padding."""
        if self.columns is None or self.padding is None:
            return scores
        B, W = self.columns.shape
        K = len(scores) // B
        own = scores.view(B, K, -1).gather(2, self.columns.unsqueeze(1).expand(B, K, W))  # (B, K, W)
        return own.masked_fill_(self.padding.unsqueeze(1), -torch.inf).view(-1, W)


@dataclass(frozen=True, kw_only=True)
class Shortlist:
    """The target tokens worth considering: likely translations of the source tokens, and frequent tokens.

    A lexical shortlist (Jean et al. 2015, section 3.4; Schwenk et al. 2012) is known before the sentence is translated,
    and is a small part of the vocabulary.
    """

    target_size: int  # of the vocabulary
    frequent: NDArray[np.int64]  # (F,) tokens that every sentence may use
    best: NDArray[np.int64]  # (source vocabulary, N) target tokens for each source token; EOS where there are fewer

    def __post_init__(self) -> None:
        """Raises ValueError: the ids are not target tokens that can be candidates."""
        if self.frequent.ndim != 1 or self.best.ndim != 2:
            raise ValueError(f"{self.frequent.ndim} and {self.best.ndim} dimensions instead of 1 and 2")
        ids = np.concatenate([self.frequent, self.best.ravel()])
        if len(ids) and not (ids.min() >= EOS and ids.max() < self.target_size):
            raise ValueError(f"tokens {ids.min()} to {ids.max()}, but {EOS} to {self.target_size - 1} are allowed")

    def with_source_tokens(self, producible: NDArray[np.bool_]) -> "Shortlist":
        """Add each source token itself where a translation may contain it, for a network that copies.

        `producible`: mask (V,) of those tokens, over the one vocabulary of both sides.
        """
        itself = np.where(producible, np.arange(len(self.best)), EOS)
        return replace(self, best=np.column_stack([self.best, itself]))

    def candidates(self, source: Tensor, lengths: Tensor) -> Candidates:
        """The candidates of each sentence, whatever its neighbors are.

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
        tokens = np.full((B, counts.max()), EOS)
        tokens[np.arange(tokens.shape[1]) < counts[:, None]] = np.nonzero(marks)[1]
        return Candidates(
            tokens=torch.from_numpy(tokens).to(source.device), counts=torch.from_numpy(counts).to(source.device)
        )

    @cached_property
    def _always(self) -> NDArray[np.int64]:
        return np.append(self.frequent, EOS)
