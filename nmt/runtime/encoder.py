"""The encoder, packed: both directions of a layer step together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nmt.model.encoder import BidirectionalLayer, Encoder, reorder, reversal
from nmt.model.state import CellState
from nmt.runtime.arithmetic import Arithmetic
from nmt.runtime.attention import MULTIPLE, Encoded
from nmt.runtime.cells import Weights, next_state


class Bidirectional:
    """One layer."""

    def __init__(self, layer: BidirectionalLayer, arithmetic: Arithmetic, *, bounded: bool) -> None:
        """`bounded`: no input is above 1."""
        both = [Weights(part) for part in (layer.forward_layer, layer.backward_layer)]
        self.cell, self.size = both[0].cell, layer.forward_layer.hidden_size
        self.states = len(layer.forward_layer.zero_state(torch.zeros(1)))
        weight, bias = torch.cat([one.input for one in both]), torch.cat([one.input_bias for one in both])
        self.input = arithmetic.product(weight, bias, bounded=bounded)
        self.recurrent = [arithmetic.product(one.recurrent, one.recurrent_bias, bounded=True) for one in both]

    def __call__(self, inputs: Tensor, positions: Tensor) -> Tensor:
        """Outputs (B, S, 2h) of inputs (B, S, D); `positions` (B, S) turn each sentence around."""
        B, S, D = inputs.shape
        forward, backward = self.input(inputs.reshape(B * S, D)).view(B, S, -1).chunk(2, dim=-1)
        projected = torch.stack([forward, reorder(backward, positions)]).permute(2, 0, 1, 3).contiguous()  # (S, 2, B, F)
        state: CellState = tuple(torch.zeros(2, B, self.size) for _ in range(self.states))
        outputs = []
        for step in projected.unbind():
            recurrent = torch.stack([product(h) for product, h in zip(self.recurrent, state[0], strict=True)])
            state = next_state(self.cell, step, recurrent, state)
            outputs.append(state[0])
        forward, backward = torch.stack(outputs, dim=2).unbind()  # (B, S, h) each
        return torch.cat([forward, reorder(backward, positions)], dim=-1)


class PackedEncoder:
    """The stack of layers, from embedded pieces to what attention sees."""

    def __init__(self, encoder: Encoder, arithmetic: Arithmetic) -> None:
        self.norms: Sequence[nn.Module] = list(encoder.norms)
        self.residual = encoder.residual
        self.layers = []
        self.bounded = False  # of the layer's inputs: embeddings are what they are
        for index, (layer, norm) in enumerate(zip(encoder.layers, encoder.norms, strict=True)):
            assert isinstance(layer, BidirectionalLayer)
            self.layers.append(Bidirectional(layer, arithmetic, bounded=self.bounded))
            self.bounded = isinstance(norm, nn.Identity) and not (index and self.residual)

    def __call__(self, embedded: Tensor, lengths: Tensor) -> Encoded:
        """What becomes of embedded source pieces (B, S, E) with lengths (B,)."""
        B, S, _ = embedded.shape
        positions = reversal(lengths, S)
        hidden = embedded
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            outputs = norm(layer(hidden, positions))
            hidden = hidden + outputs if index and self.residual else outputs
        values = hidden.new_zeros(B, -(-S // MULTIPLE) * MULTIPLE, hidden.size(-1))
        mask = torch.arange(values.size(1)) < lengths.unsqueeze(1)
        values[:, :S] = hidden * mask[:, :S].unsqueeze(-1)
        return Encoded(values=values, mask=mask, bounded=self.bounded)
