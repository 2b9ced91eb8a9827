"""The decoders. Each of them runs in two ways. A test ensures that the results are equal.

    forward(embedded, memory)         all target positions at once, with teacher forcing, for training
    step(embedded, state, memory)     one target position of every hypothesis, for search

Both methods return attentional vectors h̃ (nmt/model/combine.py). The output layer predicts the next tokens from these
vectors.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.attention import AttendedMemory, DotAttention, GeneralAttention
from nmt.model.autograd.input_feeding import FeedingLayer, decode_with_feeding
from nmt.model.autograd.native import is_usable
from nmt.model.autograd.repeated import RepeatedLinears
from nmt.model.cells import TorchLayer
from nmt.model.combine import Apply, Combine, apply_linear
from nmt.model.dropout import Randomness, apply_mask, shared_dropout, step_mask
from nmt.model.layer import OutputNorm, RecurrentLayer
from nmt.model.parts import build_attention, build_combine, build_layer
from nmt.model.state import CellState, Decoded, DecoderState, Memory
from nmt.system.devices import product_dtype


class Bridge(nn.Module):
    """A layer that computes the initial states of the decoder.

    The initial states are tanh(W s + b), where s is the summary in `Memory`. Without a bridge, they are zeros.

    Args:
        config: the architecture.
        states: the number of tensors in the state of one decoder layer.
    """

    def __init__(self, config: ModelConfig, states: int) -> None:
        super().__init__()
        self.layers, self.states, self.size = config.decoder_layers, states, config.decoder_size
        outputs = self.layers * self.states * self.size
        self.linear = nn.Linear(config.encoder_size, outputs) if config.bridge != "none" else None

    def forward(self, memory: Memory) -> tuple[CellState, ...]:
        """Compute the initial state of each decoder layer, as tensors (B, H)."""
        B = memory.summary.size(0)
        if self.linear is None:
            flat = memory.summary.new_zeros(B, self.layers * self.states * self.size)
        else:
            flat = torch.tanh(self.linear(memory.summary))
        states = flat.view(B, self.layers, self.states, self.size)
        return tuple(tuple(layer.unbind(dim=1)) for layer in states.unbind(dim=1))


class Decoder(nn.Module, ABC):
    """The base class of all decoders, with the layers, the attention and the attentional vector.

    Args:
        config: the architecture.
        input_sizes: the input size of each layer, from the bottom up.
    """

    layers: Sequence[RecurrentLayer]

    def __init__(self, config: ModelConfig, input_sizes: list[int]) -> None:
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
        """Return the state before the first step, with B rows."""
        return DecoderState(layers=self.bridge(memory), attention=self.attention.start(memory))

    @abstractmethod
    def forward(self, embedded: Tensor, memory: Memory, randomness: Randomness | None = None) -> Decoded:
        """Decode all target positions. `embedded` (B, T, E) are the embeddings of the token before each position."""

    @abstractmethod
    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Decoded, DecoderState]:
        """Decode one target position of every hypothesis. Return the result and the next state.

        Row b·K + k of a tensor belongs to hypothesis k of sentence b.

        Args:
            embedded: the embedding of the last token of each hypothesis, (N, E).
            state: the state before the step.
            memory: the encoded sentences.
        """

    def attend(
        self, hidden: Tensor, memory: AttendedMemory, state: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Compute attention for queries (N, H) at one target position.

        Returns:
            The contexts (N, C), the attention weights (N, S), and the next state of attention (N, S). The state is None
            if the attention has no state.
        """
        B, S = memory.mask.shape
        query = hidden.view(B, -1, hidden.size(-1))  # (B, K, H)
        context, weights = self.attention(query, memory, None if state is None else state.view(B, -1, S))
        context, weights = context.flatten(0, 1), weights.flatten(0, 1)
        return context, weights, self.attention.advance(state, weights)

    def add_residual(self, index: int, below: Tensor, outputs: Tensor) -> Tensor:
        """In a residual network, add the inputs of a layer (`below`) to its outputs.

        The first layer (`index` 0) has no residual connection.
        """
        return below + outputs if index and self.residual else outputs


class Attended(NamedTuple):
    """The outputs of the first layer of a `ContextDecoder`.

    Shapes are (B, T, ·) for all target positions, and (N, ·) for one target position.
    """

    hidden: Tensor  # (…, H) the outputs of the recurrent layer
    context: Tensor  # (…, C) the contexts of attention
    weights: Tensor  # (…, S) the attention weights


class ContextDecoder(Decoder):
    """A decoder that attends in its first layer, like GNMT (Wu et al. 2016, section 3).

    The context of attention is part of the input of each layer above the first.
    """

    def __init__(self, config: ModelConfig) -> None:
        above = config.decoder_size + config.encoder_size
        super().__init__(config, [config.embedding_size] + [above] * (config.decoder_layers - 1))

    @abstractmethod
    def attend_all(
        self, embedded: Tensor, state: DecoderState, memory: Memory, randomness: Randomness | None
    ) -> Attended:
        """Run the first layer at all target positions.

        Args:
            embedded: the embedding of the token before each position, (B, T, E).
            state: the initial state.
            memory: the encoded sentences.
            randomness: the source of dropout masks. If it is None, nothing is dropped.
        """

    @abstractmethod
    def attend_step(
        self, embedded: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Attended, CellState, Tensor | None]:
        """Run the first layer at one target position. See `step` for the arguments.

        Returns:
            The outputs, the next state of the layer, and the next state of attention.
        """

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
    """A decoder with attention above its first recurrent layer.

    The first layer does not read the context of attention, so all queries are known before attention is computed.
    Training therefore needs no loop over time steps.
    """

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
    """A layer that computes one time step: a `RecurrentLayer`, or an `Unrolled` layer in training."""

    def step(self, inputs: Tensor, state: CellState) -> CellState: ...


@dataclass(frozen=True, kw_only=True)
class StepWeights:
    """The layers and dropout masks that a decoder uses in every time step.

    In training, the layers are unrolled. Unrolled layers compute the gradients of their weights once, after the
    backward pass of all time steps.
    """

    layers: Sequence[StepLayer]
    apply: Apply  # applies the linear layers of the attentional vector
    masks: Sequence[Tensor | None]  # (N, D) the dropout mask for the inputs of each layer


class InputFeedingDecoder(Decoder):
    """A decoder with input feeding (Luong et al. 2015, section 3.3).

    The attentional vector is part of the input of the next step. Attention can therefore take into account which
    source tokens it used in earlier steps.
    """

    def __init__(self, config: ModelConfig) -> None:
        E, H = config.embedding_size, config.decoder_size
        super().__init__(config, [E + H] + [H] * (config.decoder_layers - 1))

    def start(self, memory: Memory) -> DecoderState:
        state = super().start(memory)
        return replace(state, feed=torch.zeros_like(state.layers[0][0]))

    def forward(self, embedded: Tensor, memory: Memory, randomness: Randomness | None = None) -> Decoded:
        if self._is_native(embedded):
            return self._decode_natively(embedded, memory, randomness)
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

    def _is_native(self, like: Tensor) -> bool:
        """Return whether the native library has the loop over the time steps of this decoder."""
        return (
            all(type(layer) is TorchLayer and layer.cell == "lstm" for layer in self.layers)
            and all(type(norm) in (nn.Identity, OutputNorm) for norm in self.norms)
            and type(self.attention) in (DotAttention, GeneralAttention)
            and type(self.combine) is Combine
            and is_usable(like, self.layers[0].hidden_size)
        )

    def _decode_natively(self, embedded: Tensor, memory: Memory, randomness: Randomness | None) -> Decoded:
        H, states = self.layers[0].hidden_size, self.start(memory).layers
        # The masks are drawn in the order of `unroll`.
        masks = [None, *(step_mask(embedded, H, self.dropout, randomness) for _ in self.layers[1:])]
        layers = []
        for layer, module, mask, (h, c) in zip(self.layers, self.norms, masks, states, strict=True):
            (state_mask,) = layer.masks(embedded, randomness)
            (w_input, b_input), ((w_recurrent, b_recurrent),) = layer.input, layer.recurrent
            assert b_input is not None
            assert b_recurrent is not None
            weights = (w_input, w_recurrent, b_input, b_recurrent)
            norm = (module.weight, module.bias) if isinstance(module, OutputNorm) else None
            layers.append(
                FeedingLayer(weights=weights, state=(h, c), input_mask=mask, state_mask=state_mask, norm=norm)
            )
        assert isinstance(self.combine, Combine)
        combine = (self.combine.weight, self.combine.bias)
        vectors, attention = decode_with_feeding(
            embedded, memory.keys, memory.values, memory.mask, layers, combine, residual=self.residual
        )
        return Decoded(vectors=vectors, attention=attention)

    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Decoded, DecoderState]:
        weights = StepWeights(layers=self.layers, apply=apply_linear, masks=[None] * len(self.layers))
        return self._advance(embedded, state, memory, weights)

    def unroll(self, embedded: Tensor, dtype: torch.dtype, randomness: Randomness | None) -> StepWeights:
        """Unroll the layers and draw the dropout masks for all time steps of a sequence."""
        H = self.layers[0].hidden_size
        # Each layer above the first has one dropout mask for the whole sequence.
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
