"""The recurrent layers of a packed network. A step computes matrix products, and then elementwise operations."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nmt.data.batch import Integers
from nmt.model.cells import EQUATIONS, TorchLayer
from nmt.model.layer import RecurrentLayer
from nmt.model.state import CellState
from nmt.search.packed import kernels
from nmt.search.packed.arithmetic import Arithmetic, Product
from nmt.search.packed.kernels import Floats

# With a Python scalar instead of this tensor, an operator has three times the overhead.
ONE = torch.tensor(1.0)


def add_tanh_(x: Tensor, y: Tensor) -> Tensor:
    """Compute tanh(x + y) in place of x. Both are (N, H)."""
    if not kernels.AVAILABLE:
        return tanh_(x.add_(y))
    kernels.add_tanh(x.numpy(), y.numpy())
    return x


def tanh_(x: Tensor) -> Tensor:
    """Compute tanh(x) in place, as 2 σ(2 x) - 1. In torch, σ is five times as fast as tanh."""
    x.add_(x).sigmoid_()
    return x.add_(x).sub_(ONE)


def lstm_(gates: Tensor, state: CellState) -> CellState:
    """Compute the LSTM of nmt/model/cells.py with one call of σ for all gates. The gates are overwritten.

    Args:
        gates: the gates before the nonlinearity, in the order i, f, g, o, (…, 4H). The candidate g must be doubled,
            because tanh(g) is computed as 2 σ(2 g) - 1.
        state: h and 2 c, (…, H) each. The cell state c is doubled, because tanh(c) is computed as 2 σ(2 c) - 1.

    Returns:
        The next state, h and 2 c.
    """
    i, f, g, o = gates.sigmoid_().chunk(4, dim=-1)
    c = torch.mul(f, state[1]).addcmul_(i, g, value=4.0).sub_(i, alpha=2.0)  # f ⊙ 2 c + 2 i ⊙ (2 σ(2 g) - 1)
    h = torch.sigmoid(c).mul_(o)
    return h.add_(h).sub_(o), c  # o ⊙ (2 σ(2 c) - 1)


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """Selected rows (N, F) of a table. Compiled loops read the rows directly from the table, without a copy."""

    table: Tensor  # (V, F)
    indices: Tensor | None = None  # (N,) the indices of the selected rows; None selects all rows in order

    def gather(self) -> Tensor:
        """Return the selected rows as one tensor, (N, F)."""
        return self.table if self.indices is None else self.table.index_select(0, self.indices)


def compute_next_state(cell: str, inputs: TableRows | None, recurrent: Tensor, state: CellState) -> CellState:
    """Compute the state after a step.

    Args:
        cell: the type of cell.
        inputs: W x + b. For an LSTM, this can be None if `recurrent` includes W x + b. The table may be overwritten.
        recurrent: U h + b. This tensor may be overwritten.
        state: the state before the step.
    """
    if cell == "lstm":
        return step_lstm(recurrent, inputs, state)
    assert inputs is not None
    return EQUATIONS[cell](inputs.gather(), recurrent, state)


def step_lstm(gates: Tensor, added: TableRows | None, state: CellState) -> CellState:
    """Apply `lstm_` to the sum of `gates` (N, 4H) and the selected rows of a table. None adds nothing."""
    if not kernels.AVAILABLE:
        return lstm_(gates if added is None else gates.add_(added.gather()), state)
    c = state[1].contiguous()
    h_next, c_next = torch.empty_like(c), torch.empty_like(c)
    table, rows = _table_and_rows(added, gates)
    kernels.lstm(gates.numpy(), table, rows, c.numpy(), h_next.numpy(), c_next.numpy())
    return h_next, c_next


def _table_and_rows(added: TableRows | None, gates: Tensor) -> tuple[Floats, Integers]:
    N, F = gates.shape
    if added is None:
        return np.zeros((1, F), np.float32), np.zeros(N, np.int64)
    return added.table.numpy(), np.arange(N) if added.indices is None else added.indices.numpy()


def pack_state(cell: str, state: CellState) -> CellState:
    """Convert a state of the original network to the form that `compute_next_state` expects, in which c is doubled."""
    return (state[0], state[1] * 2.0) if cell == "lstm" else state


class LayerWeights:
    """Copies of W, U and the biases of one recurrent layer.

    For an LSTM, the rows of the candidate g are doubled, because `lstm_` needs 2 g.
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


class PackedLayer:
    """One recurrent layer of a decoder.

    Args:
        weights: the weights of the layer.
        arithmetic: computes the products.
        added: the number of inputs, counted from the first, for which the caller computes W x + b. The caller passes
            the result to `step`. For example, W x + b of a token's embedding is read from a table.
        bounded: whether all remaining inputs are guaranteed to be between -1 and 1.
    """

    def __init__(self, weights: LayerWeights, arithmetic: Arithmetic, *, added: int, bounded: bool) -> None:
        self.cell = weights.cell
        inputs, recurrent = weights.input[:, added:], weights.recurrent
        bias = torch.zeros_like(weights.input_bias) if added else weights.input_bias
        # One product is faster than two. However, inputs outside of [-1, 1] need a larger scale, which is too coarse
        # for h.
        self.joint = self.cell == "lstm" and bounded and inputs.size(1) > 0
        self.input: Product | None = None
        if self.joint:
            weight = torch.cat([inputs, recurrent], dim=1)
            self.recurrent = arithmetic.product(weight, bias + weights.recurrent_bias, bounded=True)
            return
        if inputs.size(1):
            self.input = arithmetic.product(inputs, bias, bounded=bounded)
        self.recurrent = arithmetic.product(recurrent, weights.recurrent_bias, bounded=True)

    def step(self, added: TableRows | None, inputs: Tensor | None, state: CellState) -> CellState:
        """Compute the next state.

        Args:
            added: W x + b for the inputs that the caller computes, (N, F). None if there are no such inputs.
            inputs: the remaining inputs, (N, D). None if there are no such inputs.
            state: the state before the step.
        """
        if self.joint:
            assert inputs is not None
            return compute_next_state(self.cell, added, self.recurrent(torch.cat([inputs, state[0]], dim=-1)), state)
        if self.input is not None:
            assert inputs is not None
            product = self.input(inputs)
            added = TableRows(table=product if added is None else product.add_(added.gather()))
        return compute_next_state(self.cell, added, self.recurrent(state[0]), state)
