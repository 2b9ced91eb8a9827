"""All functions that use private or deprecated names of torch.

A new version of torch may break these functions. The tests of the code that calls them would then fail.
"""

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def pack_int8(weight: Tensor, scale: Tensor, bias: Tensor | None) -> Any:
    """Convert an int8 weight to the layout that `multiply_int8` needs.

    Quantized tensors are deprecated in torch, so this function silences a warning. The operators of oneDNN are not
    deprecated, but for the few rows of a single sentence they take 1.5 times as long.

    Args:
        weight: int8 (F, D), where F is the number of outputs.
        scale: the scale of each row (F,).
        bias: (F,), or None.
    """
    zeros = torch.zeros(weight.size(0), dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        quantized = torch._make_per_channel_quantized_tensor(weight, scale.double(), zeros, 0)
    return torch.ops.quantized.linear_prepack(quantized, bias)


def multiply_int8(x: Tensor, packed: Any) -> Tensor:
    """Compute W x + b for each row x, after rounding x to multiples of 1/127.

    Args:
        x: (N, D), between -1 and 1.
        packed: the weight W and the bias b, from `pack_int8`.

    Returns:
        float32 (N, F), where F is the number of outputs.
    """
    # `_op` is the operator itself. The same call without `_op` takes a third longer for a single row.
    product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default._op(
        x, 1 / 127, 128, packed
    )
    return product


def set_gradient_scale(optimizer: Optimizer, scale: Tensor) -> None:
    """Let a fused Adam or AdamW optimizer divide the gradients by `scale` in each step.

    torch.amp.GradScaler uses the same attribute. A separate division would read and write all gradients once more.
    """
    optimizer.grad_scale = scale  # type: ignore[attr-defined]
