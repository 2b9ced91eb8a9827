"""The reversal of sentences, whose gradient is a reversal too."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def reverse(sequence: Tensor, positions: Tensor) -> Tensor:
    """Reorder the time steps of each sentence of `sequence` (B, S, D): step t of the result is step `positions[b, t]`.

    `positions` (B, S) must be its own inverse, as a reversal is. The gradient is then the same reordering, which is
    faster than the general gradient of `gather`.
    """
    reversed_sequence: Tensor = _Reverse.apply(sequence, positions)  # type: ignore[no-untyped-call]
    return reversed_sequence


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sequence: Tensor, positions: Tensor) -> Tensor:
        B, S = positions.shape
        ctx.rows = (positions + torch.arange(B, device=positions.device).unsqueeze(1) * S).flatten()
        return _select(sequence, ctx.rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _select(gradient, ctx.rows), None


def _select(sequence: Tensor, rows: Tensor) -> Tensor:
    return sequence.flatten(0, 1).index_select(0, rows).view_as(sequence)
