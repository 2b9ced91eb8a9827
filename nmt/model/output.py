"""The output layer, which computes the log-probabilities of the next tokens from attentional vectors.

Every type of output layer has a weight matrix with a row for each token of the vocabulary. The product of this matrix
with an attentional vector gives scores, and a softmax normalizes the scores. In training, the softmax is over the whole
vocabulary. In search, the softmax is only over the candidates. The caller therefore passes the softmax as a function.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor, nn

LogSoftmax = Callable[[Tensor], Tensor]
"""A function that computes log softmax(W x + b) for each row x of a matrix (R, D). The result is (R, W).

The softmax is over the W candidates of each row, or over the whole vocabulary. In the second case, W = V.
"""


@dataclass(frozen=True, kw_only=True)
class Readout:
    """The input of the output layer: one row per target token in training, or one row per hypothesis in search."""

    vectors: Tensor  # (R, D)
    attention: Tensor  # (R, S) attention weights over the source tokens
    columns: Tensor | None = None
    """For each source token (R, S), its column in the scores (R, W). It is W if the token has no column.

    None unless the output layer copies source tokens.
    """

    def select(self, rows: Tensor) -> "Readout":
        """Return the rows with these indices, (R',) int64."""
        columns = None if self.columns is None else self.columns[rows]
        return Readout(vectors=self.vectors[rows], attention=self.attention[rows], columns=columns)

    def split(self, rows: int) -> list["Readout"]:
        """Split the readout into parts of at most `rows` rows."""
        columns = repeat(None) if self.columns is None else torch.split(self.columns, rows)
        parts = zip(torch.split(self.vectors, rows), torch.split(self.attention, rows), columns, strict=False)
        return [Readout(vectors=vectors, attention=weights, columns=own) for vectors, weights, own in parts]


class OutputLayer(nn.Linear, ABC):
    """The base class of output layers, with weights W and biases b over the vocabulary."""

    copies = False
    """Whether the layer copies source tokens and needs `Readout.columns`."""

    @abstractmethod
    def log_probabilities(self, readout: Readout, log_softmax: LogSoftmax) -> Tensor:
        """Compute the log-probabilities (R, W) of the next tokens, in float32."""

    def log_softmax(self, vectors: Tensor) -> Tensor:
        """Compute log softmax(W x + b), over the whole vocabulary, for each row x of `vectors` (R, D).

        The result (R, V) is in float32 or a wider type.
        """
        scores = self(vectors)
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).log_softmax(dim=-1)  # type: ignore[no-any-return]


class SoftmaxOutput(OutputLayer):
    """The output layer p = softmax(W x + b)."""

    def log_probabilities(self, readout: Readout, log_softmax: LogSoftmax) -> Tensor:
        return log_softmax(readout.vectors)
