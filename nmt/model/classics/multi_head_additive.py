"""Additive attention with several heads, as in RNMT+."""

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.attention import HeadsAttention


class MultiHeadAdditiveAttention(HeadsAttention):
    """Additive attention with several heads (RNMT+, Chen et al. 2018). In each head, score = wᵀ tanh(W q + U v)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.score = nn.Linear(config.decoder_size // self.heads, self.heads, bias=False)  # row h is the w of head h

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        sums = torch.tanh(queries.unsqueeze(2) + keys.unsqueeze(1))  # (B·heads, Q, S, A/heads)
        w = self.score.weight.to(sums.dtype).repeat(len(sums) // self.heads, 1)  # (B·heads, A/heads)
        return torch.bmm(sums.flatten(1, 2), w.unsqueeze(2)).view_as(sums[..., 0])
