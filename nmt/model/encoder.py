"""The encoder: a stack of recurrent layers, the first of them bidirectional (Schuster & Paliwal 1997)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.cells import recurrent_layer
from nmt.model.dropout import Noise, shared_dropout
from nmt.model.layer import OutputNorm


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

    def arranged(self, below: Tensor) -> Tensor:
        """Outputs (B, S, H) of the layer below as this one takes them."""
        return below

    def forward(self, inputs: Tensor, positions: Tensor, noise: Noise | None) -> Tensor:
        """Outputs (B, S, H) of inputs (B, S, D). What stands at padding is not meant to be read."""
        return self.read(inputs, inputs, positions, noise)

    def read(self, onwards: Tensor, backwards: Tensor, positions: Tensor, noise: Noise | None) -> Tensor:
        """Outputs (B, S, H) of what each direction reads, (B, S, D)."""
        zero = self.forward_layer.zero_state(onwards)
        # Reversing within the length, instead of packing, keeps padded batches on torch's fused kernels.
        backward = self.backward_layer(reorder(backwards, positions), zero, noise)
        return torch.cat([self.forward_layer(onwards, zero, noise), reorder(backward, positions)], dim=-1)

    def final(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """What the layer has put out (B, S, H) when it was done with a sentence, (B, H)."""
        return final_outputs(outputs, lengths)


class AlternatingLayer(BidirectionalLayer):
    """Each direction reads what the other has written, and nothing else: two stacks that change direction layer by layer.

    Zhou et al. 2016 with one such stack, Miceli Barone et al. 2017 with two (alternating, or with transitions BiDeep).
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(config, input_size // 2)

    def arranged(self, below: Tensor) -> Tensor:
        forward, backward = below.chunk(2, dim=-1)
        return torch.cat([backward, forward], dim=-1)

    def forward(self, inputs: Tensor, positions: Tensor, noise: Noise | None) -> Tensor:
        onwards, backwards = inputs.chunk(2, dim=-1)
        return self.read(onwards, backwards, positions, noise)


class ForwardLayer(nn.Module):
    """One recurrent layer that reads forward."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.forward_layer = recurrent_layer(config, input_size, config.encoder_size, config.encoder_transitions)

    def arranged(self, below: Tensor) -> Tensor:
        """See `BidirectionalLayer`, here as below."""
        return below

    def forward(self, inputs: Tensor, positions: Tensor, noise: Noise | None) -> Tensor:  # noqa: ARG002
        return self.forward_layer(inputs, self.forward_layer.zero_state(inputs), noise)  # type: ignore[no-any-return]

    def final(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return last_outputs(outputs, lengths)


# Of the layers above the first.
STACKS: dict[str, type[BidirectionalLayer] | type[AlternatingLayer] | type[ForwardLayer]] = {
    "bidirectional": BidirectionalLayer,
    "gnmt": ForwardLayer,
    "alternating": AlternatingLayer,
}


class Encoder(nn.Module):
    """A bidirectional layer and others above it, with residual connections and dropout between them."""

    layers: Sequence[BidirectionalLayer | ForwardLayer]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H, above = config.encoder_size, STACKS[config.encoder_stack]
        layers = [BidirectionalLayer(config, config.embedding_size)]
        self.layers = nn.ModuleList(layers + [above(config, H) for _ in range(config.encoder_layers - 1)])  # type: ignore[assignment]
        self.norms = nn.ModuleList(OutputNorm(H) if config.layer_norm else nn.Identity() for _ in self.layers)
        self.residual = config.residual
        self.dropout = config.dropout

    def forward(self, embedded: Tensor, lengths: Tensor, noise: Noise | None = None) -> Tensor:
        """Outputs (B, S, H) of embedded source pieces (B, S, E) with lengths (B,)."""
        positions = reversal(lengths, embedded.size(1))
        hidden: Tensor = self.norms[0](self.layers[0](embedded, positions, noise))
        for layer, norm in zip(self.layers[1:], self.norms[1:], strict=True):
            below = layer.arranged(hidden)
            outputs = norm(layer(shared_dropout(below, self.dropout, noise), positions, noise))
            hidden = below + outputs if self.residual else outputs
        return hidden

    def final(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Where the last layer ends in each direction, (B, H), of its outputs (B, S, H)."""
        return self.layers[-1].final(outputs, lengths)


def final_outputs(outputs: Tensor, lengths: Tensor) -> Tensor:
    """Where each direction ends: forward at the last piece, backward at the first. (B, S, H) to (B, H)."""
    forward, backward = outputs.chunk(2, dim=-1)
    return torch.cat([last_outputs(forward, lengths), backward[:, 0]], dim=-1)


def last_outputs(outputs: Tensor, lengths: Tensor) -> Tensor:
    """At the last piece, (B, S, H) to (B, H)."""
    return outputs[torch.arange(outputs.size(0), device=outputs.device), lengths - 1]


def mean_outputs(outputs: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real pieces. (B, S, H) and (B, S) to (B, H)."""
    weights = mask.to(outputs.dtype).unsqueeze(-1)
    return (outputs * weights).sum(dim=1) / weights.sum(dim=1)
