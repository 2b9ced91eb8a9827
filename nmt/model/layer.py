"""The base classes of recurrent layers. They compute one time step in search and whole sequences in training.

A subclass of `RecurrentLayer` defines two kinds of products with weights: `input` multiplies the inputs, and
`recurrent` multiplies the state h. The subclass also defines how the products give the next state: `project` computes
everything that does not need the state, and `advance` computes the rest.

Search multiplies by the weights directly. Training multiplies by the same weights at every time step. `Unrolled`
computes the gradients of these weights once, after the backward pass of all time steps.
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
from nmt.system.devices import product_dtype


class LinearMap(Protocol):
    """A function that computes W x + b for each row x of inputs (N, D). The outputs are (N, F).

    `Affine` is the implementation for search, and `RepeatedAffine` is the implementation for training.
    """

    def __call__(self, inputs: Tensor, /) -> Tensor: ...


class Affine(NamedTuple):
    """The function W x + b, or W x if the bias is None."""

    weight: Tensor  # (F, D)
    bias: Tensor | None = None  # (F,)

    def __call__(self, inputs: Tensor, /) -> Tensor:
        return F.linear(inputs, self.weight, self.bias)


class RepeatedAffine:
    """The function W (m ⊙ x) + b at many time steps of training.

    The gradient of W is computed once, after the backward pass of all time steps.

    Args:
        affine: W and b.
        dtype: the type of the product.
        mask: m, a dropout mask (N, D) for all time steps, or None.
    """

    def __init__(self, affine: Affine, dtype: torch.dtype, mask: Tensor | None = None) -> None:
        self.affine, self.dtype, self.mask = affine, dtype, mask

    @cached_property
    def factor(self) -> Repeated:
        """The factor Wᵀ. It is created on first use, because `UnrolledLSTM.joint` can make it unnecessary."""
        return Repeated(self.affine.weight.to(self.dtype).t())

    def __call__(self, inputs: Tensor, /) -> Tensor:
        product = apply_mask(inputs, self.mask) @ self.factor
        return product if self.affine.bias is None else product + self.affine.bias


def draw_orthogonal(weight: Tensor, generator: Generator) -> None:
    """Initialize weights U (F, H) with a random orthogonal matrix (H, H) for each gate."""
    for gate in weight.data.view(-1, weight.size(1), weight.size(1)):
        nn.init.orthogonal_(gate, generator=generator)


class RecurrentLayer(nn.Module, ABC):
    """A recurrent layer in one direction.

    Args:
        config: the architecture. The layer reads the type of the cell and the dropout rate of the state.
        hidden_size: the hidden size H.
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
        """The weights that multiply the inputs (N, D)."""

    @property
    @abstractmethod
    def recurrent(self) -> list[Affine]:
        """The weights that multiply h (N, H), in the order in which a time step uses them."""

    def project(self, inputs: Tensor, product: LinearMap) -> Tensor:
        """Compute the part of a time step that depends only on the inputs (…, D). Return the result (…, F).

        `product` multiplies by the weights `input`.
        """
        return product(inputs)

    @abstractmethod
    def advance(self, projected: Tensor, state: CellState, recurrent: Sequence[LinearMap]) -> CellState:
        """Compute the state after one time step.

        Args:
            projected: the result of `project`, (N, F).
            state: the state before the step.
            recurrent: the functions that multiply h by the weights `recurrent`.
        """

    def zero_state(self, like: Tensor) -> CellState:
        """Return a state of zeros with as many rows as `like`."""
        return tuple(like.new_zeros(like.size(0), self.hidden_size) for _ in range(self.states))

    def forward(self, inputs: Tensor, state: CellState, randomness: Randomness | None = None) -> Tensor:
        """Compute the outputs (B, T, H) at all time steps of inputs (B, T, D). `state` is the initial state."""
        unrolled, outputs = self.unroll(inputs, randomness), []
        for projected in self.project(inputs.transpose(0, 1), self.input).unbind():
            state = unrolled.advance(projected, state)
            outputs.append(state[0])
        return torch.stack(outputs, dim=1)

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        """Compute the state after one time step from inputs (N, D)."""
        return self.advance(self.project(inputs, self.input), state, self.recurrent)

    def unroll(self, like: Tensor, randomness: Randomness | None) -> "Unrolled":
        """Return a form of this layer for training that computes one time step after another. See `Unrolled`."""
        return Unrolled(self, like, randomness)

    def masks(self, like: Tensor, randomness: Randomness | None) -> list[Tensor | None]:
        """Draw the dropout masks of the state: one mask (B, H) for each of the weights `recurrent`.

        A mask is used at all time steps of a sequence (Gal & Ghahramani 2016, eq. 7). Semeniuta et al. 2016 compare
        this kind of dropout with others. `like` is a tensor (B, T, ·) with the same sentences.
        """
        return [step_mask(like, self.hidden_size, self.state_dropout, randomness) for _ in self.recurrent]


class OutputNorm(nn.LayerNorm):
    """Layer normalization (Ba et al. 2016) of the outputs of a layer.

    With the initial gain of 0.25, the outputs are about as large as the outputs of an LSTM without normalization. With
    an initial gain of 1, the scores of attention would be too large at first. Nearly all of the attention weight would
    then be on one token, and the network would learn far less.
    """

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.constant_(self.weight, 0.25)


class Unrolled:
    """A recurrent layer in training that computes one time step after another, without a fused kernel.

    An object of this class can be used for one forward and one backward pass. The gradients of the weights are computed
    after the last step of the backward pass.

    Args:
        layer: the layer with the weights.
        like: the inputs of the layer, or another tensor (B, T, ·) with the same sentences and time steps.
        randomness: the source of dropout masks. If it is None, nothing is dropped.
    """

    def __init__(self, layer: RecurrentLayer, like: Tensor, randomness: Randomness | None) -> None:
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
    """An unrolled LSTM. The cell has an explicit backward pass (nmt/model/autograd/lstm.py).

    If x is not known before the step, `step` computes W x + U h as one product.
    """

    def __init__(self, layer: RecurrentLayer, like: Tensor, randomness: Randomness | None) -> None:
        super().__init__(layer, like, randomness)
        b_input, b_recurrent = layer.input.bias, layer.recurrent[0].bias
        assert b_input is not None
        assert b_recurrent is not None
        self.bias = b_input + b_recurrent

    @cached_property
    def joint(self) -> Repeated:
        """The factor (D + H, 4H): W and U, concatenated and transposed. One product with it replaces W x and U h."""
        weights = [affine.weight.to(self.input.dtype) for affine in (self.layer.input, self.layer.recurrent[0])]
        return Repeated(torch.cat(weights, dim=1).t())

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        h = apply_mask(state[0].to(inputs.dtype), self.masks[0])
        return self.next_state(torch.cat([inputs, h], dim=-1) @ self.joint, self.bias, state)

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        gates = projected + self.recurrent[0](state[0])
        return self.next_state(gates, torch.zeros_like(self.bias), state)

    def next_state(self, gates: Tensor, bias: Tensor, state: CellState) -> CellState:
        """Compute the state after a time step. `gates` (N, 4H) are W x + U h, and `bias` (4H,) is added to them."""
        return lstm_cell(gates, bias, state[1])
