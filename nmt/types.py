"""Words shared by all: the legend of shapes, the special pieces, a batch.

Shapes are written as comments where they change, with these letters:

    B  sentences in a batch          H  hidden size of a layer
    S  source pieces, padded         E  embedding size
    T  target pieces, padded         V  vocabulary size
    K  hypotheses per sentence       N  rows in a decoding step, B · K
    Q  attention queries per sentence: T in training, K in search

A mask is True at real pieces and False at padding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Sentence pairs as padded ids. Both sides end in EOS; nothing starts with BOS (the decoder adds it)."""

    source: Tensor  # (B, S) int64
    source_lengths: Tensor  # (B,) int64, EOS counted
    target: Tensor  # (B, T) int64
    target_lengths: Tensor  # (B,) int64, EOS counted

    @property
    def sentences(self) -> int:
        return self.source.size(0)

    @property
    def target_tokens(self) -> int:
        """Target pieces plus one end of sentence each, no padding: what tokens per second and the loss count."""
        return int(self.target_lengths.sum())

    def to(self, device: torch.device) -> "Batch":
        return Batch(
            source=self.source.to(device),
            source_lengths=self.source_lengths.to(device),
            target=self.target.to(device),
            target_lengths=self.target_lengths.to(device),
        )


def pad(sequences: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Right-pad lists of ids with PAD into ids (B, longest) and lengths (B,), both int64."""
    lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
    ids = torch.full((len(sequences), int(lengths.max())), PAD, dtype=torch.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence, dtype=torch.int64)
    return ids, lengths
