"""The optimiser, its state by parameter name, and the moving average of the weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nmt.config import TrainingConfig

OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
WEIGHT_DECAY = {"adam": 0.0, "adamw": 0.01}  # by default
MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def build_optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Adam:
    """Adam or AdamW; weight decay on matrices only."""
    decay = WEIGHT_DECAY[config.optimizer] if config.weight_decay is None else config.weight_decay
    matrices = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return OPTIMIZERS[config.optimizer](groups, lr=config.learning_rate, betas=config.betas, eps=1e-9, fused=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """The optimiser's moments as `optimizer.MOMENT.PARAMETER`."""
    return {
        f"optimizer.{moment}.{name}": optimizer.state[parameter][moment]
        for name, parameter in network.named_parameters()
        for moment in MOMENTS
        if parameter in optimizer.state
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    for name, parameter in network.named_parameters():
        if f"optimizer.step.{name}" in tensors:
            saved = {moment: tensors[f"optimizer.{moment}.{name}"] for moment in MOMENTS}
            optimizer.state[parameter] = {
                moment: value.to(parameter.device, copy=True) for moment, value in saved.items()
            }


class MovingAverage:
    """Exponential moving average of the weights: average ← decay · average + (1 − decay) · weights after each update.

    The decay starts small, min(decay, (1 + n) / (10 + n)), so that the average soon forgets the initial weights.

    Args:
        average: the average by parameter name, changed in place; it starts as the initial weights.
        decay: share of the old average that stays at each update.
    """

    def __init__(self, average: Mapping[str, Tensor], decay: float) -> None:
        self.average = average
        self.decay = decay

    def update(self, weights: Mapping[str, Tensor], updates: int) -> None:
        """Take in the weights after update number `updates`."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(list(self.average.values()), [weights[name] for name in self.average], 1 - decay)
