"""The output layer: from attentional vectors to log-probabilities of the next tokens.

Every kind has a matrix over the vocabulary and starts from its softmax. Training normalizes over the whole vocabulary,
search over candidates, so the softmax is an argument.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor, nn

LogSoftmax = Callable[[Tensor], Tensor]
"""log softmax(W x + b) over the vocabulary, or over each row's candidates: from x (R, D) to (R, W)."""


@dataclass(frozen=True, kw_only=True)
class Readout:
    """What next tokens are predicted from: one row per target position in training, one per hypothesis in search."""

    vectors: Tensor  # (R, D)
    attention: Tensor  # (R, S) weights over the source tokens
    columns: Tensor | None = None
    """(R, S) the column of the scores (R, W) that belongs to each source token, W for none; for outputs that copy."""

    def select(self, rows: Tensor) -> "Readout":
        """Gather the rows with these indices (R',)."""
        columns = None if self.columns is None else self.columns[rows]
        return Readout(vectors=self.vectors[rows], attention=self.attention[rows], columns=columns)

    def split(self, rows: int) -> list["Readout"]:
        """Split into parts of this many rows."""
        columns = repeat(None) if self.columns is None else torch.split(self.columns, rows)
        parts = zip(torch.split(self.vectors, rows), torch.split(self.attention, rows), columns, strict=False)
        return [Readout(vectors=vectors, attention=weights, columns=own) for vectors, weights, own in parts]


class OutputLayer(nn.Linear, ABC):
    """W and b over the vocabulary, and how probabilities follow from them."""

    copies = False
    """Whether `Readout.columns` is needed."""

    @abstractmethod
    def log_probabilities(self, readout: Readout, log_softmax: LogSoftmax) -> Tensor:
        """Log-probabilities (R, W) of the next tokens, float32."""

    def log_softmax(self, vectors: Tensor) -> Tensor:
        """Log-probabilities (R, V) over the whole vocabulary, from (R, D), float32 at least."""
        scores = self(vectors)
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).log_softmax(dim=-1)  # type: ignore[no-any-return]


class SoftmaxOutput(OutputLayer):
    """p = softmax(W x + b)."""

    def log_probabilities(self, readout: Readout, log_softmax: LogSoftmax) -> Tensor:
        return log_softmax(readout.vectors)
