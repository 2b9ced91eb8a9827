"""Recurrent layers: LSTM, GRU and the plain RNN.

Each layer runs three ways over the same weights: `forward` takes whole sequences through fast kernels, `step` writes the
textbook equations out for one time step, and `Unrolled` steps through a sequence in training. Tests hold them equal.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from nmt.machine import product_dtype
from nmt.model.recurrence import lstm_cell, lstm_sequence
from nmt.model.repeated import Repeated
from nmt.model.state import CellState

OWN_SIZE = 384  # from this size on, our LSTM is faster on a CPU than torch's (in bfloat16; docs/performance.md)


def lstm(inputs: Tensor, recurrent: Tensor, state: CellState) -> CellState:
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    i, f, o = σ(W x + U h + b);  g = tanh(W x + U h + b);  c' = f ⊙ c + i ⊙ g;  h' = o ⊙ tanh(c')

    Args:
        inputs: W x + b of all gates, (N, 4H), in the order i, f, g, o.
        recurrent: U h + b of all gates, (N, 4H).
        state: (h, c), (N, H) each.
    """
    _, c = state
    i, f, g, o = (inputs + recurrent).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru(inputs: Tensor, recurrent: Tensor, state: CellState) -> CellState:
    """Gated recurrent unit (Cho et al. 2014), the reset gate applied after the product as in cuDNN.

    r, z = σ(W x + U h + b);  n = tanh(W x + b + r ⊙ (U h + b));  h' = (1 − z) ⊙ n + z ⊙ h

    Shapes as in `lstm`, with three gates in the order r, z, n.
    """
    (h,) = state
    input_r, input_z, input_n = inputs.chunk(3, dim=-1)
    recurrent_r, recurrent_z, recurrent_n = recurrent.chunk(3, dim=-1)
    r, z = torch.sigmoid(input_r + recurrent_r), torch.sigmoid(input_z + recurrent_z)
    n = torch.tanh(input_n + r * recurrent_n)
    return ((1 - z) * n + z * h,)


def rnn(inputs: Tensor, recurrent: Tensor, state: CellState) -> CellState:  # noqa: ARG001 (h is in `recurrent` already)
    """Plain recurrent network (Elman 1990): h' = tanh(W x + U h + b)."""
    return (torch.tanh(inputs + recurrent),)


EQUATIONS: dict[str, Callable[[Tensor, Tensor, CellState], CellState]] = {"lstm": lstm, "gru": gru, "rnn": rnn}
FUSED: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
STATES = {"lstm": 2, "gru": 1, "rnn": 1}


class RecurrentLayer(nn.Module):
    """One layer in one direction."""

    def __init__(self, cell: str, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.cell = cell
        self.hidden_size = hidden_size
        self.fused = FUSED[cell](input_size, hidden_size, batch_first=True)  # type: ignore[call-arg, arg-type]

    def initialize(self, forget_bias: float, generator: Generator) -> None:
        """Glorot input weights, an orthogonal recurrence for each gate, zero biases but for the forget gate's."""
        weights = dict(self.fused.named_parameters())
        nn.init.xavier_uniform_(weights["weight_ih_l0"], generator=generator)
        for gate in weights["weight_hh_l0"].data.view(-1, self.hidden_size, self.hidden_size):
            nn.init.orthogonal_(gate, generator=generator)
        nn.init.zeros_(weights["bias_ih_l0"])
        nn.init.zeros_(weights["bias_hh_l0"])
        if self.cell == "lstm":
            nn.init.constant_(weights["bias_ih_l0"].data[self.hidden_size : 2 * self.hidden_size], forget_bias)

    def zero_state(self, like: Tensor) -> CellState:
        """States of zeros for as many rows as `like` has."""
        return tuple(like.new_zeros(like.size(0), self.hidden_size) for _ in range(STATES[self.cell]))

    def forward(self, inputs: Tensor, state: CellState) -> Tensor:
        """Outputs (B, T, H) at all time steps of inputs (B, T, D), from a first state."""
        dtype = product_dtype(inputs)
        own = self.cell == "lstm" and inputs.device.type == "cpu" and dtype == torch.bfloat16
        if own and self.hidden_size >= OWN_SIZE:
            weights = tuple(self.fused.all_weights[0])
            return lstm_sequence(inputs.transpose(0, 1), state, weights, dtype).transpose(0, 1)
        first = tuple(tensor.unsqueeze(0) for tensor in state)  # (1, B, H): torch's layers come first
        outputs: Tensor = self.fused(inputs, first if len(first) > 1 else first[0])[0]
        return outputs

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        """The state after one time step, from inputs (N, D)."""
        w_input, w_recurrent, b_input, b_recurrent = self.fused.all_weights[0]
        projected = F.linear(inputs, w_input, b_input)
        recurrent = F.linear(state[0], w_recurrent, b_recurrent)
        return EQUATIONS[self.cell](projected, recurrent, state)


class Unrolled:
    """A layer that steps through a sequence in training, for recurrences that `RecurrentLayer.forward` cannot know of.

    It serves one pass forward and one backward: the gradients of its weights are formed after the last step.
    """

    def __init__(self, layer: RecurrentLayer, dtype: torch.dtype) -> None:
        """`dtype`: of the products."""
        w_input, w_recurrent, self.b_input, self.b_recurrent = layer.fused.all_weights[0]
        self.cell = layer.cell
        if self.cell == "lstm":
            self.joint = Repeated(torch.cat([w_input.to(dtype), w_recurrent.to(dtype)], dim=1).t())  # (D + H, 4H)
            self.bias = self.b_input + self.b_recurrent
        else:
            self.input, self.recurrent = Repeated(w_input.to(dtype).t()), Repeated(w_recurrent.to(dtype).t())

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        """As `RecurrentLayer.step`."""
        if self.cell == "lstm":
            return lstm_cell(torch.cat([inputs, state[0].to(inputs.dtype)], dim=-1) @ self.joint, self.bias, state[1])
        projected, recurrent = inputs @ self.input + self.b_input, state[0] @ self.recurrent + self.b_recurrent
        return EQUATIONS[self.cell](projected, recurrent, state)
