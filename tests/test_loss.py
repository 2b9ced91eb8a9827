import pytest
import torch

from nmt.model.loss import cross_entropy


def test_against_the_definition() -> None:
    logits, targets = torch.randn(6, 9).double(), torch.tensor([0, 8, 3, 3, 1, 5])
    log_p = logits - logits.exp().sum(-1, keepdim=True).log()
    for epsilon in (0.0, 0.1, 0.5):
        wanted = torch.full((6, 9), epsilon / 9).double()
        wanted[torch.arange(6), targets] += 1 - epsilon
        assert cross_entropy(logits, targets, epsilon).item() == pytest.approx(-(wanted * log_p).sum().item(), rel=1e-6)


def test_smoothing_changes_the_gradient() -> None:
    logits, targets = torch.zeros(1, 4, requires_grad=True), torch.tensor([2])
    cross_entropy(logits, targets, 0.2).backward()
    assert logits.grad is not None
    assert logits.grad.tolist()[0] == pytest.approx([0.2, 0.2, -0.6, 0.2])
