"""The legend of shapes, the special tokens, and a batch.

Shapes are written as comments where they change, with these letters:

    B  sentences in a batch          H  hidden size of a layer
    S  source tokens, padded         E  embedding size
    T  target tokens, padded         C  size of a context, that of the encoder's outputs
    K  hypotheses per sentence       A  size of attention's queries and keys
    N  rows in a step, B · K         V  vocabulary size
    R  rows of a readout             W  candidates per sentence
    Q  attention queries per sentence: T in training, K in search
    D  size of any input             …  any leading dimensions

A mask is True at real tokens and False at padding. Values at padding are undefined.
"""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Sentence pairs as padded ids. Both sides end in EOS. Neither starts with BOS, which the decoder adds."""

    source: Tensor  # (B, S) int64
    source_lengths: Tensor  # (B,) int64, EOS counted
    target: Tensor  # (B, T) int64
    target_lengths: Tensor  # (B,) int64, EOS counted
    first: int = 0  # index of its first sentence in its update
    update_sentences: int | None = None  # in the whole update, of all processes; None: this batch is the update

    @property
    def sentences(self) -> int:
        """Number of pairs, B."""
        return self.source.size(0)

    @property
    def target_tokens(self) -> int:
        """Number of target tokens, EOS counted, without padding: the unit of speed and of the loss."""
        return int(self.target_lengths.sum())

    @property
    def padded_size(self) -> int:
        """Number of ids on both sides, padding counted: memory grows with it."""
        return self.source.numel() + self.target.numel()

    def twice(self) -> "Batch":
        """All sentences, followed by a copy of all of them."""
        return dataclasses.replace(
            self,
            source=self.source.repeat(2, 1),
            source_lengths=self.source_lengths.repeat(2),
            target=self.target.repeat(2, 1),
            target_lengths=self.target_lengths.repeat(2),
        )

    def halves(self) -> tuple["Batch", "Batch"]:
        """Split at least two sentences into two batches of the same update."""
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
        """Copy to a device."""
        return dataclasses.replace(
            self,
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
