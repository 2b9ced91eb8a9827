"""The decoders. Each has two ways to run that a test holds equal:

    forward(embedded, memory)         all target positions at once, teacher forcing
    step(embedded, state, memory)     one position of every hypothesis, for search

Both yield attentional vectors h̃ (nmt/model/combine.py), of which `Seq2Seq` makes scores of the vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.attention import ATTENTIONS, Attended, CoverageAttention, StepMemory
from nmt.model.autograd.repeated import RepeatedLinears
from nmt.model.cells import STATES, recurrent_layer
from nmt.model.combine import Apply, Combine, GatedCombine, applied
from nmt.model.dropout import Noise, masked, shared_dropout, step_mask
from nmt.model.layer import OutputNorm, RecurrentLayer
from nmt.model.state import CellState, Decoded, DecoderState, Memory
from nmt.system.machine import product_dtype


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
        E, H, C = config.embedding_size, config.decoder_size, config.encoder_size
        layers = nn.ModuleList(recurrent_layer(config, size, H, transitions) for size, transitions in shapes)
        self.layers = layers  # type: ignore[assignment]
        self.norms = nn.ModuleList(OutputNorm(H) if config.layer_norm else nn.Identity() for _ in shapes)
        attention = CoverageAttention if config.coverage else ATTENTIONS[config.attention]
        self.attention = attention(H, C, config.attention_heads)
        self.combine = GatedCombine(E, H, C) if config.context_gate else Combine(E, H, C)
        self.bridge = Bridge(config)
        self.residual = config.residual
        self.dropout = config.dropout

    def start(self, memory: Memory) -> DecoderState:
        """The state before the first step, B rows."""
        covering = isinstance(self.attention, CoverageAttention)
        # A sum over the whole sentence: in bfloat16 small weights would no longer change it.
        dtype = torch.promote_types(memory.values.dtype, torch.float32)
        coverage = torch.zeros_like(memory.mask, dtype=dtype) if covering else None
        return DecoderState(layers=self.bridge(memory), coverage=coverage)

    @abstractmethod
    def forward(self, embedded: Tensor, memory: Memory, noise: Noise | None = None) -> Decoded:
        """All positions of embedded previous pieces (B, T, E)."""

    @abstractmethod
    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Decoded, DecoderState]:
        """One position of embedded previous pieces (N, E), and the next state.

        Row b·K + k is hypothesis k of sentence b.
        """

    def attend(self, hidden: Tensor, memory: Attended, coverage: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Contexts (N, C) and weights (N, S) of one step's queries (N, H) with their coverage (N, S), if there is one."""
        B, S = memory.mask.shape
        if coverage is not None:
            seen = coverage.view(B, -1, S)
            memory = StepMemory(keys=memory.keys, values=memory.values, mask=memory.mask, coverage=seen)
        context, weights = self.attention(hidden.view(B, -1, hidden.size(-1)), memory)  # (B, K, ·)
        return context.flatten(0, 1), weights.flatten(0, 1)

    def added(self, index: int, below: Tensor, outputs: Tensor) -> Tensor:
        """Output of layer `index` with its residual connection, which starts at the second layer."""
        return below + outputs if index and self.residual else outputs


class ContextDecoder(Decoder):
    """The first layer attends; its context joins the input of each layer above (GNMT, Wu et al. 2016, section 3)."""

    def __init__(self, config: ModelConfig, first_transitions: int) -> None:
        above = config.decoder_size + config.encoder_size, config.decoder_transitions
        super().__init__(config, [(config.embedding_size, first_transitions)] + [above] * (config.decoder_layers - 1))

    @abstractmethod
    def attended(self, embedded: Tensor, state: DecoderState, memory: Memory, noise: Noise | None) -> "First":
        """All positions (B, T, ·) of the first layer, from the first state."""

    @abstractmethod
    def attended_step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple["First", CellState]:
        """One position (N, ·) of the first layer, and its next state."""

    def forward(self, embedded: Tensor, memory: Memory, noise: Noise | None = None) -> Decoded:
        start = self.start(memory)
        first = self.attended(embedded, start, memory, noise)
        hidden = first.hidden
        for index in range(1, len(self.layers)):
            inputs = shared_dropout(torch.cat([hidden, first.context], dim=-1), self.dropout, noise)
            outputs = self.norms[index](self.layers[index](inputs, start.layers[index], noise))
            hidden = self.added(index, hidden, outputs)
        vectors = self.combine.vectors(embedded, hidden, first.context)
        return Decoded(hidden=hidden, vectors=vectors, attention=first.weights)

    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Decoded, DecoderState]:
        first, following = self.attended_step(embedded, state, memory)
        states, hidden = [following], first.hidden
        for index in range(1, len(self.layers)):
            states.append(self.layers[index].step(torch.cat([hidden, first.context], dim=-1), state.layers[index]))
            hidden = self.added(index, hidden, self.norms[index](states[-1][0]))
        vectors = self.combine.vectors(embedded, hidden, first.context)
        decoded = Decoded(hidden=hidden, vectors=vectors, attention=first.weights)
        return decoded, DecoderState(layers=tuple(states), coverage=_covered(state.coverage, first.weights))


class First(NamedTuple):
    """What the first layer of a `ContextDecoder` yields, for all positions of a sentence or one of each hypothesis."""

    hidden: Tensor  # (…, H) its output
    context: Tensor  # (…, C)
    weights: Tensor  # (…, S) of attention


class ParallelDecoder(ContextDecoder):
    """Attention does not feed back into the recurrence of the first layer, so training needs no Python loop over time."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, config.decoder_transitions)

    def attended(self, embedded: Tensor, state: DecoderState, memory: Memory, noise: Noise | None) -> First:
        hidden = self.norms[0](self.layers[0](embedded, state.layers[0], noise))
        return First(hidden, *self.attention(hidden, memory))

    def attended_step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[First, CellState]:
        following = self.layers[0].step(embedded, state.layers[0])
        hidden = self.norms[0](following[0])
        return First(hidden, *self.attend(hidden, memory)), following


class StepLayer(Protocol):
    """A layer as one time step needs it: a `RecurrentLayer`, or in training one that is unrolled."""

    def step(self, inputs: Tensor, state: CellState) -> CellState: ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The weights of a step: the modules themselves in search, in training such that form their gradients at the end."""

    layers: Sequence[StepLayer]
    product: Apply  # of the attentional vector
    masks: Sequence[Tensor | None]  # of dropout on the inputs of each layer, (N, D)


class InputFeedingDecoder(Decoder):
    """The attentional vector joins the next step's input, so attention knows what it chose (Luong et al. 2015, sec. 3.3)."""

    def __init__(self, config: ModelConfig) -> None:
        H, transitions = config.decoder_size, config.decoder_transitions
        shapes = [(config.embedding_size + H, transitions)] + [(H, transitions)] * (config.decoder_layers - 1)
        super().__init__(config, shapes)

    def start(self, memory: Memory) -> DecoderState:
        state = super().start(memory)
        return replace(state, feed=torch.zeros_like(state.layers[0][0]))

    def forward(self, embedded: Tensor, memory: Memory, noise: Noise | None = None) -> Decoded:
        dtype = product_dtype(embedded)
        state, steps = self.start(memory), []
        seen, parts = self.attention.step_memory(memory), self._unrolled(embedded, dtype, noise)
        for previous in embedded.to(dtype).unbind(dim=1):
            decoded, state = self._advance(previous, state, seen, parts)
            steps.append(decoded)
        return Decoded(
            hidden=torch.stack([step.hidden for step in steps], dim=1),
            vectors=torch.stack([step.vectors for step in steps], dim=1),
            attention=torch.stack([step.attention for step in steps], dim=1),
        )

    def step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[Decoded, DecoderState]:
        parts = Parts(layers=self.layers, product=applied, masks=[None] * len(self.layers))
        return self._advance(embedded, state, memory, parts)

    def _unrolled(self, embedded: Tensor, dtype: torch.dtype, noise: Noise | None) -> Parts:
        H = self.layers[0].hidden_size
        # One mask for the whole sequence, between each two layers.
        masks = [step_mask(embedded, H, self.dropout, noise) for _ in self.layers[1:]]
        return Parts(
            layers=[layer.unrolled(embedded, noise) for layer in self.layers],
            product=RepeatedLinears(dtype),
            masks=[None, *masks],
        )

    def _advance(
        self, embedded: Tensor, state: DecoderState, memory: Attended, parts: Parts
    ) -> tuple[Decoded, DecoderState]:
        assert state.feed is not None
        hidden = torch.cat([embedded, state.feed.to(embedded.dtype)], dim=-1)
        states = []
        for index, (layer, mask) in enumerate(zip(parts.layers, parts.masks, strict=True)):
            states.append(layer.step(masked(hidden, mask), state.layers[index]))
            hidden = self.added(index, hidden, self.norms[index](states[-1][0]))
        context, weights = self.attend(hidden, memory, state.coverage)
        vectors = self.combine.vectors(embedded, hidden, context, parts.product)
        decoded = Decoded(hidden=hidden, vectors=vectors, attention=weights)
        return decoded, DecoderState(layers=tuple(states), feed=vectors, coverage=_covered(state.coverage, weights))


class ConditionalDecoder(ContextDecoder):
    """A first layer of two transitions with attention between them: Nematus' cGRU, with any cell (Sennrich et al. 2017).

    s' = cell(previous piece, s);  c = attention(s');  s = cell(c, s'). Further transitions come after these
    (Miceli Barone et al. 2017). The layers above see whole sequences in training.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, first_transitions=1)
        self.second = recurrent_layer(config, config.encoder_size, config.decoder_size, config.decoder_transitions)

    def attended(self, embedded: Tensor, state: DecoderState, memory: Memory, noise: Noise | None) -> First:
        seen, steps = self.attention.step_memory(memory), []
        cells = self.layers[0].unrolled(embedded, noise), self.second.unrolled(embedded, noise)
        mask = step_mask(embedded, memory.values.size(-1), self.dropout, noise)
        cell_state, coverage = state.layers[0], state.coverage
        for previous in embedded.to(product_dtype(embedded)).unbind(dim=1):
            cell_state, context, weights = self._transit(previous, cell_state, seen, coverage, cells, mask)
            coverage = _covered(coverage, weights)
            steps.append(First(cell_state[0], context, weights))
        hidden, context, weights = (torch.stack(parts, dim=1) for parts in zip(*steps, strict=True))
        return First(self.norms[0](hidden), context, weights)

    def attended_step(self, embedded: Tensor, state: DecoderState, memory: Memory) -> tuple[First, CellState]:
        cells = self.layers[0], self.second
        following, context, weights = self._transit(embedded, state.layers[0], memory, state.coverage, cells, None)
        return First(self.norms[0](following[0]), context, weights), following

    def _transit(
        self,
        embedded: Tensor,
        state: CellState,
        memory: Attended,
        coverage: Tensor | None,
        cells: tuple[StepLayer, StepLayer],
        mask: Tensor | None,
    ) -> tuple[CellState, Tensor, Tensor]:
        """The next state, the context (N, C), under a mask on its way into the second cell, and attention weights (N, S)."""
        first, second = cells
        state = first.step(embedded, state)
        context, weights = self.attend(state[0], memory, coverage)
        return second.step(masked(context, mask), state), context, weights


def _covered(coverage: Tensor | None, weights: Tensor) -> Tensor | None:
    """The sum of attention weights with those of one more step, where it is kept."""
    return None if coverage is None else coverage + weights


DECODERS: dict[str, type[ParallelDecoder] | type[InputFeedingDecoder] | type[ConditionalDecoder]] = {
    "parallel": ParallelDecoder,
    "input_feeding": InputFeedingDecoder,
    "conditional": ConditionalDecoder,
}
