"""Products with the same factor at many time steps.

The gradient of the factor is computed as one large product, after the backward pass of all time steps. Autograd would
add a small product for each step. This would be slower, and would round after each addition.
"""

import weakref
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Repeated:
    """The right factor of products `x @ repeated` at many time steps.

    An object of this class can be used for one forward and one backward pass.

    Args:
        factor: a matrix (D, F), or one matrix for each sentence (B, D, F). In the second case, x is (B, Q, D).
    """

    def __init__(self, factor: Tensor) -> None:
        self._source = factor
        self.factor = factor.detach()
        self.lefts: list[Tensor] = []
        self.gradients: list[Tensor] = []
        # Every product depends on this empty tensor. Autograd therefore computes the gradients of all products before
        # the gradient of this tensor.
        self.handle: Tensor = _Handle.apply(factor, self)  # type: ignore[no-untyped-call]

    def __rmatmul__(self, left: Tensor) -> Tensor:
        product: Tensor = _Product.apply(left, self.handle, self)  # type: ignore[no-untyped-call]
        return product

    @property
    def dtype(self) -> torch.dtype:
        return self.factor.dtype

    @cached_property
    def mT(self) -> "Repeated":  # noqa: N802 (torch's name)
        """The transposed factor. This property is cached, so that all time steps use the same object."""
        return Repeated(self._source.mT)

    def gradient(self) -> Tensor | None:
        """Return the gradient of the factor, or None if no product has a gradient.

        The gradient has the memory layout of the factor.
        """
        if not self.gradients:
            return None
        lefts, gradients = torch.cat(self.lefts, dim=-2), torch.cat(self.gradients, dim=-2)
        self.lefts, self.gradients = [], []
        return (gradients.mT @ lefts).mT if self.factor.mT.is_contiguous() else lefts.mT @ gradients


Factor = Tensor | Repeated
"""The right factor of a matrix product."""


class RepeatedLinears:
    """A function that applies linear layers at many time steps, for one forward and one backward pass.

    Args:
        dtype: the type of the products.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._factors: dict[nn.Linear, Repeated] = {}

    def __call__(self, linear: nn.Linear, inputs: Tensor) -> Tensor:
        """Return W x + b, where W and b are the weight and the bias of `linear`."""
        if linear not in self._factors:
            self._factors[linear] = Repeated(linear.weight.to(self.dtype).t())
        product = inputs @ self._factors[linear]
        return product if linear.bias is None else product + linear.bias.to(self.dtype)


class _Handle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, factor: Tensor, repeated: Repeated) -> Tensor:
        # A strong reference would be a cycle. The products keep the `Repeated` alive.
        ctx.repeated = weakref.ref(repeated)
        return factor.new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, nothing: Tensor) -> tuple[Tensor | None, None]:  # noqa: ARG004
        repeated: Repeated | None = ctx.repeated()
        return repeated.gradient() if repeated else None, None


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, handle: Tensor, repeated: Repeated) -> Tensor:  # noqa: ARG004
        ctx.repeated = repeated
        left = left.to(repeated.factor.dtype)
        ctx.save_for_backward(left)
        return left @ repeated.factor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        repeated: Repeated = ctx.repeated
        repeated.lefts.append(ctx.saved_tensors[0])
        repeated.gradients.append(gradient)
        return gradient @ repeated.factor.mT, gradient.new_empty(0), None
