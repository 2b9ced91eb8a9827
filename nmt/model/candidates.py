"""The candidates: the target tokens from which search chooses the next token of a translation.

The candidates are the whole vocabulary, or a shortlist for each sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.types import EOS


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The target tokens that translations may contain, for each sentence of a batch.

    Scores (N, W) have one column for each candidate. If a sentence has fewer than W candidates, the remaining columns
    are padding. Padding has the probability 0, so the probabilities do not depend on the other sentences of the batch.
    """

    tokens: Tensor
    """The ids of the candidates, (B, W) int64, or (1, W) if all sentences have the same candidates. The ids in a row
    are in ascending order. They start with EOS, because PAD, UNK and BOS are never candidates. Padding is EOS."""
    counts: Tensor | None
    """The number of candidates in each row, without padding, (B,) int64. None if all sentences have the same
    candidates."""

    @staticmethod
    def all(size: int, device: torch.device | None = None) -> "Candidates":
        """Return the candidates of a search without a shortlist. `size` is the size of the vocabulary."""
        return Candidates(tokens=torch.arange(EOS, size, device=device).unsqueeze(0), counts=None)

    def select(self, sentences: Tensor) -> "Candidates":
        """Return the candidates of the sentences with these indices, (B',) int64."""
        if self.counts is None:
            return self
        return Candidates(tokens=self.tokens[sentences], counts=self.counts[sentences])

    def columns(self, source: Tensor) -> Tensor:
        """For each source token (B, S), return its column in the scores of the same sentence.

        For a token that is not a candidate, the result is W, the number of columns. Source and target must share one
        vocabulary.
        """
        width = self.tokens.size(1)
        tokens = self.tokens.expand(len(source), width)
        if self.counts is not None:  # give padding an id that no source token has, so that it is never found
            padding = torch.arange(width, device=tokens.device) >= self.counts.unsqueeze(1)
            tokens = tokens.masked_fill(padding, torch.iinfo(tokens.dtype).max)
        columns = torch.searchsorted(tokens.contiguous(), source)
        found = tokens.gather(1, columns.clamp_max(width - 1)) == source
        return columns.masked_fill(~found, width)

    def union(self) -> "CandidateUnion":
        """Return all tokens that are candidates of at least one sentence."""
        if self.counts is None:
            return CandidateUnion(tokens=self.tokens[0], columns=None, padding=None)
        marks = torch.zeros(int(self.tokens.max()) + 1, dtype=torch.bool, device=self.tokens.device)
        marks[self.tokens] = True
        padding = torch.arange(self.tokens.size(1), device=marks.device) >= self.counts.unsqueeze(1)
        columns = (marks.cumsum(0) - 1)[self.tokens]
        return CandidateUnion(tokens=marks.nonzero().squeeze(1), columns=columns, padding=padding)


@dataclass(frozen=True, kw_only=True)
class CandidateUnion:
    """The union of the candidates of all sentences of a batch. The union has U tokens.

    One matrix product computes the scores of these U tokens. `distribute` then gathers the scores for each sentence.
    """

    tokens: Tensor  # (U,) ids in ascending order
    columns: Tensor | None  # (B, W) the index of each candidate in `tokens`; None if every sentence uses all tokens
    padding: Tensor | None  # (B, W) True at padding

    def select(self, sentences: Tensor) -> "CandidateUnion":
        """Return the union for only some of the sentences. `sentences` (B',) int64 are their indices in the batch."""
        if self.columns is None or self.padding is None:
            return self
        return replace(self, columns=self.columns[sentences], padding=self.padding[sentences])

    def distribute(self, scores: Tensor) -> Tensor:
        """Gather the scores (N, W) of each sentence's candidates from scores (N, U) of all tokens.

        Columns at padding receive −∞.
        """
        if self.columns is None or self.padding is None:
            return scores
        B, W = self.columns.shape
        K = len(scores) // B
        own = scores.view(B, K, -1).gather(2, self.columns.unsqueeze(1).expand(B, K, W))  # (B, K, W)
        return own.masked_fill_(self.padding.unsqueeze(1), -torch.inf).view(-1, W)


@dataclass(frozen=True, kw_only=True)
class Shortlist:
    """A lexical shortlist (Jean et al. 2015, section 3.4; Schwenk et al. 2012), which makes search faster.

    The candidates of a sentence are frequent tokens and the likely translations of the source tokens. These candidates
    are known before the sentence is translated. They are a small part of the vocabulary.

    Raises:
        ValueError: an array has the wrong number of dimensions, or contains an id that cannot be a candidate.
    """

    target_size: int  # the size of the target vocabulary
    frequent: NDArray[np.int64]  # (tokens,) target tokens that are candidates of every sentence
    best: NDArray[np.int64]  # (source tokens, tokens) likely translations of each source token, padded with EOS

    def __post_init__(self) -> None:
        if self.frequent.ndim != 1 or self.best.ndim != 2:
            raise ValueError(f"{self.frequent.ndim} and {self.best.ndim} dimensions instead of 1 and 2")
        ids = np.concatenate([self.frequent, self.best.ravel()])
        if len(ids) and not (ids.min() >= EOS and ids.max() < self.target_size):
            raise ValueError(f"tokens {ids.min()} to {ids.max()}, but {EOS} to {self.target_size - 1} are allowed")

    def with_source_tokens(self, producible: range) -> "Shortlist":
        """Add each source token itself to its likely translations, for networks that copy source tokens.

        Source and target must share one vocabulary.

        Args:
            producible: the tokens that a translation may contain. Other tokens are not added.
        """
        itself = np.arange(len(self.best))
        itself[: producible.start], itself[producible.stop :] = EOS, EOS
        return replace(self, best=np.column_stack([self.best, itself]))

    def candidates(self, source: Tensor, lengths: Tensor, also: Sequence[Sequence[int]] = ()) -> Candidates:
        """Return the candidates of each sentence. They do not depend on the other sentences of the batch.

        Args:
            source: the ids of each sentence, (B, S).
            lengths: the number of ids of each sentence, including EOS, (B,).
            also: for each sentence, further tokens that are candidates. PAD, UNK and BOS are never candidates.
        """
        ids, B = source.cpu().numpy(), len(source)
        sentences, positions = np.nonzero(np.arange(ids.shape[1]) < lengths.cpu().numpy()[:, None])
        marks = np.zeros((B, self.target_size), dtype=np.bool_)
        marks[:, EOS] = True
        marks[:, self.frequent] = True
        marks[sentences[:, None], self.best[ids[sentences, positions]]] = True
        for row, tokens in zip(marks, also, strict=bool(also)):
            row[[token for token in tokens if token >= EOS]] = True
        counts = np.count_nonzero(marks, axis=1)
        padded = np.full((B, counts.max()), EOS)
        padded[np.arange(padded.shape[1]) < counts[:, None]] = np.nonzero(marks)[1]
        return Candidates(
            tokens=torch.from_numpy(padded).to(source.device), counts=torch.from_numpy(counts).to(source.device)
        )
