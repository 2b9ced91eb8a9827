"""Loss functions: the cross entropy of a softmax.

`cross_entropy` combines the softmax and the cross entropy. It has an explicit backward pass.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.autograd.native import is_usable
from nmt.model.autograd.native_cross_entropy import native_cross_entropy
from nmt.system.devices import product_dtype

ROWS = 1024  # the number of rows scored at a time; this limits the size of the scores, the largest tensors of training
CACHED_ROWS = 32  # the number of rows normalized at a time, so that float32 scores fit into the processor's cache


def cross_entropy(
    vectors: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Compute the label-smoothed cross entropy (Szegedy et al. 2016) of softmax(W x + b), summed over the tokens.

    The loss is in nats and has the type float32. The forward pass already computes the gradient, so the scores need not
    be stored for the backward pass. Second derivatives are not available.

    Args:
        vectors: x of each token, without padding, (R, D).
        weight: W, (V, D).
        bias: b, (V,).
        targets: the correct token of each row, (R,) int64.
        label_smoothing: ε, the probability that is spread evenly over the vocabulary.
    """
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (vectors, weight, bias))
    if weight.dtype == torch.float32 and is_usable(vectors):
        return native_cross_entropy(vectors, weight, bias, targets, label_smoothing, wanted=wanted)
    loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        vectors, weight, bias, targets, label_smoothing, product_dtype(vectors), wanted
    )
    return loss


def smoothed_cross_entropy(log_probabilities: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    """Compute the label-smoothed cross entropy of targets (R,), summed over the rows of log-probabilities (R, V)."""
    of_targets = log_probabilities.gather(1, targets.unsqueeze(1)).sum()
    of_all = log_probabilities.mean(dim=-1).sum()
    return -(1 - label_smoothing) * of_targets - label_smoothing * of_all if label_smoothing else -of_targets


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        label_smoothing: float,
        dtype: torch.dtype,
        wanted: bool,
    ) -> Tensor:
        vectors, w = vectors.to(dtype), weight.to(dtype)
        d_bias = torch.zeros_like(bias) if wanted else None
        losses, d_vectors, d_weight = [], [], None
        for x, y in zip(torch.split(vectors, ROWS), torch.split(targets, ROWS), strict=True):
            scores = x @ w.t()  # (rows, V)
            losses.append(_normalize(scores, bias, y, label_smoothing, d_bias))
            if wanted:  # the scores now hold the gradient of the loss
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
        return d_vectors, d_weight, d_bias, None, None, None, None


def _normalize(scores: Tensor, bias: Tensor, targets: Tensor, label_smoothing: float, d_bias: Tensor | None) -> Tensor:
    """Compute the loss for logits `scores + bias` (rows, V), summed over the rows.

    If `d_bias` is not None, the function also computes gradients. It adds the gradient of the bias to `d_bias`, and
    overwrites `scores` with the gradient of the scores. The gradient of the scores is p − q, where p is
    the softmax and q is the label-smoothed target distribution.
    """
    rest = label_smoothing / scores.size(-1)
    losses = []
    for z, y in zip(torch.split(scores, CACHED_ROWS), torch.split(targets, CACHED_ROWS), strict=True):
        biased = z.to(bias.dtype, copy=True).add_(bias)  # faster than adding tensors of two types
        of_target = biased.gather(1, y.unsqueeze(1)).squeeze(1)
        p = biased.softmax(dim=-1)
        # Compute −log p of the target. Clamping p to the smallest normal float bounds the loss, but not the gradient.
        p_target = p.gather(1, y.unsqueeze(1)).squeeze(1).clamp_(min=torch.finfo(p.dtype).tiny)
        loss = -p_target.log()
        if label_smoothing:  # add the mean of −log p_v over all tokens v, where log p_v = z_v − log Σ exp z
            normalizer = of_target + loss
            loss = (1 - label_smoothing) * loss + label_smoothing * normalizer - rest * biased.sum(dim=-1)
        losses.append(loss.sum())
        if d_bias is not None:
            d_bias += p.sum(dim=0).sub_(rest * len(y))
            p[torch.arange(len(y), device=y.device), y] -= 1 - label_smoothing
            z.copy_(p.sub_(rest))
    if d_bias is not None:
        d_bias.index_add_(0, targets, torch.full_like(targets, -(1 - label_smoothing), dtype=d_bias.dtype))
    return torch.stack(losses).sum()
