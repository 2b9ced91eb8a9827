"""Recurrent layers with deep transitions, in which several cells run one after another within a time step."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.autograd.lstm import lstm_cell
from nmt.model.cells import TorchLayer
from nmt.model.dropout import Randomness
from nmt.model.layer import Affine, LinearMap, RecurrentLayer, Unrolled, UnrolledLSTM, draw_orthogonal
from nmt.model.state import CellState


class Transition(nn.Module):
    """The weights U (F, H) and b (F,) of a cell that reads only the state.

    Args:
        like: U of another cell, with the same shape.
    """

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(like.shape))
        self.bias = nn.Parameter(torch.empty(len(like)))


class DeepTransitionLayer(TorchLayer):
    """A recurrent layer with deep transitions (Pascanu et al. 2014; for translation, Miceli Barone et al. 2017).

    The first transition of a time step computes s' = cell(x, s). Each further transition computes s' = cell(0, s').
    """

    transitions: Sequence[Transition]  # all transitions except the first

    def __init__(self, config: ModelConfig, input_size: int, hidden_size: int, transitions: int) -> None:
        super().__init__(config, input_size, hidden_size)
        deeper = nn.ModuleList(Transition(self.fused.all_weights[0][1]) for _ in range(transitions - 1))
        self.transitions = deeper  # type: ignore[assignment]

    def initialize(self, forget_bias: float, generator: Generator) -> None:
        super().initialize(forget_bias, generator)
        for transition in self.transitions:
            draw_orthogonal(transition.weight, generator)
            self.initialize_bias(transition.bias, forget_bias)

    @property
    def recurrent(self) -> list[Affine]:
        return [*super().recurrent, *(Affine(transition.weight, transition.bias) for transition in self.transitions)]

    def advance(self, projected: Tensor, state: CellState, recurrent: Sequence[LinearMap]) -> CellState:
        state = super().advance(projected, state, recurrent[:1])
        nothing = projected.new_zeros(projected.size(-1))
        for product in recurrent[1:]:
            state = super().advance(nothing, state, [product])
        return state

    def unroll(self, like: Tensor, randomness: Randomness | None) -> Unrolled:
        return (UnrolledTransitions if self.cell == "lstm" else Unrolled)(self, like, randomness)

    def forward(self, inputs: Tensor, state: CellState, randomness: Randomness | None = None) -> Tensor:
        return RecurrentLayer.forward(self, inputs, state, randomness)  # torch has no kernel for deep transitions


class UnrolledTransitions(UnrolledLSTM):
    """An unrolled LSTM with deep transitions."""

    def next_state(self, gates: Tensor, bias: Tensor, state: CellState) -> CellState:
        state = super().next_state(gates, bias, state)
        for transition in self.recurrent[1:]:
            state = lstm_cell(transition(state[0]), torch.zeros_like(bias), state[1])
        return state
