"""All functions that use private or deprecated names of torch.

A new version of torch may break these functions. The tests of the code that calls them would then fail.
"""

from torch import Tensor
from torch.optim import Optimizer


def set_gradient_scale(optimizer: Optimizer, scale: Tensor) -> None:
    """Let a fused Adam or AdamW optimizer divide the gradients by `scale` in each step.

    torch.amp.GradScaler uses the same attribute. A separate division would read and write all gradients once more.
    """
    optimizer.grad_scale = scale  # type: ignore[attr-defined]
