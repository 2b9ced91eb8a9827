"""Embeddings, which tied weights make serve two masters."""

from torch import Tensor, nn


class Embedding(nn.Embedding):
    """Vectors of pieces, multiplied by a number on their way into the network (Vaswani et al. 2017, section 3.4, with √E).

    As the softmax's weights, which tied embeddings are too, they must be small; what a recurrent layer hears should be large
    beside its state, or it learns slowly at first.
    """

    def __init__(self, pieces: int, size: int, scale: float) -> None:
        super().__init__(pieces, size)
        self.scale = scale

    def forward(self, ids: Tensor) -> Tensor:
        """What the network hears of pieces of any shape (…), (…, E)."""
        return super().forward(ids) * self.scale

    @property
    def heard(self) -> Tensor:
        """What the network hears of every piece, (V, E)."""
        return self.weight * self.scale
