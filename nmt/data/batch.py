"""Batches of sentence pairs, and the types of ids."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmt.types import PAD

if TYPE_CHECKING:  # torch is slow to import, and commands that only read text do not need it
    import torch
    from torch import Tensor

Ids = Sequence[int] | NDArray[Any]
"""The token ids of one sentence."""
Integers = NDArray[np.int64]
"""An array of ids, indices or counts."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Sentence pairs as padded ids. Each sentence ends with EOS and does not start with BOS. The decoder adds BOS."""

    source: Tensor  # (B, S) int64
    source_lengths: Tensor  # (B,) int64, including EOS
    target: Tensor  # (B, T) int64
    target_lengths: Tensor  # (B,) int64, including EOS
    # One update of the weights can use several batches, which several processes can share.
    first: int = 0  # the index of this batch's first sentence among all sentences of the update
    update_sentences: int | None = None  # the number of sentences in the update; None: this batch is the whole update

    @property
    def sentences(self) -> int:
        """The number of sentence pairs, B."""
        return self.source.size(0)

    @property
    def target_tokens(self) -> int:
        """The number of target tokens, including EOS but not padding. Speed and loss are given per target token."""
        return int(self.target_lengths.sum())

    @property
    def padded_size(self) -> int:
        """The number of source ids and target ids, including padding. Memory use grows with this number."""
        return self.source.numel() + self.target.numel()

    def halves(self) -> tuple[Batch, Batch]:
        """Split a batch of at least two sentences into two batches that belong to the same update."""
        middle = self.sentences // 2
        return self._part(0, middle), self._part(middle, self.sentences)

    def _part(self, start: int, end: int) -> Batch:
        source_lengths, target_lengths = self.source_lengths[start:end], self.target_lengths[start:end]
        return Batch(
            source=self.source[start:end, : int(source_lengths.max())],
            source_lengths=source_lengths,
            target=self.target[start:end, : int(target_lengths.max())],
            target_lengths=target_lengths,
            first=self.first + start,
            update_sentences=self.update_sentences or self.sentences,
        )

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to a device."""
        return dataclasses.replace(
            self,
            source=self.source.to(device),
            source_lengths=self.source_lengths.to(device),
            target=self.target.to(device),
            target_lengths=self.target_lengths.to(device),
        )


def pad(sequences: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Pad lists of ids with PAD on the right. Return the ids (B, longest length) and the lengths (B,), both int64."""
    import torch  # slow to import, and commands that only read text do not call this function

    lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
    ids = torch.full((len(sequences), int(lengths.max())), PAD, dtype=torch.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence, dtype=torch.int64)
    return ids, lengths
