"""Repeated products, compared with ordinary products and their gradients."""

import gc
import weakref

import pytest
import torch
from torch import Tensor

from nmt.model.autograd.repeated import Factor, Repeated, RepeatedLinears


def chain(first: Tensor, factor: Factor, steps: int) -> Tensor:
    """A recurrence, x ← tanh(x M), summed over the steps."""
    x, total = first, torch.zeros((), dtype=first.dtype)
    for _ in range(steps):
        x = torch.tanh(x @ factor)
        total = total + x.sum()
    return total


@pytest.mark.parametrize("shapes", [((3, 4), (4, 4)), ((2, 3, 4), (2, 4, 4))])
@pytest.mark.parametrize("transposed", [False, True])
def test_gradients_equal_those_of_plain_products(shapes: tuple[tuple[int, ...], ...], transposed: bool) -> None:
    x, factor = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    plain = chain(x, factor.mT if transposed else factor, 5)
    repeated = Repeated(factor)
    ours = chain(x, repeated.mT if transposed else repeated, 5)
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(torch.autograd.grad(ours, (x, factor)), torch.autograd.grad(plain, (x, factor)))


def test_a_gradient_in_the_layout_of_the_factor() -> None:
    weight = torch.randn(5, 4, requires_grad=True)
    chain(torch.randn(3, 4), Repeated(weight.t()[:, :4]), 2).backward()
    (torch.randn(3, 4) @ Repeated(weight.t())).sum().backward()
    assert weight.grad is not None
    assert weight.grad.is_contiguous()


def test_a_product_without_gradient_leaves_none() -> None:
    x, factor = torch.randn(3, 4, requires_grad=True), torch.randn(4, 4, requires_grad=True)
    repeated = Repeated(factor)
    unused = x @ repeated
    (x @ repeated).sum().backward()
    assert factor.grad is not None
    torch.testing.assert_close(factor.grad, x.detach().sum(0).unsqueeze(1).expand(4, 4))
    assert unused.requires_grad


def test_products_run_in_the_type_of_the_factor() -> None:
    x, factor = torch.randn(3, 4, requires_grad=True), torch.randn(4, 4)
    product = x @ Repeated(factor.to(torch.bfloat16))
    assert product.dtype == torch.bfloat16
    product.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32


def test_memory_is_freed_after_the_backward_pass() -> None:
    """The factor may be large, so it must not stay until the next garbage collection."""
    x, factor = torch.randn(3, 4, requires_grad=True), torch.randn(4, 4, requires_grad=True)
    gc.disable()
    try:
        repeated = Repeated(factor)
        total = chain(x, repeated.mT, 3) + chain(x, repeated, 3)
        left = [weakref.ref(repeated), weakref.ref(repeated.mT)]
        del repeated
        total.backward()
        del total
        assert [reference() for reference in left] == [None, None]
    finally:
        gc.enable()
    assert factor.grad is not None


@pytest.mark.parametrize("bias", [True, False])
def test_repeated_linear_layers(bias: bool) -> None:
    linear, x = torch.nn.Linear(4, 4, bias=bias).double(), torch.randn(3, 4).double()
    product = RepeatedLinears(torch.float64)
    ours, plain = product(linear, torch.tanh(product(linear, x))), linear(torch.tanh(linear(x)))
    torch.testing.assert_close(ours, plain)
    gradients = [torch.autograd.grad(each.sum(), list(linear.parameters())) for each in (ours, plain)]
    torch.testing.assert_close(*gradients)
