"""The decoder of Nematus. Its first layer has two cells, and attends between them."""

import torch
from torch import Tensor

from nmt.config.schema import ModelConfig
from nmt.model.attention import AttendedMemory
from nmt.model.decoder import Attended, ContextDecoder, StepLayer
from nmt.model.dropout import Randomness, apply_mask, step_mask
from nmt.model.parts import build_layer
from nmt.model.state import CellState, DecoderState, Memory
from nmt.system.devices import product_dtype


class ConditionalDecoder(ContextDecoder):
    """A decoder that attends between two cells of its first layer, like the cGRU of Nematus (Sennrich et al. 2017).

    s' = cell(previous token, s);  c = attention(s');  s = cell(c, s')

    The cells can be of any type. The second cell can have deep transitions (Miceli Barone et al. 2017). In training,
    the layers above the first process all target positions at once.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        H = config.decoder_size
        self.layers[0] = build_layer(config, config.embedding_size, H)  # type: ignore[index]
        self.second = build_layer(config, config.encoder_size, H, config.decoder_transitions)

    def attend_all(
        self, embedded: Tensor, state: DecoderState, memory: Memory, randomness: Randomness | None
    ) -> Attended:
        attended, steps = self.attention.step_memory(memory), []
        cells = self.layers[0].unroll(embedded, randomness), self.second.unroll(embedded, randomness)
        mask = step_mask(embedded, memory.values.size(-1), self.dropout, randomness)
        cell_state, attention = state.layers[0], state.attention
        for previous in embedded.to(product_dtype(embedded)).unbind(dim=1):
            step, cell_state, attention = self._transit(previous, cell_state, attention, attended, cells, mask)
            steps.append(step)
        hidden, context, weights = (torch.stack(parts, dim=1) for parts in zip(*steps, strict=True))
        return Attended(self.norms[0](hidden), context, weights)

    def attend_step(
        self, embedded: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Attended, CellState, Tensor | None]:
        cells = self.layers[0], self.second
        step, next_state, attention = self._transit(embedded, state.layers[0], state.attention, memory, cells, None)
        return step._replace(hidden=self.norms[0](step.hidden)), next_state, attention

    def _transit(
        self,
        embedded: Tensor,
        state: CellState,
        attention: Tensor | None,
        memory: AttendedMemory,
        cells: tuple[StepLayer, StepLayer],
        mask: Tensor | None,
    ) -> tuple[Attended, CellState, Tensor | None]:
        """Compute one time step of the first layer, without the layer normalization of its output.

        `mask` (N, C) is a dropout mask, or None. The context is multiplied by the mask before the second cell.
        """
        first, second = cells
        state = first.step(embedded, state)
        context, weights, attention = self.attend(state[0], memory, attention)
        state = second.step(apply_mask(context, mask), state)
        return Attended(state[0], context, weights), state, attention
