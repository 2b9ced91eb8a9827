"""The native softmax with its loss, compared with the softmax of torch in float64."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Generator, Tensor

from nmt.model.autograd import native
from nmt.model.autograd.cross_entropy import cross_entropy

pytestmark = pytest.mark.skipif(native.load() is None, reason="the native library is not compiled")


def make(rows: int, size: int, tokens: int, scale: float = 1.0) -> tuple[list[Tensor], Tensor]:
    """Return vectors, weight and bias, and targets."""
    generator = Generator().manual_seed(1)
    shapes = ((rows, size), (tokens, size), (tokens,))
    tensors = [torch.randn(shape, generator=generator).mul(scale) for shape in shapes]
    return tensors, torch.randint(tokens, (rows,), generator=generator)


def train(tensors: list[Tensor], targets: Tensor, epsilon: float, dtype: torch.dtype) -> list[Tensor]:
    """Return the loss, and the gradients of three times the loss. The library computes in float32 only."""
    leaves = [tensor.to(dtype).requires_grad_() for tensor in tensors]
    loss = cross_entropy(leaves[0], leaves[1], leaves[2], targets, epsilon)
    return [loss.detach(), *torch.autograd.grad(3 * loss, leaves)]


def check(tensors: list[Tensor], targets: Tensor, epsilon: float) -> None:
    found, expected = (train(tensors, targets, epsilon, dtype) for dtype in (torch.float32, torch.float64))
    assert [tensor.dtype for tensor in found] == [torch.float32] * 4
    for one, other in zip(found, expected, strict=True):
        assert ((one - other).norm() / other.norm().clamp_min(1e-2)).item() < 1e-5


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 70), st.integers(2, 150), st.sampled_from([0.0, 0.1, 0.5]))
def test_loss_and_gradients(rows: int, size: int, tokens: int, epsilon: float) -> None:
    check(*make(rows, size, tokens, 0.5), epsilon)


def test_several_blocks_of_rows() -> None:
    check(*make(500, 20, 300), 0.1)
    check(*make(100, 2048, 60, 0.1), 0.1)


@pytest.mark.parametrize("variant", ["plain", "avx2", "avx512vnni", "neon"])
def test_softmax_of_variants(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_NATIVE", variant)
    check(*make(200, 48, 301), 0.1)


def test_softmax_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    check(*make(50, 16, 100), 0.1)
    check(*make(2, 16, 100), 0.1)


def test_loss_alone() -> None:
    tensors, targets = make(40, 16, 70)
    expected = train(tensors, targets, 0.1, torch.float32)[0]
    assert torch.equal(cross_entropy(tensors[0], tensors[1], tensors[2], targets, 0.1), expected)
    tensors[0].requires_grad_()
    with torch.no_grad():
        assert torch.equal(cross_entropy(tensors[0], tensors[1], tensors[2], targets, 0.1), expected)


def test_loss_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the function that computes with torch, p of a target is at least the smallest normal float."""
    tensors, targets = make(3, 16, 70)
    tensors[2][targets[0]] -= 1000
    found = train(tensors, targets, 0.1, torch.float32)
    monkeypatch.setattr(native, "load", lambda: None)
    torch.testing.assert_close(found, train(tensors, targets, 0.1, torch.float32), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_loss_is_not_a_number(epsilon: float) -> None:
    tensors, targets = make(3, 16, 70)
    tensors[1][5, 5] = torch.nan
    assert torch.isnan(cross_entropy(tensors[0], tensors[1], tensors[2], targets, epsilon))


def test_no_rows() -> None:
    tensors, targets = make(0, 16, 70)
    loss, *gradients = train(tensors, targets, 0.1, torch.float32)
    assert loss.item() == 0
    assert not any(gradient.any() for gradient in gradients)
