"""The decoders. Each has two ways to run that a test holds equal:

    forward(embedded, memory)         all target positions at once, teacher forcing
    step(embedded, state, memory)     one position of every hypothesis, for search

Both yield attentional vectors h̃ = tanh(W [c; h]) (Luong et al. 2015, eq. 5), which `Seq2Seq` turns into scores of
the vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.machine import product_dtype
from nmt.model.attention import ATTENTIONS, Attended
from nmt.model.cells import STATES, recurrent_layer
from nmt.model.dropout import Noise, masked, shared_dropout, step_mask
from nmt.model.layer import RecurrentLayer
from nmt.model.repeated import Repeated
from nmt.model.state import CellState, DecoderState, Memory


class Bridge(nn.Module):
    """First decoder states from the encoder's summary: s = tanh(W summary), or zeros."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers, self.states, self.size = config.decoder_layers, STATES[config.cell], config.decoder_size
        outputs = self.layers * self.states * self.size
        self.linear = nn.Linear(config.encoder_size, outputs) if config.bridge != "none" else None

    def forward(self, memory: Memory) -> tuple[CellState, ...]:
        """For each layer its states, (B, H) each."""
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

    def __init__(self, config: ModelConfig, shapes: list[tuple[int, int]]) -> None:
        """`shapes`: size of its inputs and transitions of each layer."""
        super().__init__()
        H, C = config.decoder_size, config.encoder_size
        layers = nn.ModuleList(recurrent_layer(config, size, H, transitions) for size, transitions in shapes)
        self.layers = layers  # type: ignore[assignment]
        self.norms = nn.ModuleList(nn.LayerNorm(H) if config.layer_norm else nn.Identity() for _ in shapes)
        self.attention = ATTENTIONS[config.attention](H, C, config.attention_heads)
        self.combine = nn.Linear(H + C, H)
        self.bridge = Bridge(config)
        self.residual = config.residual
        self.dropout = config.dropout

    def start(self, memory: Memory) -> DecoderState:
        """The state before the first step, B rows."""
        return DecoderState(layers=self.bridge(memory))

    @abstractmethod
    def forward(self, embedded: Tensor, memory: Memory, noise: Noise | None = None) -> Tensor:
        """Attentional vectors (B, T, H) of embedded previous pieces (B, T, E)."""

    @abstractmethod
    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, Tensor, DecoderState]:
        """Attentional vectors (N, H), attention weights (N, S) and the next state, of embedded previous pieces (N, E).

        Row b·K + k is hypothesis k of sentence b.
        """

    def attend(self, hidden: Tensor, memory: Attended) -> tuple[Tensor, Tensor]:
        """Contexts (N, C) and weights (N, S) of one step's queries (N, H)."""
        B = memory.mask.size(0)
        context, weights = self.attention(hidden.view(B, -1, hidden.size(-1)), memory)  # (B, K, ·)
        return context.flatten(0, 1), weights.flatten(0, 1)

    def combined(self, hidden: Tensor, context: Tensor) -> Tensor:
        """h̃ = tanh(W [c; h])."""
        return torch.tanh(self.combine(torch.cat([context, hidden], dim=-1)))

    def added(self, index: int, below: Tensor, outputs: Tensor) -> Tensor:
        """Output of layer `index` with its residual connection, which starts at the second layer."""
        return below + outputs if index and self.residual else outputs


class ContextDecoder(Decoder):
    """The first layer attends; its context joins the input of each layer above (GNMT, Wu et al. 2016, section 3)."""

    def __init__(self, config: ModelConfig, first_transitions: int) -> None:
        above = config.decoder_size + config.encoder_size, config.decoder_transitions
        super().__init__(config, [(config.embedding_size, first_transitions)] + [above] * (config.decoder_layers - 1))

    @abstractmethod
    def attended(
        self, embedded: Tensor, state: CellState, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, H) of the first layer and their contexts (B, T, C), from its first state."""

    @abstractmethod
    def attended_step(
        self, embedded: Tensor, state: CellState, memory: Memory
    ) -> tuple[CellState, Tensor, Tensor, Tensor]:
        """The first layer's next state, its output (N, H), context (N, C) and attention weights (N, S)."""

    def forward(self, embedded: Tensor, memory: Memory, noise: Noise | None = None) -> Tensor:
        first = self.start(memory).layers
        hidden, context = self.attended(embedded, first[0], memory, noise)
        for index in range(1, len(self.layers)):
            inputs = shared_dropout(torch.cat([hidden, context], dim=-1), self.dropout, noise)
            outputs = self.norms[index](self.layers[index](inputs, first[index], noise))
            hidden = self.added(index, hidden, outputs)
        return self.combined(hidden, context)

    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, Tensor, DecoderState]:
        first, hidden, context, weights = self.attended_step(embedded, state.layers[0], memory)
        states = [first]
        for index in range(1, len(self.layers)):
            states.append(self.layers[index].step(torch.cat([hidden, context], dim=-1), state.layers[index]))
            hidden = self.added(index, hidden, self.norms[index](states[-1][0]))
        return self.combined(hidden, context), weights, DecoderState(layers=tuple(states))


class ParallelDecoder(ContextDecoder):
    """Attention does not feed back into the recurrence of the first layer, so training needs no Python loop over time."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, config.decoder_transitions)

    def attended(
        self, embedded: Tensor, state: CellState, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Tensor]:
        hidden = self.norms[0](self.layers[0](embedded, state, noise))
        context, _ = self.attention(hidden, memory)
        return hidden, context

    def attended_step(
        self, embedded: Tensor, state: CellState, memory: Memory
    ) -> tuple[CellState, Tensor, Tensor, Tensor]:
        state = self.layers[0].step(embedded, state)
        hidden = self.norms[0](state[0])
        return state, hidden, *self.attend(hidden, memory)


class StepLayer(Protocol):
    """A layer as one time step needs it: a `RecurrentLayer`, or in training one that is unrolled."""

    def step(self, inputs: Tensor, state: CellState) -> CellState: ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The weights of a step: the modules themselves in search, in training such that form their gradients at the end."""

    layers: Sequence[StepLayer]
    combine: Callable[[Tensor], Tensor]
    masks: Sequence[Tensor | None]  # of dropout on the inputs of each layer, (N, D)


class InputFeedingDecoder(Decoder):
    """The attentional vector joins the next step's input, so attention knows what it chose (Luong et al. 2015, sec. 3.3)."""

    def __init__(self, config: ModelConfig) -> None:
        H, transitions = config.decoder_size, config.decoder_transitions
        shapes = [(config.embedding_size + H, transitions)] + [(H, transitions)] * (config.decoder_layers - 1)
        super().__init__(config, shapes)

    def start(self, memory: Memory) -> DecoderState:
        layers = super().start(memory).layers
        return DecoderState(layers=layers, feed=torch.zeros_like(layers[0][0]))

    def forward(self, embedded: Tensor, memory: Memory, noise: Noise | None = None) -> Tensor:
        dtype = product_dtype(embedded)
        state, seen, parts = (
            self.start(memory),
            self.attention.step_memory(memory),
            self._unrolled(embedded, dtype, noise),
        )
        vectors = []
        for previous in embedded.to(dtype).unbind(dim=1):
            vector, _, state = self._advance(previous, state, seen, parts)
            vectors.append(vector)
        return torch.stack(vectors, dim=1)

    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, Tensor, DecoderState]:
        parts = Parts(layers=self.layers, combine=self.combine, masks=[None] * len(self.layers))
        return self._advance(embedded, state, memory, parts)

    def _unrolled(self, embedded: Tensor, dtype: torch.dtype, noise: Noise | None) -> Parts:
        H, weight = self.layers[0].hidden_size, Repeated(self.combine.weight.to(dtype).t())
        # One mask for the whole sequence, between each two layers.
        masks = [step_mask(embedded, H, self.dropout, noise) for _ in self.layers[1:]]
        return Parts(
            layers=[layer.unrolled(embedded, noise) for layer in self.layers],
            combine=lambda inputs: inputs @ weight + self.combine.bias.to(dtype),
            masks=[None, *masks],
        )

    def _advance(
        self, embedded: Tensor, state: DecoderState, memory: Attended, parts: Parts
    ) -> tuple[Tensor, Tensor, DecoderState]:
        assert state.feed is not None
        hidden = torch.cat([embedded, state.feed.to(embedded.dtype)], dim=-1)
        states = []
        for index, (layer, mask) in enumerate(zip(parts.layers, parts.masks, strict=True)):
            states.append(layer.step(masked(hidden, mask), state.layers[index]))
            hidden = self.added(index, hidden, self.norms[index](states[-1][0]))
        context, weights = self.attend(hidden, memory)
        vector = torch.tanh(parts.combine(torch.cat([context, hidden], dim=-1)))
        return vector, weights, DecoderState(layers=tuple(states), feed=vector)


class ConditionalDecoder(ContextDecoder):
    """A first layer of two transitions with attention between them: Nematus' cGRU, with any cell (Sennrich et al. 2017).

    s' = cell(previous piece, s);  c = attention(s');  s = cell(c, s'). Further transitions come after these
    (Miceli Barone et al. 2017). The layers above see whole sequences in training.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, first_transitions=1)
        self.second = recurrent_layer(config, config.encoder_size, config.decoder_size, config.decoder_transitions)

    def attended(
        self, embedded: Tensor, state: CellState, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Tensor]:
        seen, hidden, contexts = self.attention.step_memory(memory), [], []
        first, second = (layer.unrolled(embedded, noise) for layer in (self.layers[0], self.second))
        mask = step_mask(embedded, memory.values.size(-1), self.dropout, noise)
        for previous in embedded.to(product_dtype(embedded)).unbind(dim=1):
            state, context, _ = self._transit(previous, state, seen, (first, second), mask)
            hidden.append(state[0])
            contexts.append(context)
        return self.norms[0](torch.stack(hidden, dim=1)), torch.stack(contexts, dim=1)

    def attended_step(
        self, embedded: Tensor, state: CellState, memory: Memory
    ) -> tuple[CellState, Tensor, Tensor, Tensor]:
        state, context, weights = self._transit(embedded, state, memory, (self.layers[0], self.second), None)
        return state, self.norms[0](state[0]), context, weights

    def _transit(
        self,
        embedded: Tensor,
        state: CellState,
        memory: Attended,
        cells: tuple[StepLayer, StepLayer],
        mask: Tensor | None,
    ) -> tuple[CellState, Tensor, Tensor]:
        """The next state, the context (N, C), under a mask on its way into the second cell, and attention weights (N, S)."""
        first, second = cells
        state = first.step(embedded, state)
        context, weights = self.attend(state[0], memory)
        return second.step(masked(context, mask), state), context, weights


DECODERS: dict[str, type[ParallelDecoder] | type[InputFeedingDecoder] | type[ConditionalDecoder]] = {
    "parallel": ParallelDecoder,
    "input_feeding": InputFeedingDecoder,
    "conditional": ConditionalDecoder,
}
