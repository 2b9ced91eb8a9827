"""Scaled embeddings. The scale is needed if the embeddings and the output layer share their weights."""

from torch import Tensor, nn


class Embedding(nn.Embedding):
    """Token vectors that are multiplied by a constant scale (Vaswani et al. 2017, section 3.4).

    With tied embeddings, the softmax uses the same weights and needs them to be small. Recurrent layers, however, learn
    faster at first if their inputs are large compared with their state. The scale makes the inputs larger than the
    weights.
    """

    def __init__(self, tokens: int, size: int, scale: float) -> None:
        super().__init__(tokens, size)
        self.scale = scale

    def forward(self, ids: Tensor) -> Tensor:
        """Look up the scaled vectors (…, E) of ids (…)."""
        return super().forward(ids) * self.scale

    @property
    def scaled(self) -> Tensor:
        """The scaled vectors (V, E) of the whole vocabulary."""
        return self.weight * self.scale
