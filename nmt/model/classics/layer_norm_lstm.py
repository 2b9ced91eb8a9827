"""An LSTM with layer normalization inside the cell."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.layer import Affine, LinearMap, RecurrentLayer, draw_orthogonal
from nmt.model.state import CellState


class LayerNormLSTM(RecurrentLayer):
    """An LSTM with layer normalization LN (Ba et al. 2016, eqs. 20 to 22).

    (i, f, g, o) = LN(W x) + LN(U h) + b;  c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g);  h' = σ(o) ⊙ tanh(LN(c'))

    LN(W x) normalizes the values of all four gates together, and so does LN(U h).
    """

    states = 2

    def __init__(self, config: ModelConfig, input_size: int, hidden_size: int) -> None:
        super().__init__(config, hidden_size)
        self.w_input = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.w_recurrent = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.norm_input = nn.LayerNorm(4 * hidden_size)  # the bias of this module is b
        self.norm_recurrent = nn.LayerNorm(4 * hidden_size, bias=False)
        self.norm_cell = nn.LayerNorm(hidden_size)

    def initialize(self, forget_bias: float, generator: Generator) -> None:
        """Draw the initial weights as for an LSTM, except for a small random bias of g.

        With a zero bias, the cell state would remain zero if the first words of a sentence were dropped. The gradient
        of LN(c') would then divide by almost zero at each of these steps.
        """
        H = self.hidden_size
        nn.init.xavier_uniform_(self.w_input, generator=generator)
        draw_orthogonal(self.w_recurrent, generator)
        nn.init.constant_(self.norm_input.bias.data[H : 2 * H], forget_bias)
        nn.init.uniform_(self.norm_input.bias.data[2 * H : 3 * H], -0.1, 0.1, generator=generator)

    @property
    def input(self) -> Affine:
        return Affine(self.w_input)

    @property
    def recurrent(self) -> list[Affine]:
        return [Affine(self.w_recurrent)]

    def project(self, inputs: Tensor, product: LinearMap) -> Tensor:
        return self.norm_input(product(inputs))  # type: ignore[no-any-return]

    def advance(self, projected: Tensor, state: CellState, recurrent: Sequence[LinearMap]) -> CellState:
        (h, c), (product,) = state, recurrent
        i, f, g, o = (projected + self.norm_recurrent(product(h))).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(self.norm_cell(c)), c
