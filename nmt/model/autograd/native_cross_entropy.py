"""The softmax with its cross entropy, for training on a CPU in float32 with the native library."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.autograd.native import SoftmaxArrays, address, pack, require, run_rows, unpack


def native_cross_entropy(
    vectors: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, label_smoothing: float, *, wanted: bool
) -> Tensor:
    """Compute the loss as `cross_entropy` in nmt/model/autograd/cross_entropy.py does, with the same arguments.

    `wanted` says whether gradients are wanted. The forward pass computes them.
    """
    loss: Tensor = _CrossEntropy.apply(vectors, weight, bias, targets, label_smoothing, wanted)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, label_smoothing: float, wanted: bool
    ) -> Tensor:
        (R, D), V, native = vectors.shape, len(weight), require()
        vectors, targets = vectors.contiguous(), targets.contiguous()
        packed = pack(weight.t())
        transposed, sums = (pack(weight), weight.sum(dim=0)) if wanted else (None, None)
        d_vectors = torch.empty_like(vectors) if wanted else None
        arrays = SoftmaxArrays(
            size=D, tokens=V, vectors=address(vectors), weights=address(packed), transposed=address(transposed),
            bias=address(bias), weight_sums=address(sums), targets=address(targets), label_smoothing=label_smoothing,
            d_vectors=address(d_vectors),
        )  # fmt: skip
        # Each thread adds up the gradients of its rows: those of W and b, in the packed form (D + 1, V).
        size = native.nmt_matrix_size(D + 1, V)
        parts: dict[int, tuple[Tensor | None, ctypes.c_double]] = {}

        def run(first: int, rows: int) -> int:
            gradient, loss = vectors.new_empty(size) if wanted else None, ctypes.c_double()
            parts[first] = gradient, loss
            status: int = native.nmt_softmax(ctypes.byref(arrays), first, rows, address(gradient), ctypes.byref(loss))
            return status

        run_rows(run, R)
        ordered = [parts[first] for first in sorted(parts)]
        if wanted:
            total, *others = (gradient for gradient, _ in ordered if gradient is not None)
            for other in others:
                total += other
            d_weight, d_bias = torch.empty_like(weight), torch.empty_like(bias)
            unpack(total, D + 1, V, 0, d_weight)
            unpack(total, D + 1, V, D, d_bias.unsqueeze(1))
            ctx.save_for_backward(d_vectors, d_weight, d_bias)
        return vectors.new_tensor(sum(loss.value for _, loss in ordered))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        d_vectors, d_weight, d_bias = (tensor if gradient == 1 else tensor * gradient for tensor in ctx.saved_tensors)
        return d_vectors, d_weight, d_bias, None, None, None
