"""The attentional vector h̃: the decoder's output and the context in one."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig

Apply = Callable[[nn.Linear, Tensor], Tensor]
"""How to apply a linear layer: directly, or in training so that its gradient is formed after the last time step."""


def apply_linear(linear: nn.Linear, inputs: Tensor) -> Tensor:
    """W x + b."""
    return linear(inputs)  # type: ignore[no-any-return]


class Combine(nn.Linear):
    """h̃ = tanh(W [c; h] + b) (Luong et al. 2015, eq. 5)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.decoder_size + config.encoder_size, config.decoder_size)

    def vectors(self, _embedded: Tensor, hidden: Tensor, context: Tensor, apply: Apply = apply_linear) -> Tensor:
        """h̃ (…, H) from the previous tokens (…, E), the decoder's outputs (…, H) and the contexts (…, C)."""
        return torch.tanh(apply(self, torch.cat([context, hidden], dim=-1)))
