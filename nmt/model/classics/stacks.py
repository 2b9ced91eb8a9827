"""Encoder layers that can replace the bidirectional layers above the first layer."""

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.dropout import Randomness
from nmt.model.encoder import BidirectionalLayer, last_outputs
from nmt.model.parts import build_layer


class ForwardLayer(nn.Module):
    """A recurrent layer that only reads forward, like the upper layers of GNMT (Wu et al. 2016)."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.forward_layer = build_layer(config, input_size, config.encoder_size, config.encoder_transitions)

    def arrange(self, below: Tensor) -> Tensor:
        return below

    def forward(self, inputs: Tensor, _positions: Tensor, randomness: Randomness | None) -> Tensor:
        return self.forward_layer(inputs, self.forward_layer.zero_state(inputs), randomness)  # type: ignore[no-any-return]

    def final(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return last_outputs(outputs, lengths)


class AlternatingLayer(BidirectionalLayer):
    """A forward and a backward recurrent layer. Each reads the outputs of the opposite direction in the layer below.

    Several such layers form two stacks. In each stack, the direction alternates from layer to layer. Zhou et al. 2016
    use one stack. Miceli Barone et al. 2017 use two stacks. They call this encoder BiDeep if the cells have deep
    transitions.
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(config, input_size // 2)

    def arrange(self, below: Tensor) -> Tensor:
        forward, backward = below.chunk(2, dim=-1)
        return torch.cat([backward, forward], dim=-1)

    def forward(self, inputs: Tensor, positions: Tensor, randomness: Randomness | None) -> Tensor:
        forward, backward = inputs.chunk(2, dim=-1)
        return self.read(forward, backward, positions, randomness)
