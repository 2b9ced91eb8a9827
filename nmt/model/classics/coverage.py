"""Attention with coverage, in which the scores depend on the attention weights of all previous steps."""

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.attention import AdditiveAttention, AttendedMemory
from nmt.model.state import Memory


class CoverageAttention(AdditiveAttention):
    """Additive attention with coverage c: score = wᵀ tanh(W q + U v + u c) (See et al. 2017, eq. 11).

    The coverage c is the sum of the attention weights of all previous steps. It shows which source tokens have been
    translated already (Tu et al. 2016). The coverage is the state of this attention.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.coverage = nn.Linear(1, config.decoder_size, bias=False)

    def forward(self, query: Tensor, memory: AttendedMemory, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        assert state is not None
        sums = self.sums(query, memory) + self.coverage(state.unsqueeze(-1))  # (B, Q, S, A)
        return self.read(self.score(torch.tanh(sums)).squeeze(-1), memory)

    def start(self, memory: Memory) -> Tensor:
        # Use at least float32. In bfloat16, adding a small weight would not change the sum.
        return torch.zeros_like(memory.mask, dtype=torch.promote_types(memory.values.dtype, torch.float32))

    def advance(self, state: Tensor | None, weights: Tensor) -> Tensor:
        assert state is not None
        return state + weights
