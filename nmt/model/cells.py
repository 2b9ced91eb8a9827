"""The LSTM, the GRU and the plain RNN.

Each of them runs in three ways with the same weights. Tests ensure that the results are equal.

- `forward` processes whole sequences, with fused kernels where torch or nmt has them.
- `step` computes one time step, with the textbook equation.
- `Unrolled` computes one time step after another in training.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.autograd.lstm import lstm_sequence
from nmt.model.autograd.native import is_usable
from nmt.model.autograd.native_lstm import native_lstm_sequence
from nmt.model.dropout import Randomness
from nmt.model.layer import Affine, LinearMap, RecurrentLayer, Unrolled, UnrolledLSTM, draw_orthogonal
from nmt.model.state import CellState
from nmt.system.devices import product_dtype

OWN_SIZE = 384  # from this hidden size on, `lstm_sequence` is faster than torch's LSTM on a CPU in bfloat16


def lstm(inputs: Tensor, recurrent: Tensor, state: CellState) -> CellState:
    """Compute a time step of an LSTM (Hochreiter & Schmidhuber 1997), with a forget gate (Gers et al. 2000).

    i, f, o = σ(W x + U h + b);  g = tanh(W x + U h + b);  c' = f ⊙ c + i ⊙ g;  h' = o ⊙ tanh(c')

    Args:
        inputs: W x + b of all gates, (N, 4H), in the order i, f, g, o.
        recurrent: U h + b of all gates, (N, 4H).
        state: (h, c) before the step, (N, H) each.

    Returns:
        (h', c') after the step, (N, H) each.
    """
    _, c = state
    i, f, g, o = (inputs + recurrent).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru(inputs: Tensor, recurrent: Tensor, state: CellState) -> CellState:
    """Compute a time step of a GRU (Cho et al. 2014). As in cuDNN, the reset gate is applied after the product U h.

    r, z = σ(W x + U h + b);  n = tanh(W x + b + r ⊙ (U h + b));  h' = (1 − z) ⊙ n + z ⊙ h

    The shapes are the same as in `lstm`, but there are three gates instead of four, in the order r, z, n.
    """
    (h,) = state
    input_r, input_z, input_n = inputs.chunk(3, dim=-1)
    recurrent_r, recurrent_z, recurrent_n = recurrent.chunk(3, dim=-1)
    r, z = torch.sigmoid(input_r + recurrent_r), torch.sigmoid(input_z + recurrent_z)
    n = torch.tanh(input_n + r * recurrent_n)
    return ((1 - z) * n + z * h,)


def rnn(inputs: Tensor, recurrent: Tensor, _state: CellState) -> CellState:
    """Compute a time step of a plain RNN (Elman 1990): h' = tanh(W x + U h + b).

    The shapes are the same as in `lstm`, but there is one gate instead of four.
    """
    return (torch.tanh(inputs + recurrent),)


EQUATIONS: dict[str, Callable[[Tensor, Tensor, CellState], CellState]] = {"lstm": lstm, "gru": gru, "rnn": rnn}
FUSED: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class TorchLayer(RecurrentLayer):
    """An LSTM, GRU or plain RNN. A layer of torch stores the weights and provides fused kernels."""

    def __init__(self, config: ModelConfig, input_size: int, hidden_size: int) -> None:
        super().__init__(config, hidden_size)
        self.states = 2 if config.cell == "lstm" else 1
        self.fused = FUSED[config.cell](input_size, hidden_size, batch_first=True)  # type: ignore[call-arg, arg-type]

    def initialize(self, forget_bias: float, generator: Generator) -> None:
        """Draw the initial weights.

        For each gate, W has Glorot initialization, and U is an orthogonal matrix. All biases are zero, except the
        biases of the forget gates of an LSTM.
        """
        w_input, w_recurrent, b_input, b_recurrent = self.fused.all_weights[0]
        for gate in w_input.data.view(-1, self.hidden_size, w_input.size(1)):
            nn.init.xavier_uniform_(gate, generator=generator)
        draw_orthogonal(w_recurrent, generator)
        nn.init.zeros_(b_recurrent)
        self.initialize_bias(b_input, forget_bias)

    def initialize_bias(self, bias: Tensor, forget_bias: float) -> None:
        """Set the biases (F,) of the forget gates of an LSTM to `forget_bias`, and all other biases to zero."""
        nn.init.zeros_(bias)
        if self.cell == "lstm":
            nn.init.constant_(bias.data[self.hidden_size : 2 * self.hidden_size], forget_bias)

    @property
    def input(self) -> Affine:
        w_input, _, b_input, _ = self.fused.all_weights[0]
        return Affine(w_input, b_input)

    @property
    def recurrent(self) -> list[Affine]:
        _, w_recurrent, _, b_recurrent = self.fused.all_weights[0]
        return [Affine(w_recurrent, b_recurrent)]

    def advance(self, projected: Tensor, state: CellState, recurrent: Sequence[LinearMap]) -> CellState:
        return EQUATIONS[self.cell](projected, recurrent[0](state[0]), state)

    def unroll(self, like: Tensor, randomness: Randomness | None) -> Unrolled:
        return (UnrolledLSTM if self.cell == "lstm" else Unrolled)(self, like, randomness)

    def forward(self, inputs: Tensor, state: CellState, randomness: Randomness | None = None) -> Tensor:
        dropping = randomness is not None and self.state_dropout > 0
        bfloat16_on_cpu = inputs.device.type == "cpu" and product_dtype(inputs) == torch.bfloat16
        own_is_faster = bfloat16_on_cpu and self.hidden_size >= OWN_SIZE
        native = is_usable(inputs, self.hidden_size)
        if self.cell == "lstm" and (dropping or own_is_faster or native):
            (mask,) = self.masks(inputs, randomness)
            weights, steps = tuple(self.fused.all_weights[0]), inputs.transpose(0, 1)
            if native:
                return native_lstm_sequence(steps, state, weights, mask).transpose(0, 1)
            return lstm_sequence(steps, state, weights, product_dtype(inputs), mask).transpose(0, 1)
        if dropping:
            return super().forward(inputs, state, randomness)
        first = tuple(tensor.unsqueeze(0) for tensor in state)  # (1, B, H); in torch, the first dimension is the layers
        outputs: Tensor = self.fused(inputs, first if len(first) > 1 else first[0])[0]
        return outputs
