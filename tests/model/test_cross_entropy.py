"""The loss and its gradient, compared with torch's cross entropy."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.model.autograd import cross_entropy as loss
from nmt.model.autograd.cross_entropy import cross_entropy

PIECES, D, V = 7, 5, 9


def problem(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vectors, weight, bias and targets."""
    generator = torch.Generator().manual_seed(1)
    tensors = (torch.randn(shape, generator=generator, dtype=dtype) for shape in ((PIECES, D), (V, D), (V,)))
    vectors, weight, bias = (tensor.requires_grad_() for tensor in tensors)
    return vectors, weight, bias, torch.tensor([0, 8, 3, 3, 1, 5, 2])


def gradients(value: Tensor, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, tensors)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5])
def test_against_the_definition(epsilon: float) -> None:
    vectors, weight, bias, targets = problem()
    logits = vectors @ weight.T + bias
    log_p = logits - logits.exp().sum(-1, keepdim=True).log()
    wanted = torch.full((PIECES, V), epsilon / V).double()
    wanted[torch.arange(PIECES), targets] += 1 - epsilon
    torch.testing.assert_close(cross_entropy(vectors, weight, bias, targets, epsilon), -(wanted * log_p).sum())


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
@pytest.mark.parametrize(("rows", "cached"), [(1024, 32), (3, 2), (1, 1)])
def test_gradients_do_not_depend_on_the_split(
    epsilon: float, rows: int, cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "ROWS", rows)
    monkeypatch.setattr(loss, "CACHED_ROWS", cached)
    *tensors, targets = problem()
    vectors, weight, bias = tensors
    expected = F.cross_entropy(F.linear(vectors, weight, bias), targets, label_smoothing=epsilon, reduction="sum")
    value = cross_entropy(vectors, weight, bias, targets, epsilon)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradients(3 * value, (*tensors,)), gradients(3 * expected, (*tensors,)))


def test_gradcheck() -> None:
    *tensors, targets = problem()
    assert torch.autograd.gradcheck(lambda x, w, b: cross_entropy(x, w, b, targets, 0.1), tensors)


def test_bfloat16_is_close() -> None:
    vectors, weight, bias, targets = problem(torch.float32)
    expected = F.cross_entropy(F.linear(vectors, weight, bias), targets, reduction="sum")
    with torch.autocast("cpu", torch.bfloat16):
        value = cross_entropy(vectors, weight, bias, targets)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=0.01)
    for ours, exact in zip(
        gradients(value, (vectors, weight, bias)), gradients(expected, (vectors, weight, bias)), strict=True
    ):
        assert ((ours - exact).norm() / exact.norm()).item() < 0.02


def test_without_gradients() -> None:
    vectors, weight, bias, targets = problem()
    with torch.no_grad():
        value = cross_entropy(vectors, weight, bias, targets, 0.1)
    assert not value.requires_grad
    torch.testing.assert_close(value, cross_entropy(vectors, weight, bias, targets, 0.1).detach())


@pytest.mark.parametrize(("dtype", "score"), [(torch.float32, 300.0), (torch.float64, 3000.0)])  # the library, PyTorch
def test_the_loss_is_finite_where_the_probability_of_a_target_underflows(dtype: torch.dtype, score: float) -> None:
    vectors, weight, bias, targets = problem(dtype)
    bias.data[:] = torch.where(torch.arange(V) == 4, score, 0.0)  # no target is 4
    value = cross_entropy(vectors, weight, bias, targets)
    assert value.isfinite()
    (gradient,) = torch.autograd.grad(value, [bias])
    expected = PIECES * F.one_hot(torch.tensor(4), V) - torch.bincount(targets, minlength=V)  # p − q, summed
    torch.testing.assert_close(gradient, expected.to(dtype))
