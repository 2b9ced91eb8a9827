"""Embeddings with an input scale, which is needed when they share their weights with the softmax."""

from torch import Tensor, nn


class Embedding(nn.Embedding):
    """Token vectors that are multiplied by a scale on their way into the network (Vaswani et al. 2017, section 3.4).

    The softmax needs small weights. A recurrent layer learns slowly at first unless its inputs are large beside its
    state. The scale lets tied embeddings be both.
    """

    def __init__(self, tokens: int, size: int, scale: float) -> None:
        super().__init__(tokens, size)
        self.scale = scale

    def forward(self, ids: Tensor) -> Tensor:
        """Scaled vectors (…, E) of ids of any shape (…)."""
        return super().forward(ids) * self.scale

    @property
    def scaled(self) -> Tensor:
        """Scaled vectors of the whole vocabulary, (V, E)."""
        return self.weight * self.scale
