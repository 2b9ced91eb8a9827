"""Products with the same factor at many time steps; the factor's gradient is one large product after the last step.

Autograd would add up a small product for each step, which is slower and rounds at each sum.
"""

import weakref
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Repeated:
    """A factor M of products `x @ repeated`, for one pass forward and one backward.

    Args:
        factor: (K, N); or (B, K, N), for x of (B, Q, K).
    """

    def __init__(self, factor: Tensor) -> None:
        self._source = factor
        self.factor = factor.detach()
        self.lefts: list[Tensor] = []
        self.gradients: list[Tensor] = []
        # Every product depends on this empty tensor, so autograd computes its gradient after those of all products.
        self.handle: Tensor = _Handle.apply(factor, self)  # type: ignore[no-untyped-call]

    def __rmatmul__(self, left: Tensor) -> Tensor:
        product: Tensor = _Product.apply(left, self.handle, self)  # type: ignore[no-untyped-call]
        return product

    @property
    def dtype(self) -> torch.dtype:
        return self.factor.dtype

    @cached_property
    def mT(self) -> "Repeated":  # noqa: N802 (torch's name)
        """The transposed factor, the same object at every step."""
        return Repeated(self._source.mT)

    def gradient(self) -> Tensor | None:
        """The factor's gradient, in the factor's layout; None if no product had one."""
        if not self.gradients:
            return None
        lefts, gradients = torch.cat(self.lefts, dim=-2), torch.cat(self.gradients, dim=-2)
        self.lefts, self.gradients = [], []
        return (gradients.mT @ lefts).mT if self.factor.mT.is_contiguous() else lefts.mT @ gradients


Factor = Tensor | Repeated
"""The right factor of a product."""


class RepeatedLinears:
    """Linear layers at many time steps, for one pass forward and one backward."""

    def __init__(self, dtype: torch.dtype) -> None:
        """`dtype`: of the products."""
        self.dtype = dtype
        self._factors: dict[nn.Linear, Repeated] = {}

    def __call__(self, linear: nn.Linear, inputs: Tensor) -> Tensor:
        """W x + b."""
        if linear not in self._factors:
            self._factors[linear] = Repeated(linear.weight.to(self.dtype).t())
        product = inputs @ self._factors[linear]
        return product if linear.bias is None else product + linear.bias.to(self.dtype)


class _Handle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, factor: Tensor, repeated: Repeated) -> Tensor:
        ctx.repeated = weakref.ref(repeated)  # the products keep it alive; a strong reference here would be a cycle
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
