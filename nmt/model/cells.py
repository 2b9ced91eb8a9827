"""The kinds of recurrent layers: LSTM, GRU, the plain RNN, and an LSTM with layer normalisation.

Each runs three ways over the same weights: `forward` takes whole sequences, through fast kernels where there are any, `step`
writes the textbook equations out for one time step, and `Unrolled` steps through a sequence in training. Tests hold them equal.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.autograd.lstm import lstm_sequence
from nmt.model.dropout import Noise
from nmt.model.layer import Affine, Product, RecurrentLayer, Unrolled, UnrolledLSTM
from nmt.model.state import CellState
from nmt.system.machine import product_dtype

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
STATES = {"lstm": 2, "gru": 1, "rnn": 1, "layer_norm_lstm": 2}


def draw_recurrence(weight: Tensor, generator: Generator) -> None:
    """An orthogonal matrix for each gate of U (F, H)."""
    for gate in weight.data.view(-1, weight.size(1), weight.size(1)):
        nn.init.orthogonal_(gate, generator=generator)


class Transition(nn.Module):
    """U (F, H) and b (F,) of a cell that has no input but the state."""

    def __init__(self, like: Tensor) -> None:
        """`like`: another cell's U."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(like.shape))
        self.bias = nn.Parameter(torch.empty(len(like)))


class TorchLayer(RecurrentLayer):
    """An LSTM, GRU or plain RNN with the weights of torch's own layer, whose fused kernels serve where they can.

    Several transitions are as many cells, one after another within a time step, of which only the first sees the input
    (Pascanu et al. 2014; Miceli Barone et al. 2017): s' = cell(x, s), then s' = cell(0, s').
    """

    transitions: Sequence[Transition]  # after the first

    def __init__(self, config: ModelConfig, input_size: int, hidden_size: int, transitions: int) -> None:
        super().__init__(config, hidden_size, STATES[config.cell])
        self.fused = FUSED[config.cell](input_size, hidden_size, batch_first=True)  # type: ignore[call-arg, arg-type]
        deeper = nn.ModuleList(Transition(self.fused.all_weights[0][1]) for _ in range(transitions - 1))
        self.transitions = deeper  # type: ignore[assignment]

    def initialize(self, forget_bias: float, generator: Generator) -> None:
        """Glorot input weights and an orthogonal recurrence for each gate, zero biases but for the forget gates'."""
        w_input, w_recurrent, b_input, b_recurrent = self.fused.all_weights[0]
        for gate in w_input.data.view(-1, self.hidden_size, w_input.size(1)):
            nn.init.xavier_uniform_(gate, generator=generator)
        draw_recurrence(w_recurrent, generator)
        nn.init.zeros_(b_recurrent)
        for transition in self.transitions:
            draw_recurrence(transition.weight, generator)
        for bias in (b_input, *(transition.bias for transition in self.transitions)):
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
        deeper = [Affine(transition.weight, transition.bias) for transition in self.transitions]
        return [Affine(w_recurrent, b_recurrent), *deeper]

    def advance(self, projected: Tensor, state: CellState, recurrent: Sequence[Product]) -> CellState:
        for product in recurrent:
            state = EQUATIONS[self.cell](projected, product(state[0]), state)
            projected = projected.new_zeros(projected.size(-1))  # of those that come after the first
        return state

    def unrolled(self, like: Tensor, noise: Noise | None) -> Unrolled:
        return (UnrolledLSTM if self.cell == "lstm" else Unrolled)(self, like, noise)

    def forward(self, inputs: Tensor, state: CellState, noise: Noise | None = None) -> Tensor:
        if self.transitions:
            return super().forward(inputs, state, noise)
        dropping = noise is not None and self.state_dropout > 0
        if self.cell == "lstm" and (dropping or self._own_is_faster(inputs)):
            (mask,) = self.masks(inputs, noise)
            weights = tuple(self.fused.all_weights[0])
            return lstm_sequence(inputs.transpose(0, 1), state, weights, product_dtype(inputs), mask).transpose(0, 1)
        if dropping:
            return super().forward(inputs, state, noise)
        first = tuple(tensor.unsqueeze(0) for tensor in state)  # (1, B, H): torch's layers come first
        outputs: Tensor = self.fused(inputs, first if len(first) > 1 else first[0])[0]
        return outputs

    def _own_is_faster(self, inputs: Tensor) -> bool:
        bfloat16 = product_dtype(inputs) == torch.bfloat16
        return inputs.device.type == "cpu" and bfloat16 and self.hidden_size >= OWN_SIZE


class LayerNormLSTM(RecurrentLayer):
    """An LSTM that normalises its sums (Ba et al. 2016, eqs. 20 to 22; LN is over all gates of a product).

    (i, f, g, o) = LN(W x) + LN(U h) + b;  c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g);  h' = σ(o) ⊙ tanh(LN(c'))
    """

    def __init__(self, config: ModelConfig, input_size: int, hidden_size: int, transitions: int) -> None:  # noqa: ARG002
        super().__init__(config, hidden_size, STATES[config.cell])
        self.w_input = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.w_recurrent = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.norm_input = nn.LayerNorm(4 * hidden_size)  # its bias is b
        self.norm_recurrent = nn.LayerNorm(4 * hidden_size, bias=False)
        self.norm_cell = nn.LayerNorm(hidden_size)

    def initialize(self, forget_bias: float, generator: Generator) -> None:
        """As of an LSTM, but for the bias of g: with zeros there, a dropped word at the beginning leaves a cell state of zeros,
        where the gradient of its normalisation is that of a division by almost nothing, step after step.
        """
        H = self.hidden_size
        nn.init.xavier_uniform_(self.w_input, generator=generator)
        draw_recurrence(self.w_recurrent, generator)
        nn.init.constant_(self.norm_input.bias.data[H : 2 * H], forget_bias)
        nn.init.uniform_(self.norm_input.bias.data[2 * H : 3 * H], -0.1, 0.1, generator=generator)

    @property
    def input(self) -> Affine:
        return Affine(self.w_input)

    @property
    def recurrent(self) -> list[Affine]:
        return [Affine(self.w_recurrent)]

    def project(self, inputs: Tensor, product: Product) -> Tensor:
        return self.norm_input(product(inputs))  # type: ignore[no-any-return]

    def advance(self, projected: Tensor, state: CellState, recurrent: Sequence[Product]) -> CellState:
        (h, c), (product,) = state, recurrent
        i, f, g, o = (projected + self.norm_recurrent(product(h))).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(self.norm_cell(c)), c


CELLS: dict[str, type[TorchLayer] | type[LayerNormLSTM]] = {
    "lstm": TorchLayer,
    "gru": TorchLayer,
    "rnn": TorchLayer,
    "layer_norm_lstm": LayerNormLSTM,
}


def recurrent_layer(config: ModelConfig, input_size: int, hidden_size: int, transitions: int) -> RecurrentLayer:
    """A layer of the configured cell; only torch's kinds have more than one transition."""
    return CELLS[config.cell](config, input_size, hidden_size, transitions)
