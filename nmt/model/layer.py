"""What all recurrent layers share: steps in search, whole sequences in training, and what training does to the state.

A kind of cell (nmt/model/cells.py) says what it multiplies, `input` and `recurrent`, and how a state follows from another:
`project` is all that needs no state, `advance` the rest. Search multiplies by the weights as they are. Training multiplies by
the same ones at every time step, so `Unrolled` forms their gradients after the last.
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
from nmt.model.dropout import Noise, masked, step_mask
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
    """W (m ⊙ x) + b at many time steps of training, the weight's gradient formed after the last.

    Args:
        affine: W and b.
        dtype: of the product.
        mask: m, (N, D), the same at every step, or None.
    """

    def __init__(self, affine: Affine, dtype: torch.dtype, mask: Tensor | None = None) -> None:
        self.affine, self.dtype, self.mask = affine, dtype, mask

    @cached_property
    def factor(self) -> Repeated:
        """Made when it is first needed: a layer may multiply several of them as one."""
        return Repeated(self.affine.weight.to(self.dtype).t())

    def __call__(self, inputs: Tensor, /) -> Tensor:
        product = masked(inputs, self.mask) @ self.factor
        return product if self.affine.bias is None else product + self.affine.bias


class RecurrentLayer(nn.Module, ABC):
    """One layer in one direction.

    Args:
        config: the kind of cell, and what training does to its state.
        hidden_size: H.
        states: tensors in its state.
    """

    def __init__(self, config: ModelConfig, hidden_size: int, states: int) -> None:
        super().__init__()
        self.cell = config.cell
        self.hidden_size = hidden_size
        self.states = states
        self.state_dropout = config.state_dropout

    @abstractmethod
    def initialize(self, forget_bias: float, generator: Generator) -> None:
        """Draw the first weights."""

    @property
    @abstractmethod
    def input(self) -> Affine:
        """The product with the inputs (N, D)."""

    @property
    @abstractmethod
    def recurrent(self) -> list[Affine]:
        """The products with h (N, H) within a time step, in their order."""

    def project(self, inputs: Tensor, product: Product) -> Tensor:
        """What comes of inputs (..., D) alone, whatever the state, (..., F)."""
        return product(inputs)

    @abstractmethod
    def advance(self, projected: Tensor, state: CellState, recurrent: Sequence[Product]) -> CellState:
        """The state after one time step, from what comes of its inputs (N, F) and by the products with h."""

    def zero_state(self, like: Tensor) -> CellState:
        """States of zeros for as many rows as `like` has."""
        return tuple(like.new_zeros(like.size(0), self.hidden_size) for _ in range(self.states))

    def forward(self, inputs: Tensor, state: CellState, noise: Noise | None = None) -> Tensor:
        """Outputs (B, T, H) at all time steps of inputs (B, T, D), from a first state."""
        unrolled, outputs = self.unrolled(inputs, noise), []
        for projected in self.project(inputs.transpose(0, 1), self.input).unbind():
            state = unrolled.advance(projected, state)
            outputs.append(state[0])
        return torch.stack(outputs, dim=1)

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        """The state after one time step, from inputs (N, D)."""
        return self.advance(self.project(inputs, self.input), state, self.recurrent)

    def unrolled(self, like: Tensor, noise: Noise | None) -> "Unrolled":
        """The layer for steps through the sequences of `like` (B, T, ·) in training."""
        return Unrolled(self, like, noise)

    def masks(self, like: Tensor, noise: Noise | None) -> list[Tensor | None]:
        """Dropout of h on its way into each recurrent product, (B, H), the same at all time steps of `like` (B, T, ·).

        Gal & Ghahramani 2016, eq. 7, for the states; Semeniuta et al. 2016 compare with other places.
        """
        return [step_mask(like, self.hidden_size, self.state_dropout, noise) for _ in self.recurrent]


class OutputNorm(nn.LayerNorm):
    """Layer normalisation (Ba et al. 2016) of a layer's outputs, at first to about the size that an LSTM's have.

    With a gain of 1 attention, whose scores are sums of products of two of them over all units, begins with nearly all of its
    weight on one piece, and the network learns far less: docs/results.md, "First weights".
    """

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.constant_(self.weight, 0.25)


class Unrolled:
    """A layer that steps through a sequence in training, for recurrences that no kernel knows of.

    It serves one pass forward and one backward: the gradients of its weights are formed after the last step.
    """

    def __init__(self, layer: RecurrentLayer, like: Tensor, noise: Noise | None) -> None:
        """`like`: (B, T, ·), the inputs, or others of as many rows and steps."""
        dtype = product_dtype(like)
        self.layer = layer
        self.masks = layer.masks(like, noise)
        self.input = RepeatedAffine(layer.input, dtype)
        self.recurrent = [
            RepeatedAffine(affine, dtype, mask) for affine, mask in zip(layer.recurrent, self.masks, strict=True)
        ]

    def step(self, inputs: Tensor, state: CellState) -> CellState:
        """As `RecurrentLayer.step`."""
        return self.advance(self.layer.project(inputs, self.input), state)

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        """The same from what comes of the inputs, (N, F)."""
        return self.layer.advance(projected, state, self.recurrent)


class UnrolledLSTM(Unrolled):
    """The same for an LSTM: W x and U h are one product where x is not known before, and the cell's gradient is written out."""

    def __init__(self, layer: RecurrentLayer, like: Tensor, noise: Noise | None) -> None:
        super().__init__(layer, like, noise)
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
        h = masked(state[0].to(inputs.dtype), self.masks[0])
        return self._next(torch.cat([inputs, h], dim=-1) @ self.joint, self.bias, state)

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        gates = projected + self.recurrent[0](state[0])
        return self._next(gates, torch.zeros_like(self.bias), state)

    def _next(self, gates: Tensor, bias: Tensor, state: CellState) -> CellState:
        following = lstm_cell(gates, bias, state[1])
        for transition in self.recurrent[1:]:
            following = lstm_cell(transition(following[0]), torch.zeros_like(bias), following[1])
        return following
