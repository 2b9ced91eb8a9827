"""Products with the same factor at many time steps, whose gradient is one large product after the last step.

Autograd would add a small product for each step, which is slower and rounds after each addition.
"""

import weakref
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Repeated:
    """The right factor of products `x @ repeated` at many time steps, for one forward and one backward pass.

    Args:
        factor: a matrix (D, F), or one matrix for each sentence (B, D, F). In the second case x is (B, Q, D).
    """

    def __init__(self, factor: Tensor) -> None:
        self._source = factor
        self.factor = factor.detach()
        self.lefts: list[Tensor] = []
        self.gradients: list[Tensor] = []
        # Every product depends on this empty tensor, so autograd asks for its gradient after the gradients of all
        # products.
        self.handle: Tensor = _Handle.apply(factor, self)  # type: ignore[no-untyped-call]

    def __rmatmul__(self, left: Tensor) -> Tensor:
        product: Tensor = _Product.apply(left, self.handle, self)  # type: ignore[no-untyped-call]
        return product

    @property
    def dtype(self) -> torch.dtype:
        return self.factor.dtype

    @cached_property
    def mT(self) -> "Repeated":  # noqa: N802 (torch's name)
        """The transposed factor. It is cached, so that all time steps use the same object."""
        return Repeated(self._source.mT)

    def gradient(self) -> Tensor | None:
        """Return the gradient of the factor, in the factor's memory layout, or None if no product has a gradient."""
        if not self.gradients:
            return None
        lefts, gradients = torch.cat(self.lefts, dim=-2), torch.cat(self.gradients, dim=-2)
        self.lefts, self.gradients = [], []
        return (gradients.mT @ lefts).mT if self.factor.mT.is_contiguous() else lefts.mT @ gradients


Factor = Tensor | Repeated
"""The right factor of a matrix product."""


class RepeatedLinears:
    """Linear layers that are applied at many time steps, for one forward and one backward pass."""

    def __init__(self, dtype: torch.dtype) -> None:
        """`dtype`: the type of the products."""
        self.dtype = dtype
        self._factors: dict[nn.Linear, Repeated] = {}

    def __call__(self, linear: nn.Linear, inputs: Tensor) -> Tensor:
        """Return W x + b for the weights of `linear`."""
        if linear not in self._factors:
            self._factors[linear] = Repeated(linear.weight.to(self.dtype).t())
        product = inputs @ self._factors[linear]
        return product if linear.bias is None else product + linear.bias.to(self.dtype)


class _Handle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, factor: Tensor, repeated: Repeated) -> Tensor:
        ctx.repeated = weakref.ref(repeated)  # the products keep it alive; a strong reference would be a cycle
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
