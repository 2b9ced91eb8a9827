"""Packed recurrent layers: a step is one product for all gates, then the cell element by element."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nmt.model.cells import EQUATIONS, TorchLayer
from nmt.model.layer import RecurrentLayer
from nmt.model.state import CellState
from nmt.search.packed import kernels
from nmt.search.packed.arithmetic import Arithmetic, Product
from nmt.search.packed.kernels import Floats, Ids

# A Python scalar triples the overhead of an operator.
ONE = torch.tensor(1.0)


def add_tanh_(x: Tensor, y: Tensor) -> Tensor:
    """tanh(x + y) in place of x, both (N, H)."""
    if not kernels.AVAILABLE:
        return tanh_(x.add_(y))
    kernels.add_tanh(x.numpy(), y.numpy())
    return x


def tanh_(x: Tensor) -> Tensor:
    """tanh(x) = 2 σ(2 x) - 1 in place. In torch, σ is five times as fast as tanh."""
    x.add_(x).sigmoid_()
    return x.add_(x).sub_(ONE)


def lstm_(gates: Tensor, state: CellState) -> CellState:
    """The LSTM of nmt/model/cells.py with one σ for all gates, which are overwritten.

    Args:
        gates: (..., 4H), in the order i, f, g, o. The candidate g is doubled, because tanh(g) = 2 σ(2 g) - 1.
        state: h and 2 c, (..., H) each. c is doubled too, so that tanh(c) = 2 σ(2 c) - 1 needs no product.
    """
    i, f, g, o = gates.sigmoid_().chunk(4, dim=-1)
    c = torch.mul(f, state[1]).addcmul_(i, g, value=4.0).sub_(i, alpha=2.0)  # f ⊙ 2 c + 2 i ⊙ (2 σ(2 g) - 1)
    h = torch.sigmoid(c).mul_(o)
    return h.add_(h).sub_(o), c  # o ⊙ (2 σ(2 c) - 1)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows (N, F) of a table, which a compiled loop reads without gathering them."""

    table: Tensor  # (V, F)
    numbers: Tensor | None = None  # (N,) the indices of the rows; None: all, in order

    def gather(self) -> Tensor:
        """The rows as one tensor, (N, F)."""
        return self.table if self.numbers is None else self.table.index_select(0, self.numbers)


def compute_next_state(cell: str, inputs: Rows | None, recurrent: Tensor, state: CellState) -> CellState:
    """The state after a step, from W x + b and U h + b, which for an LSTM may be one product.

    Both may be overwritten.
    """
    if cell == "lstm":
        return step_lstm(recurrent, inputs, state)
    assert inputs is not None
    return EQUATIONS[cell](inputs.gather(), recurrent, state)


def step_lstm(gates: Tensor, added: Rows | None, state: CellState) -> CellState:
    """`lstm_` on the sum of gates (N, 4H) and rows of a table."""
    if not kernels.AVAILABLE:
        return lstm_(gates if added is None else gates.add_(added.gather()), state)
    c = state[1].contiguous()
    h_next, c_next = torch.empty_like(c), torch.empty_like(c)
    table, numbers = _rows(added, gates)
    kernels.lstm(gates.numpy(), table, numbers, c.numpy(), h_next.numpy(), c_next.numpy())
    return h_next, c_next


def _rows(added: Rows | None, gates: Tensor) -> tuple[Floats, Ids]:
    N, F = gates.shape
    if added is None:
        return np.zeros((1, F), np.float32), np.zeros(N, np.int64)
    return added.table.numpy(), np.arange(N) if added.numbers is None else added.numbers.numpy()


def pack_state(cell: str, state: CellState) -> CellState:
    """Convert a state of the model for `compute_next_state`."""
    return (state[0], state[1] * 2.0) if cell == "lstm" else state


class Weights:
    """Copies of W, U and their biases in one layer.

    For an LSTM, the rows of the candidate are doubled, as `lstm_` needs.
    """

    def __init__(self, layer: RecurrentLayer) -> None:
        assert isinstance(layer, TorchLayer)
        w_input, w_recurrent, b_input, b_recurrent = (weight.detach().clone() for weight in layer.fused.all_weights[0])
        if layer.cell == "lstm":
            candidate = slice(2 * layer.hidden_size, 3 * layer.hidden_size)
            for weight in (w_input, w_recurrent, b_input, b_recurrent):
                weight[candidate] *= 2
        self.cell = layer.cell
        self.input, self.recurrent, self.input_bias, self.recurrent_bias = w_input, w_recurrent, b_input, b_recurrent


class Layer:
    """One layer of a decoder.

    Args:
        weights: of the layer.
        arithmetic: of the products.
        added: how many of the first inputs are multiplied elsewhere, such as the embedding in a table. `step` receives
            their part of W x, with the bias.
        bounded: whether all other inputs are between -1 and 1.
    """

    def __init__(self, weights: Weights, arithmetic: Arithmetic, *, added: int, bounded: bool) -> None:
        self.cell = weights.cell
        inputs, recurrent = weights.input[:, added:], weights.recurrent
        bias = torch.zeros_like(weights.input_bias) if added else weights.input_bias
        # One product is faster than two, but with inputs above 1, int8 would have too few levels left for h.
        self.joint = self.cell == "lstm" and bounded and inputs.size(1) > 0
        self.input: Product | None = None
        if self.joint:
            weight = torch.cat([inputs, recurrent], dim=1)
            self.recurrent = arithmetic.product(weight, bias + weights.recurrent_bias, bounded=True)
            return
        if inputs.size(1):
            self.input = arithmetic.product(inputs, bias, bounded=bounded)
        self.recurrent = arithmetic.product(recurrent, weights.recurrent_bias, bounded=True)

    def step(self, added: Rows | None, inputs: Tensor | None, state: CellState) -> CellState:
        """The next state, from the part of W x that is computed elsewhere (N, F) and the other inputs (N, D)."""
        if self.joint:
            assert inputs is not None
            return compute_next_state(self.cell, added, self.recurrent(torch.cat([inputs, state[0]], dim=-1)), state)
        if self.input is not None:
            assert inputs is not None
            product = self.input(inputs)
            added = Rows(table=product if added is None else product.add_(added.gather()))
        return compute_next_state(self.cell, added, self.recurrent(state[0]), state)
