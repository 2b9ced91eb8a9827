"""The base classes of recurrent layers: one time step in search, whole sequences in training, dropout on the state.

A subclass of `RecurrentLayer` defines its products with weights, `input` and `recurrent`. It also defines how the next
state follows from them: `project` computes everything that needs no state, and `advance` computes the rest. Search
multiplies by the weights directly. Training multiplies by the same weights at every time step, and `Unrolled` computes
the gradients of these weights once, after the last time step.
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


class LinearMap(Protocol):
    """A function x -> W x + b of each row, from inputs (N, D) to outputs (N, F).

    `Affine` computes it in search, and `RepeatedAffine` in training.
    """

    def __call__(self, inputs: Tensor, /) -> Tensor: ...


class Affine(NamedTuple):
    """The function W x + b, or W x if the bias is None."""

    weight: Tensor  # (F, D)
    bias: Tensor | None = None  # (F,)

    def __call__(self, inputs: Tensor, /) -> Tensor:
        return F.linear(inputs, self.weight, self.bias)


class RepeatedAffine:
    """The function W (m ⊙ x) + b at many time steps of training. The gradient of W is computed after the last step.

    Args:
        affine: W and b.
        dtype: the type of the product.
        mask: m, the dropout mask at every step, (N, D), or None.
    """

    def __init__(self, affine: Affine, dtype: torch.dtype, mask: Tensor | None = None) -> None:
        self.affine, self.dtype, self.mask = affine, dtype, mask

    @cached_property
    def factor(self) -> Repeated:
        """The factor Wᵀ. It is created on first use, because `UnrolledLSTM` may use one factor for all its products."""
        return Repeated(self.affine.weight.to(self.dtype).t())

    def __call__(self, inputs: Tensor, /) -> Tensor:
        product = apply_mask(inputs, self.mask) @ self.factor
        return product if self.affine.bias is None else product + self.affine.bias


def draw_orthogonal(weight: Tensor, generator: Generator) -> None:
    """Draw the weights U (F, H) as an orthogonal matrix (H, H) for each gate."""
    for gate in weight.data.view(-1, weight.size(1), weight.size(1)):
        nn.init.orthogonal_(gate, generator=generator)


class RecurrentLayer(nn.Module, ABC):
    """A recurrent layer in one direction.

    Args:
        config: gives the type of the cell and the rate of the dropout on the state.
        hidden_size: H.
    """

    states: int
    """The number of tensors in the state of the layer."""

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
        """The products with h (N, H) within a time step, in the order in which they are computed."""

    def project(self, inputs: Tensor, product: LinearMap) -> Tensor:
        """Compute everything that depends only on the inputs (…, D), with a result (…, F)."""
        return product(inputs)

    @abstractmethod
    def advance(self, projected: Tensor, state: CellState, recurrent: Sequence[LinearMap]) -> CellState:
        """Compute the state after one time step from the result of `project` (N, F) and the products with h."""

    def zero_state(self, like: Tensor) -> CellState:
        """Return a state of zeros with as many rows as `like`."""
        return tuple(like.new_zeros(like.size(0), self.hidden_size) for _ in range(self.states))

    def forward(self, inputs: Tensor, state: CellState, randomness: Randomness | None = None) -> Tensor:
        """Compute the outputs (B, T, H) at all time steps of inputs (B, T, D), from the initial state `state`."""
        unrolled, outputs = self.unroll(inputs, randomness), []
        for projected in self.project(inputs.transpose(0, 1), self.input).unbind():
            state = unrolled.advance(projected, state)
            outputs.append(state[0])
        return torch.stack(outputs, dim=1)

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        """Compute the state after one time step from inputs (N, D)."""
        return self.advance(self.project(inputs, self.input), state, self.recurrent)

    def unroll(self, like: Tensor, randomness: Randomness | None) -> "Unrolled":
        """Return a form of this layer that runs through the sequences of `like` (B, T, ·) step by step in training."""
        return Unrolled(self, like, randomness)

    def masks(self, like: Tensor, randomness: Randomness | None) -> list[Tensor | None]:
        """Draw a dropout mask (B, H) for h in each recurrent product, to use at all time steps of `like` (B, T, ·).

        This is the dropout of the state in Gal & Ghahramani 2016, eq. 7. Semeniuta et al. 2016 compare it with
        alternatives.
        """
        return [step_mask(like, self.hidden_size, self.state_dropout, randomness) for _ in self.recurrent]


class OutputNorm(nn.LayerNorm):
    """Layer normalization (Ba et al. 2016) of the outputs of a layer.

    With the initial gain of 0.25, the outputs are about as large as the outputs of an LSTM without normalization. With
    an initial gain of 1, attention would start with nearly all of its weight on one token, because its scores would be
    too large. The network would then learn far less.
    """

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.constant_(self.weight, 0.25)


class Unrolled:
    """A recurrent layer that runs through a sequence step by step in training, without a fused kernel.

    An object is used for one forward and one backward pass. The gradients of the weights are computed after the last
    step of the backward pass.
    """

    def __init__(self, layer: RecurrentLayer, like: Tensor, randomness: Randomness | None) -> None:
        """`like`: (B, T, ·), the inputs or another tensor with the same number of sentences and time steps."""
        dtype = product_dtype(like)
        self.layer = layer
        self.masks = layer.masks(like, randomness)
        self.input = RepeatedAffine(layer.input, dtype)
        self.recurrent = [
            RepeatedAffine(affine, dtype, mask) for affine, mask in zip(layer.recurrent, self.masks, strict=True)
        ]

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        """Compute the state after one time step from inputs (N, D)."""
        return self.advance(self.layer.project(inputs, self.input), state)

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        """Compute the state after one time step from the result of `RecurrentLayer.project` (N, F)."""
        return self.layer.advance(projected, state, self.recurrent)


class UnrolledLSTM(Unrolled):
    """An unrolled LSTM whose cell has an explicit backward pass (nmt/model/autograd/lstm.py).

    Where x is not known in advance, `step` computes W x + U h in one product.
    """

    def __init__(self, layer: RecurrentLayer, like: Tensor, randomness: Randomness | None) -> None:
        super().__init__(layer, like, randomness)
        b_input, b_recurrent = layer.input.bias, layer.recurrent[0].bias
        assert b_input is not None
        assert b_recurrent is not None
        self.bias = b_input + b_recurrent

    @cached_property
    def joint(self) -> Repeated:
        """The factor of one product that replaces W x and U h: W and U concatenated and transposed, (D + H, 4H)."""
        weights = [affine.weight.to(self.input.dtype) for affine in (self.layer.input, self.layer.recurrent[0])]
        return Repeated(torch.cat(weights, dim=1).t())

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        h = apply_mask(state[0].to(inputs.dtype), self.masks[0])
        return self.next_state(torch.cat([inputs, h], dim=-1) @ self.joint, self.bias, state)

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        gates = projected + self.recurrent[0](state[0])
        return self.next_state(gates, torch.zeros_like(self.bias), state)

    def next_state(self, gates: Tensor, bias: Tensor, state: CellState) -> CellState:
        """Compute the state after a time step from W x + U h (N, 4H) and the sum of the biases (4H,)."""
        return lstm_cell(gates, bias, state[1])
