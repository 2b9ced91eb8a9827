"""The training loss: softmax and label-smoothed cross entropy in one, with their gradient; R-Drop; what attention is charged."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.system.machine import product_dtype

ROWS = 1024  # scored at a time: the scores are the largest tensors of training, and so they stay bounded
CACHED_ROWS = 32  # normalised at a time: float32 scores of so many rows stay in the processor's cache. Both are even.


def cross_entropy(
    vectors: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    r_drop: float = 0.0,
) -> Tensor:
    """Label-smoothed cross entropy (Szegedy et al. 2016) of softmax(W x + b), summed over the pieces, in nats, float32.

    The gradient is formed on the way forward, while the scores are at hand, so the loss is differentiable once.

    Args:
        vectors: x of the pieces, (pieces, D), without padding.
        weight: W, (V, D).
        bias: b, (V,).
        targets: (pieces,) int64.
        label_smoothing: ε, the probability spread evenly over the vocabulary.
        r_drop: α of R-Drop (Liang et al. 2021, eq. 4), for which rows 2i and 2i + 1 are of one piece under different dropout:
            α/2 (KL(p‖q) + KL(q‖p)) of each such pair is added. 0: nothing.
    """
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (vectors, weight, bias))
    loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        vectors, weight, bias, targets, label_smoothing, r_drop, product_dtype(vectors), wanted
    )
    return loss


def smoothed_cross_entropy(log_probabilities: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    """The same cross entropy, summed, of log-probabilities (pieces, V) that are no softmax's."""
    of_targets = log_probabilities.gather(1, targets.unsqueeze(1)).sum()
    evenly = log_probabilities.mean(dim=-1).sum()
    return -(1 - label_smoothing) * of_targets - label_smoothing * evenly if label_smoothing else -of_targets


def guided_attention(weights: Tensor, guide: Tensor) -> Tensor:
    """Cross entropy of attention weights with what they are to be, −Σ g log a (Chen et al. 2016, eq. 9; both (B, T, S))."""
    return -(guide * weights.float().clamp_min(torch.finfo(torch.float32).tiny).log()).sum()


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        label_smoothing: float,
        r_drop: float,
        dtype: torch.dtype,
        wanted: bool,
    ) -> Tensor:
        vectors, w = vectors.to(dtype), weight.to(dtype)
        d_bias = torch.zeros_like(bias) if wanted else None
        losses, d_vectors, d_weight = [], [], None
        for x, y in zip(torch.split(vectors, ROWS), torch.split(targets, ROWS), strict=True):
            scores = x @ w.t()  # (rows, V)
            losses.append(_normalize(scores, bias, y, label_smoothing, r_drop, d_bias))
            if wanted:  # the scores are now the loss's gradient
                d_vectors.append(scores @ w)
                part = scores.t() @ x
                d_weight = part.to(weight.dtype) if d_weight is None else d_weight.add_(part)
        if wanted:
            ctx.save_for_backward(torch.cat(d_vectors), d_weight, d_bias)
        return torch.stack(losses).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        d_vectors, d_weight, d_bias = (
            tensor if gradient == 1 else tensor * gradient.to(tensor.dtype) for tensor in ctx.saved_tensors
        )
        return d_vectors, d_weight, d_bias, None, None, None, None, None


def _normalize(
    scores: Tensor, bias: Tensor, targets: Tensor, label_smoothing: float, r_drop: float, d_bias: Tensor | None
) -> Tensor:
    """The loss of scores (rows, V) plus bias, summed. With `d_bias`, to which the gradient is added, the scores become the
    gradient, p − q, in place."""
    rest = label_smoothing / scores.size(-1)
    losses = []
    for z, y in zip(torch.split(scores, CACHED_ROWS), torch.split(targets, CACHED_ROWS), strict=True):
        biased = z.to(bias.dtype, copy=True).add_(bias)  # to convert first is faster than to add two types
        of_target = biased.gather(1, y.unsqueeze(1)).squeeze(1)
        p = biased.softmax(dim=-1)
        # −log p of the target; where p is too small for a number, the loss shown is cut off, its gradient is not
        p_target = p.gather(1, y.unsqueeze(1)).squeeze(1).clamp_(min=torch.finfo(p.dtype).tiny)
        loss = -p_target.log()
        if label_smoothing:  # the other pieces' share: log p of v = z of v − log Σ exp z
            normalizer = of_target + loss
            loss = (1 - label_smoothing) * loss + label_smoothing * normalizer - rest * biased.sum(dim=-1)
        losses.append(loss.sum())
        if r_drop:
            between, d_between = _divergence(biased, p)
            losses.append(between * (r_drop / 2))
        if d_bias is not None:
            if r_drop:
                p = torch.add(p, d_between, alpha=r_drop / 2)
            d_bias += p.sum(dim=0).sub_(rest * len(y))
            p[torch.arange(len(y), device=y.device), y] -= 1 - label_smoothing
            z.copy_(p.sub_(rest))
    if d_bias is not None:
        d_bias.index_add_(0, targets, torch.full_like(targets, -(1 - label_smoothing), dtype=d_bias.dtype))
    return torch.stack(losses).sum()


def divergence(log_p: Tensor) -> Tensor:
    """KL(p‖q) + KL(q‖p) of each two neighbouring rows of log-probabilities (rows, V), summed."""
    pairs = log_p.view(-1, 2, log_p.size(-1))
    return (pairs.exp() * (pairs - pairs.flip(1))).sum()


def _divergence(logits: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """`divergence` from logits and their softmax p (rows, V), and its gradient by the logits.

    It is Σ (p − q) (log p − log q), in which the softmax's normalisers drop out. By the logits of p its gradient is
    p ⊙ (d − Σ p d) + p − q, where d is the difference of the logits.
    """
    V = logits.size(-1)
    pairs, probabilities = logits.view(-1, 2, V), p.view(-1, 2, V)
    to_other = pairs - pairs.flip(1)
    expected = (probabilities * to_other).sum(dim=-1, keepdim=True)
    gradient = probabilities * (to_other - expected + 1.0) - probabilities.flip(1)
    return expected.sum(), gradient.flatten(0, 1)
