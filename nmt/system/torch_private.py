"""Everything that uses private or deprecated names of torch, so that the debt shows in one place.

Each may break with a new version of torch, which the tests of its callers notice.
"""

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def pack_int8(weight: Tensor, scale: Tensor, bias: Tensor | None) -> Any:
    """Pack an int8 weight (F, D), the scale of each row (F,) and a bias (F,) for `multiply_int8`.

    Quantized tensors are deprecated, hence the warning that is silenced. oneDNN's operators, which will stay, take 1.5 times
    as long for the few rows of a single sentence.
    """
    zeros = torch.zeros(weight.size(0), dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        quantized = torch._make_per_channel_quantized_tensor(weight, scale.double(), zeros, 0)
    return torch.ops.quantized.linear_prepack(quantized, bias)


def multiply_int8(x: Tensor, packed: Any) -> Tensor:
    """W x + b of rows x (N, D) between -1 and 1, which are rounded to multiples of 1/127; (N, F) float32."""
    # `_op` is the operator itself: calling it by name takes a third longer for a single row.
    product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default._op(
        x, 1 / 127, 128, packed
    )
    return product


def set_gradient_scale(optimizer: Optimizer, scale: Tensor) -> None:
    """Let a fused Adam or AdamW divide the gradients by `scale` in its steps, which saves another pass over them.

    torch.amp.GradScaler does the same.
    """
    optimizer.grad_scale = scale  # type: ignore[attr-defined]
