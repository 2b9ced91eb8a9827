"""The encoder: a stack of bidirectional recurrent layers (Schuster & Paliwal 1997)."""

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.model.cells import recurrent_layer
from nmt.model.dropout import Noise, shared_dropout


def reversal(lengths: Tensor, longest: int) -> Tensor:
    """Positions (B, S) that turn each row around within its length and leave the padding where it is."""
    positions = torch.arange(longest, device=lengths.device).expand(lengths.size(0), longest)
    return torch.where(positions < lengths.unsqueeze(1), lengths.unsqueeze(1) - 1 - positions, positions)


def reorder(sequence: Tensor, positions: Tensor) -> Tensor:
    """Gather (B, S, D) along time by positions (B, S)."""
    return sequence.gather(1, positions.unsqueeze(-1).expand(-1, -1, sequence.size(-1)))


class BidirectionalLayer(nn.Module):
    """Two recurrent layers, one of which reads backwards; outputs side by side."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        sizes = input_size, config.encoder_size // 2
        self.forward_layer = recurrent_layer(config, *sizes, config.encoder_transitions)
        self.backward_layer = recurrent_layer(config, *sizes, config.encoder_transitions)

    def forward(self, inputs: Tensor, positions: Tensor, noise: Noise | None) -> Tensor:
        """Outputs (B, S, H) of inputs (B, S, D). What stands at padding is not meant to be read."""
        zero = self.forward_layer.zero_state(inputs)
        # Reversing within the length, instead of packing, keeps padded batches on torch's fused kernels.
        backward = self.backward_layer(reorder(inputs, positions), zero, noise)
        return torch.cat([self.forward_layer(inputs, zero, noise), reorder(backward, positions)], dim=-1)


class Encoder(nn.Module):
    """Bidirectional layers with residual connections and dropout between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H = config.encoder_size
        sizes = [config.embedding_size] + [H] * (config.encoder_layers - 1)
        self.layers = nn.ModuleList(BidirectionalLayer(config, size) for size in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(H) if config.layer_norm else nn.Identity() for _ in sizes)
        self.residual = config.residual
        self.dropout = config.dropout

    def forward(self, embedded: Tensor, lengths: Tensor, noise: Noise | None = None) -> Tensor:
        """Outputs (B, S, H) of embedded source pieces (B, S, E) with lengths (B,)."""
        positions = reversal(lengths, embedded.size(1))
        hidden = embedded
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            inputs = shared_dropout(hidden, self.dropout, noise) if index else hidden
            outputs = norm(layer(inputs, positions, noise))
            hidden = hidden + outputs if index and self.residual else outputs
        return hidden


def final_outputs(outputs: Tensor, lengths: Tensor) -> Tensor:
    """Where each direction ends: forward at the last piece, backward at the first. (B, S, H) to (B, H)."""
    forward, backward = outputs.chunk(2, dim=-1)
    last = forward[torch.arange(outputs.size(0), device=outputs.device), lengths - 1]
    return torch.cat([last, backward[:, 0]], dim=-1)


def mean_outputs(outputs: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real pieces. (B, S, H) and (B, S) to (B, H)."""
    weights = mask.to(outputs.dtype).unsqueeze(-1)
    return (outputs * weights).sum(dim=1) / weights.sum(dim=1)
