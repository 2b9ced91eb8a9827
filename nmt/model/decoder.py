"""The decoders. Each runs in two ways, which a test holds equal:

    forward(embedded, memory)         all target positions at once, teacher forcing
    step(embedded, state, memory)     one position of every hypothesis, for search

Both return attentional vectors h̃ (nmt/model/combine.py), from which the output layer predicts.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.attention import AttendedMemory
from nmt.model.autograd.repeated import RepeatedLinears
from nmt.model.combine import Apply, apply_linear
from nmt.model.dropout import Randomness, apply_mask, shared_dropout, step_mask
from nmt.model.layer import OutputNorm, RecurrentLayer
from nmt.model.parts import build_attention, build_combine, build_layer
from nmt.model.state import CellState, Decoded, DecoderState, Memory
from nmt.system.machine import product_dtype


class Bridge(nn.Module):
    """First decoder states from the encoder's summary: s = tanh(W summary), or zeros."""

    def __init__(self, config: ModelConfig, states: int) -> None:
        """`states`: tensors in the state of a layer."""
        super().__init__()
        self.layers, self.states, self.size = config.decoder_layers, states, config.decoder_size
        outputs = self.layers * self.states * self.size
        self.linear = nn.Linear(config.encoder_size, outputs) if config.bridge != "none" else None

    def forward(self, memory: Memory) -> tuple[CellState, ...]:
        """The state of each layer, (B, H) each."""
        B = memory.summary.size(0)
        if self.linear is None:
            flat = memory.summary.new_zeros(B, self.layers * self.states * self.size)
        else:
            flat = torch.tanh(self.linear(memory.summary))
        states = flat.view(B, self.layers, self.states, self.size)
        return tuple(tuple(layer.unbind(dim=1)) for layer in states.unbind(dim=1))


class Decoder(nn.Module, ABC):
    """What all decoders share: layers, attention and the attentional vector."""

    layers: Sequence[RecurrentLayer]

    def __init__(self, config: ModelConfig, input_sizes: list[int]) -> None:
        """`input_sizes`: of each layer, from the bottom up."""
        super().__init__()
        H, transitions = config.decoder_size, config.decoder_transitions
        self.layers = nn.ModuleList(build_layer(config, size, H, transitions) for size in input_sizes)  # type: ignore[assignment]
        self.norms = nn.ModuleList(OutputNorm(H) if config.layer_norm else nn.Identity() for _ in input_sizes)
        self.attention = build_attention(config)
        self.combine = build_combine(config)
        self.bridge = Bridge(config, self.layers[0].states)
        self.residual = config.residual
        self.dropout = config.dropout

    def start(self, memory: Memory) -> DecoderState:
        """The state before the first step, B rows."""
        return DecoderState(layers=self.bridge(memory), attention=self.attention.start(memory))

    @abstractmethod
    def forward(self, embedded: Tensor, memory: Memory, randomness: Randomness | None = None) -> Decoded:
        """Decode all positions from embedded previous tokens (B, T, E)."""

    @abstractmethod
    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Decoded, DecoderState]:
        """Decode one position from embedded previous tokens (N, E), and return the next state.

        Row b·K + k is hypothesis k of sentence b.
        """

    def attend(
        self, hidden: Tensor, memory: AttendedMemory, state: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """One step of attention from queries (N, H): contexts (N, C), weights (N, S) and its next state."""
        B, S = memory.mask.shape
        query = hidden.view(B, -1, hidden.size(-1))  # (B, K, H)
        context, weights = self.attention(query, memory, None if state is None else state.view(B, -1, S))
        context, weights = context.flatten(0, 1), weights.flatten(0, 1)
        return context, weights, self.attention.advance(state, weights)

    def add_residual(self, index: int, below: Tensor, outputs: Tensor) -> Tensor:
        """Add a layer's input to its output, from the second layer up."""
        return below + outputs if index and self.residual else outputs


class Attended(NamedTuple):
    """Outputs of the first layer of a `ContextDecoder`, at all positions of a sentence or one of each hypothesis."""

    hidden: Tensor  # (…, H) its output
    context: Tensor  # (…, C)
    weights: Tensor  # (…, S) of attention


class ContextDecoder(Decoder):
    """The first layer attends; its context joins the input of each layer above (GNMT, Wu et al. 2016, section 3)."""

    def __init__(self, config: ModelConfig) -> None:
        above = config.decoder_size + config.encoder_size
        super().__init__(config, [config.embedding_size] + [above] * (config.decoder_layers - 1))

    @abstractmethod
    def attend_all(
        self, embedded: Tensor, state: DecoderState, memory: Memory, randomness: Randomness | None
    ) -> Attended:
        """Run the first layer at all positions (B, T, ·), from the first state."""

    @abstractmethod
    def attend_step(
        self, embedded: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Attended, CellState, Tensor | None]:
        """Run the first layer at one position (N, ·), and return its next state and that of attention."""

    def forward(self, embedded: Tensor, memory: Memory, randomness: Randomness | None = None) -> Decoded:
        start = self.start(memory)
        first = self.attend_all(embedded, start, memory, randomness)
        hidden = first.hidden
        for index in range(1, len(self.layers)):
            inputs = shared_dropout(torch.cat([hidden, first.context], dim=-1), self.dropout, randomness)
            outputs = self.norms[index](self.layers[index](inputs, start.layers[index], randomness))
            hidden = self.add_residual(index, hidden, outputs)
        vectors = self.combine.vectors(embedded, hidden, first.context)
        return Decoded(vectors=vectors, attention=first.weights)

    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Decoded, DecoderState]:
        first, first_state, attention = self.attend_step(embedded, state, memory)
        states, hidden = [first_state], first.hidden
        for index in range(1, len(self.layers)):
            states.append(self.layers[index].step(torch.cat([hidden, first.context], dim=-1), state.layers[index]))
            hidden = self.add_residual(index, hidden, self.norms[index](states[-1][0]))
        vectors = self.combine.vectors(embedded, hidden, first.context)
        return Decoded(vectors=vectors, attention=first.weights), DecoderState(
            layers=tuple(states), attention=attention
        )


class ParallelDecoder(ContextDecoder):
    """Attention does not feed back into the first layer, so training needs no Python loop over time."""

    def attend_all(
        self, embedded: Tensor, state: DecoderState, memory: Memory, randomness: Randomness | None
    ) -> Attended:
        hidden = self.norms[0](self.layers[0](embedded, state.layers[0], randomness))
        return Attended(hidden, *self.attention(hidden, memory))

    def attend_step(
        self, embedded: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Attended, CellState, Tensor | None]:
        next_state = self.layers[0].step(embedded, state.layers[0])
        hidden = self.norms[0](next_state[0])
        context, weights, attention = self.attend(hidden, memory, state.attention)
        return Attended(hidden, context, weights), next_state, attention


class StepLayer(Protocol):
    """A layer for one time step: a `RecurrentLayer`, or an unrolled one in training."""

    def step(self, inputs: Tensor, state: CellState) -> CellState: ...


@dataclass(frozen=True, kw_only=True)
class StepWeights:
    """The weights of a step: modules in search; in training, forms that make their gradients at the end."""

    layers: Sequence[StepLayer]
    apply: Apply  # the linear layers of the attentional vector
    masks: Sequence[Tensor | None]  # dropout on the inputs of each layer, (N, D)


class InputFeedingDecoder(Decoder):
    """The attentional vector joins the next step's input, so attention knows what it chose (Luong et al. 2015, 3.3)."""

    def __init__(self, config: ModelConfig) -> None:
        E, H = config.embedding_size, config.decoder_size
        super().__init__(config, [E + H] + [H] * (config.decoder_layers - 1))

    def start(self, memory: Memory) -> DecoderState:
        state = super().start(memory)
        return replace(state, feed=torch.zeros_like(state.layers[0][0]))

    def forward(self, embedded: Tensor, memory: Memory, randomness: Randomness | None = None) -> Decoded:
        dtype = product_dtype(embedded)
        state, steps = self.start(memory), []
        attended, weights = self.attention.step_memory(memory), self.unroll(embedded, dtype, randomness)
        for previous in embedded.to(dtype).unbind(dim=1):
            decoded, state = self._advance(previous, state, attended, weights)
            steps.append(decoded)
        return Decoded(
            vectors=torch.stack([step.vectors for step in steps], dim=1),
            attention=torch.stack([step.attention for step in steps], dim=1),
        )

    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Decoded, DecoderState]:
        weights = StepWeights(layers=self.layers, apply=apply_linear, masks=[None] * len(self.layers))
        return self._advance(embedded, state, memory, weights)

    def unroll(self, embedded: Tensor, dtype: torch.dtype, randomness: Randomness | None) -> StepWeights:
        H = self.layers[0].hidden_size
        # One mask for the whole sequence, between each two layers.
        masks = [step_mask(embedded, H, self.dropout, randomness) for _ in self.layers[1:]]
        return StepWeights(
            layers=[layer.unroll(embedded, randomness) for layer in self.layers],
            apply=RepeatedLinears(dtype),
            masks=[None, *masks],
        )

    def _advance(
        self, embedded: Tensor, state: DecoderState, memory: AttendedMemory, weights: StepWeights
    ) -> tuple[Decoded, DecoderState]:
        assert state.feed is not None
        hidden = torch.cat([embedded, state.feed.to(embedded.dtype)], dim=-1)  # (N, E + H)
        states = []
        for index, (layer, mask) in enumerate(zip(weights.layers, weights.masks, strict=True)):
            states.append(layer.step(apply_mask(hidden, mask), state.layers[index]))
            hidden = self.add_residual(index, hidden, self.norms[index](states[-1][0]))
        context, attention_weights, attention = self.attend(hidden, memory, state.attention)
        vectors = self.combine.vectors(embedded, hidden, context, weights.apply)
        decoded = Decoded(vectors=vectors, attention=attention_weights)
        return decoded, DecoderState(layers=tuple(states), feed=vectors, attention=attention)
