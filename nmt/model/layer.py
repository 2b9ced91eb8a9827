"""What all recurrent layers share: one time step in search, whole sequences in training, dropout on the state.

A kind of cell defines its products with weights, `input` and `recurrent`, and how the next state follows from them:
`project` is everything that needs no state, `advance` is the rest. Search multiplies by the weights directly. Training
multiplies by the same weights at every time step, so `Unrolled` forms their gradients after the last one.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from nmt.config.schema import ModelConfig
from nmt.model.autograd.lstm import lstm_cell
from nmt.model.autograd.repeated import Repeated
from nmt.model.dropout import Randomness, apply_mask, step_mask
from nmt.model.state import CellState
from nmt.system.machine import product_dtype


class Product(Protocol):
    """A product with weights: (N, D) to (N, F)."""

    def __call__(self, inputs: Tensor, /) -> Tensor: ...


class Affine(NamedTuple):
    """W x + b, or W x."""

    weight: Tensor  # (F, D)
    bias: Tensor | None = None  # (F,)

    def __call__(self, inputs: Tensor, /) -> Tensor:
        return F.linear(inputs, self.weight, self.bias)


class RepeatedAffine:
    """W (m ⊙ x) + b at many time steps of training; the gradient of W is formed after the last.

    Args:
        affine: W and b.
        dtype: of the product.
        mask: m, (N, D), the same at every step, or None.
    """

    def __init__(self, affine: Affine, dtype: torch.dtype, mask: Tensor | None = None) -> None:
        self.affine, self.dtype, self.mask = affine, dtype, mask

    @cached_property
    def factor(self) -> Repeated:
        """Made on first use: a layer may multiply by several weights as one, and then needs none of these."""
        return Repeated(self.affine.weight.to(self.dtype).t())

    def __call__(self, inputs: Tensor, /) -> Tensor:
        product = apply_mask(inputs, self.mask) @ self.factor
        return product if self.affine.bias is None else product + self.affine.bias


def draw_orthogonal(weight: Tensor, generator: Generator) -> None:
    """Draw an orthogonal matrix for each gate of U (F, H)."""
    for gate in weight.data.view(-1, weight.size(1), weight.size(1)):
        nn.init.orthogonal_(gate, generator=generator)


class RecurrentLayer(nn.Module, ABC):
    """One layer in one direction.

    Args:
        config: the kind of cell, and the dropout on its state.
        hidden_size: H.
    """

    states: int
    """Number of tensors in its state."""

    def __init__(self, config: ModelConfig, hidden_size: int) -> None:
        super().__init__()
        self.cell = config.cell
        self.hidden_size = hidden_size
        self.state_dropout = config.state_dropout

    @abstractmethod
    def initialize(self, forget_bias: float, generator: Generator) -> None:
        """Draw the initial weights."""

    @property
    @abstractmethod
    def input(self) -> Affine:
        """The product with the inputs (N, D)."""

    @property
    @abstractmethod
    def recurrent(self) -> list[Affine]:
        """The products with h (N, H) within a time step, in order."""

    def project(self, inputs: Tensor, product: Product) -> Tensor:
        """Compute everything that depends on the inputs (…, D) alone, (…, F)."""
        return product(inputs)

    @abstractmethod
    def advance(self, projected: Tensor, state: CellState, recurrent: Sequence[Product]) -> CellState:
        """The state after one time step, from projected inputs (N, F) and the products with h."""

    def zero_state(self, like: Tensor) -> CellState:
        """A state of zeros with as many rows as `like`."""
        return tuple(like.new_zeros(like.size(0), self.hidden_size) for _ in range(self.states))

    def forward(self, inputs: Tensor, state: CellState, randomness: Randomness | None = None) -> Tensor:
        """Outputs (B, T, H) at all time steps of inputs (B, T, D), from a first state."""
        unrolled, outputs = self.unroll(inputs, randomness), []
        for projected in self.project(inputs.transpose(0, 1), self.input).unbind():
            state = unrolled.advance(projected, state)
            outputs.append(state[0])
        return torch.stack(outputs, dim=1)

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        """The state after one time step, from inputs (N, D)."""
        return self.advance(self.project(inputs, self.input), state, self.recurrent)

    def unroll(self, like: Tensor, randomness: Randomness | None) -> "Unrolled":
        """The layer for time steps through the sequences of `like` (B, T, ·) in training."""
        return Unrolled(self, like, randomness)

    def masks(self, like: Tensor, randomness: Randomness | None) -> list[Tensor | None]:
        """Dropout on h before each recurrent product, (B, H), the same at all time steps of `like` (B, T, ·).

        Gal & Ghahramani 2016, eq. 7, for the states; Semeniuta et al. 2016 compare with other places.
        """
        return [step_mask(like, self.hidden_size, self.state_dropout, randomness) for _ in self.recurrent]


class OutputNorm(nn.LayerNorm):
    """Layer normalization (Ba et al. 2016) of a layer's outputs, initially to about the size of an LSTM's outputs.

    With an initial gain of 1, attention starts with nearly all of its weight on one token, because its scores are sums
    of products of two outputs over all units. The network then learns far less.
    """

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.constant_(self.weight, 0.25)


class Unrolled:
    """A layer that steps through a sequence in training, for recurrences without a fused kernel.

    It serves one pass forward and one backward: the gradients of its weights are formed after the last step.
    """

    def __init__(self, layer: RecurrentLayer, like: Tensor, randomness: Randomness | None) -> None:
        """`like`: (B, T, ·), the inputs, or another tensor with as many rows and steps."""
        dtype = product_dtype(like)
        self.layer = layer
        self.masks = layer.masks(like, randomness)
        self.input = RepeatedAffine(layer.input, dtype)
        self.recurrent = [
            RepeatedAffine(affine, dtype, mask) for affine, mask in zip(layer.recurrent, self.masks, strict=True)
        ]

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        """As `RecurrentLayer.step`."""
        return self.advance(self.layer.project(inputs, self.input), state)

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        """As `RecurrentLayer.advance`, from projected inputs (N, F)."""
        return self.layer.advance(projected, state, self.recurrent)


class UnrolledLSTM(Unrolled):
    """An unrolled LSTM: W x and U h are one product if x is not known beforehand; the cell has its own gradient."""

    def __init__(self, layer: RecurrentLayer, like: Tensor, randomness: Randomness | None) -> None:
        super().__init__(layer, like, randomness)
        b_input, b_recurrent = layer.input.bias, layer.recurrent[0].bias
        assert b_input is not None
        assert b_recurrent is not None
        self.bias = b_input + b_recurrent

    @cached_property
    def joint(self) -> Repeated:
        """W and U side by side, (D + H, 4H)."""
        weights = [affine.weight.to(self.input.dtype) for affine in (self.layer.input, self.layer.recurrent[0])]
        return Repeated(torch.cat(weights, dim=1).t())

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        h = apply_mask(state[0].to(inputs.dtype), self.masks[0])
        return self.next_state(torch.cat([inputs, h], dim=-1) @ self.joint, self.bias, state)

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        gates = projected + self.recurrent[0](state[0])
        return self.next_state(gates, torch.zeros_like(self.bias), state)

    def next_state(self, gates: Tensor, bias: Tensor, state: CellState) -> CellState:
        """The state after a time step, from W x + U h (N, 4H) and its bias (4H,)."""
        return lstm_cell(gates, bias, state[1])
