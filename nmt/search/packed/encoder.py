"""The encoder of a packed network. Both directions of a layer advance together, one time step after another."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nmt.model.encoder import BidirectionalLayer, Encoder, reverse_positions
from nmt.model.state import CellState
from nmt.search.packed.arithmetic import Arithmetic, BoundedInt8Product
from nmt.search.packed.attention import LENGTH_MULTIPLE, Encoded
from nmt.search.packed.cells import LayerWeights, TableRows, compute_next_state


class PackedBidirectionalLayer:
    """A packed bidirectional layer.

    Args:
        layer: the layer of the original network.
        arithmetic: computes the products.
        bounded: whether all inputs are guaranteed to be between -1 and 1.
    """

    def __init__(self, layer: BidirectionalLayer, arithmetic: Arithmetic, *, bounded: bool) -> None:
        both = [LayerWeights(part) for part in (layer.forward_layer, layer.backward_layer)]
        self.cell, self.size = both[0].cell, layer.forward_layer.hidden_size
        self.states = len(layer.forward_layer.zero_state(torch.zeros(1)))
        self.inputs = [arithmetic.product(one.input, one.input_bias, bounded=bounded) for one in both]
        self.recurrent = [arithmetic.product(one.recurrent, one.recurrent_bias, bounded=True) for one in both]

    def __call__(self, inputs: Tensor, reversed_inputs: Tensor) -> Tensor:
        """Compute the outputs of both directions, (2, S, B, size of a direction).

        `reversed_inputs` contains the same vectors (S, B, D) as `inputs`, but each sentence is reversed.
        """
        S, B, D = inputs.shape
        projected = [
            product(part.reshape(S * B, D)).view(S, B, -1)
            for product, part in zip(self.inputs, (inputs, reversed_inputs), strict=True)
        ]
        if B == 1 and self.cell == "lstm" and (alone := self._encode_alone(projected)) is not None:
            return alone
        state: CellState = tuple(torch.zeros(2 * B, self.size) for _ in range(self.states))
        outputs = []
        for step in zip(*(part.unbind() for part in projected), strict=True):
            gates = torch.cat([product(h) for product, h in zip(self.recurrent, state[0].chunk(2), strict=True)])
            state = compute_next_state(self.cell, TableRows(table=torch.cat(step)), gates, state)
            outputs.append(state[0])
        return torch.stack(outputs).view(S, 2, B, self.size).transpose(0, 1)

    def _encode_alone(self, projected: list[Tensor]) -> Tensor | None:
        """Compute the outputs of a single sentence in a compiled loop. Return None if this layer has none."""
        outputs = [
            found
            for product, part in zip(self.recurrent, projected, strict=True)
            if isinstance(product, BoundedInt8Product) and (found := product.lstm(part.squeeze(1))) is not None
        ]
        return torch.stack(outputs).unsqueeze(2) if len(outputs) == len(projected) else None


class PackedEncoder:
    """The stack of bidirectional layers. It computes the encoder outputs from embeddings of the source tokens."""

    def __init__(self, encoder: Encoder, arithmetic: Arithmetic) -> None:
        self.norms: Sequence[nn.Module] = list(encoder.norms)
        self.residual = encoder.residual
        self.layers = []
        self.bounded = False  # whether the inputs of the next layer are between -1 and 1, unlike the embeddings
        for index, (layer, norm) in enumerate(zip(encoder.layers, encoder.norms, strict=True)):
            assert isinstance(layer, BidirectionalLayer)
            self.layers.append(PackedBidirectionalLayer(layer, arithmetic, bounded=self.bounded))
            self.bounded = isinstance(norm, nn.Identity) and not (index and self.residual)

    def __call__(self, embedded: Tensor, lengths: Tensor) -> Encoded:
        """Encode source embeddings (B, S, E) with lengths (B,)."""
        S = embedded.size(1)
        mask = torch.arange(-(-S // LENGTH_MULTIPLE) * LENGTH_MULTIPLE) < lengths.unsqueeze(1)
        positions = reverse_positions(lengths, S).t()
        hidden = embedded.transpose(0, 1)  # (S, B, ·)
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            forward, backward = layer(hidden, reverse(hidden, positions))
            outputs = norm(torch.cat([forward, reverse(backward, positions)], dim=-1))
            hidden = hidden + outputs if index and self.residual else outputs
        values = hidden.new_zeros(*mask.shape, hidden.size(-1))
        torch.mul(hidden.transpose(0, 1), mask[:, :S].unsqueeze(-1), out=values[:, :S])
        return Encoded(values=values, mask=mask, bounded=self.bounded)


def reverse(sequence: Tensor, positions: Tensor) -> Tensor:
    """Reverse each sentence of a sequence (S, B, D). `positions` (S, B) come from `reverse_positions`, transposed."""
    return sequence[positions, torch.arange(positions.size(1))]
