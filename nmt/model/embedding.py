"""Embeddings that are multiplied by a constant, which is needed if the output layer shares their weights."""

from torch import Tensor, nn


class Embedding(nn.Embedding):
    """Token vectors that are multiplied by a constant scale (Vaswani et al. 2017, section 3.4).

    The softmax needs small weights, but recurrent layers learn faster at first if their inputs are large in comparison
    with their state. With a scale, tied embeddings meet both needs.
    """

    def __init__(self, tokens: int, size: int, scale: float) -> None:
        super().__init__(tokens, size)
        self.scale = scale

    def forward(self, ids: Tensor) -> Tensor:
        """Look up the scaled vectors (…, E) of ids (…)."""
        return super().forward(ids) * self.scale

    @property
    def scaled(self) -> Tensor:
        """The scaled vectors of the whole vocabulary, (V, E)."""
        return self.weight * self.scale
