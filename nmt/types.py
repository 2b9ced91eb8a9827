"""Words shared by all: the legend of shapes, the special pieces, a batch, an update, a place in the data.

Shapes are written as comments where they change, with these letters:

    B  sentences in a batch          H  hidden size of a layer
    S  source pieces, padded         E  embedding size
    T  target pieces, padded         V  vocabulary size
    K  hypotheses per sentence       N  rows in a decoding step, B · K
    Q  attention queries per sentence: T in training, K in search

A mask is True at real pieces and False at padding.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes that train together."""

    rank: int = 0
    size: int = 1


@dataclass(frozen=True, kw_only=True)
class UpdateSize:
    """Most in an update, over all processes and batches."""

    tokens: int = 0
    """Pairs times pieces of the longest side, EOS and padding counted; a pair that is longer by itself makes an update."""
    sentences: int | None = None
    """Pairs."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in the data an update begins. Its fields are what JSON can hold; it is part of a checkpoint."""

    epoch: int = 0  # counts from 0
    update: int = 0  # of this epoch, or of this window of a stream: the next one
    window: int = 0  # streams only: the window of the stream
    stream: dict[str, Any] | None = None  # streams only: what opens the stream again where the window begins

    @property
    def starts_epoch(self) -> bool:
        return self.update == 0 and self.window == 0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Sentence pairs as padded ids. Both sides end in EOS; nothing starts with BOS (the decoder adds it)."""

    source: Tensor  # (B, S) int64
    source_lengths: Tensor  # (B,) int64, EOS counted
    target: Tensor  # (B, T) int64
    target_lengths: Tensor  # (B,) int64, EOS counted
    first: int = 0  # place of its first sentence in its update
    update_sentences: int | None = None  # in the whole update, of all processes; None: this batch is the update

    @property
    def sentences(self) -> int:
        return self.source.size(0)

    @property
    def target_tokens(self) -> int:
        """Target pieces plus one end of sentence each, no padding: what tokens per second and the loss count."""
        return int(self.target_lengths.sum())

    @property
    def cells(self) -> int:
        """Ids and padding of both sides: what memory grows with."""
        return self.source.numel() + self.target.numel()

    def twice(self) -> "Batch":
        """All its sentences, and then all of them again."""
        return dataclasses.replace(
            self,
            source=self.source.repeat(2, 1),
            source_lengths=self.source_lengths.repeat(2),
            target=self.target.repeat(2, 1),
            target_lengths=self.target_lengths.repeat(2),
        )

    def halves(self) -> tuple["Batch", "Batch"]:
        """The first and the second half of at least two sentences, at their places in the update."""
        middle = self.sentences // 2
        return self._part(0, middle), self._part(middle, self.sentences)

    def _part(self, start: int, end: int) -> "Batch":
        source_lengths, target_lengths = self.source_lengths[start:end], self.target_lengths[start:end]
        return Batch(
            source=self.source[start:end, : int(source_lengths.max())],
            source_lengths=source_lengths,
            target=self.target[start:end, : int(target_lengths.max())],
            target_lengths=target_lengths,
            first=self.first + start,
            update_sentences=self.update_sentences or self.sentences,
        )

    def to(self, device: torch.device) -> "Batch":
        return dataclasses.replace(
            self,
            source=self.source.to(device),
            source_lengths=self.source_lengths.to(device),
            target=self.target.to(device),
            target_lengths=self.target_lengths.to(device),
        )


@dataclass(frozen=True, kw_only=True)
class Update:
    """One process' share of an update."""

    batches: tuple[Batch, ...]  # in order; none where an update has fewer pairs than it is cut into shares
    after: Place  # where the next update begins
    progress: float | None  # epochs done after it, with the part of the running one (2.37); None: length unknown


def pad(sequences: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Right-pad lists of ids with PAD into ids (B, longest) and lengths (B,), both int64."""
    lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
    ids = torch.full((len(sequences), int(lengths.max())), PAD, dtype=torch.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence, dtype=torch.int64)
    return ids, lengths
