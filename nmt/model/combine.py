"""The attentional vector h̃, which combines the output of the decoder with the context of attention."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig

Apply = Callable[[nn.Linear, Tensor], Tensor]
"""A function that applies a linear layer: `apply_linear`, or `RepeatedLinears` in a training loop over time steps."""


def apply_linear(linear: nn.Linear, inputs: Tensor) -> Tensor:
    """Return W x + b, where W and b are the weight and the bias of `linear`."""
    return linear(inputs)  # type: ignore[no-any-return]


class Combine(nn.Linear):
    """The layer h̃ = tanh(W [c; h] + b) for a context c and decoder output h (Luong et al. 2015, eq. 5)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.decoder_size + config.encoder_size, config.decoder_size)

    def vectors(self, _embedded: Tensor, hidden: Tensor, context: Tensor, apply: Apply = apply_linear) -> Tensor:
        """Compute h̃ (…, H) from embeddings of previous tokens (…, E), decoder outputs (…, H) and contexts (…, C)."""
        return torch.tanh(apply(self, torch.cat([context, hidden], dim=-1)))
