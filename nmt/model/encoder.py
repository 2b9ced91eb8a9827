"""The encoder, a stack of recurrent layers. The first layer is bidirectional (Schuster & Paliwal 1997)."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.autograd.reorder import reverse
from nmt.model.dropout import Randomness, shared_dropout
from nmt.model.layer import OutputNorm
from nmt.model.parts import build_layer


class EncoderLayer(Protocol):
    """A layer of the encoder."""

    def __call__(self, inputs: Tensor, positions: Tensor, randomness: Randomness | None) -> Tensor:
        """Compute the outputs (B, S, H) for inputs (B, S, D). `positions` come from `reverse_positions`."""
        ...

    def arrange(self, below: Tensor) -> Tensor:
        """Reorder the outputs (B, S, H) of the layer below into the inputs of this layer."""
        ...

    def final(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Select the final output (B, H) for each sentence from all outputs (B, S, H).

        A layer that reads forward has its final output at the last token. A layer that reads backward has its final
        output at the first token.
        """
        ...


def reverse_positions(lengths: Tensor, longest: int) -> Tensor:
    """Return positions (B, S) with which `reverse` reverses each sentence. The padding remains in place.

    `longest` is S, the length of the longest sentence.
    """
    positions = torch.arange(longest, device=lengths.device).expand(lengths.size(0), longest)
    return torch.where(positions < lengths.unsqueeze(1), lengths.unsqueeze(1) - 1 - positions, positions)


class BidirectionalLayer(nn.Module):
    """Two recurrent layers. One reads forward and the other reads backward. Their outputs are concatenated."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        H, transitions = config.encoder_size // 2, config.encoder_transitions
        self.forward_layer = build_layer(config, input_size, H, transitions)
        self.backward_layer = build_layer(config, input_size, H, transitions)

    def arrange(self, below: Tensor) -> Tensor:
        return below

    def forward(self, inputs: Tensor, positions: Tensor, randomness: Randomness | None) -> Tensor:
        return self.read(inputs, inputs, positions, randomness)

    def read(self, forward: Tensor, backward: Tensor, positions: Tensor, randomness: Randomness | None) -> Tensor:
        """Compute the outputs (B, S, H) from the inputs (B, S, D) of the forward and of the backward layer."""
        zero = self.forward_layer.zero_state(forward)
        # Reverse each sentence instead of using packed sequences, so that torch's fused kernels for padded batches can
        # be used.
        reversed_outputs = self.backward_layer(reverse(backward, positions), zero, randomness)
        outputs = self.forward_layer(forward, zero, randomness)
        return torch.cat([outputs, reverse(reversed_outputs, positions)], dim=-1)

    def final(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return final_outputs(outputs, lengths)


class Encoder(nn.Module):
    """A stack of recurrent layers, with dropout and residual connections between the layers.

    Args:
        config: the architecture.
        above: the class of the layers above the first. The first layer is a `BidirectionalLayer`.
    """

    layers: Sequence[EncoderLayer]

    def __init__(self, config: ModelConfig, above: type[nn.Module] = BidirectionalLayer) -> None:
        super().__init__()
        H = config.encoder_size
        layers = [BidirectionalLayer(config, config.embedding_size)]
        self.layers = nn.ModuleList(layers + [above(config, H) for _ in range(config.encoder_layers - 1)])  # type: ignore[assignment]
        self.norms = nn.ModuleList(OutputNorm(H) if config.layer_norm else nn.Identity() for _ in self.layers)
        self.residual = config.residual
        self.dropout = config.dropout

    def forward(self, embedded: Tensor, lengths: Tensor, randomness: Randomness | None = None) -> Tensor:
        """Encode source embeddings (B, S, E) with lengths (B,). Return the outputs (B, S, H) of the last layer."""
        positions = reverse_positions(lengths, embedded.size(1))
        hidden: Tensor = self.norms[0](self.layers[0](embedded, positions, randomness))
        for layer, norm in zip(self.layers[1:], self.norms[1:], strict=True):
            below = layer.arrange(hidden)
            outputs = norm(layer(shared_dropout(below, self.dropout, randomness), positions, randomness))
            hidden = below + outputs if self.residual else outputs
        return hidden

    def final(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Select the final outputs (B, H) of the last layer from all its outputs (B, S, H)."""
        return self.layers[-1].final(outputs, lengths)


def final_outputs(outputs: Tensor, lengths: Tensor) -> Tensor:
    """Select the final outputs (B, H) of both directions from all outputs (B, S, H).

    The forward direction ends at the last token, and the backward direction ends at the first token.
    """
    forward, backward = outputs.chunk(2, dim=-1)
    return torch.cat([last_outputs(forward, lengths), backward[:, 0]], dim=-1)


def last_outputs(outputs: Tensor, lengths: Tensor) -> Tensor:
    """Select the outputs (B, H) at the last token of each sentence from all outputs (B, S, H)."""
    return outputs[torch.arange(outputs.size(0), device=outputs.device), lengths - 1]


def mean_outputs(outputs: Tensor, mask: Tensor) -> Tensor:
    """Compute the mean (B, H) of outputs (B, S, H) over the tokens at which `mask` (B, S) is True."""
    weights = mask.to(outputs.dtype).unsqueeze(-1)
    return (outputs * weights).sum(dim=1) / weights.sum(dim=1)
