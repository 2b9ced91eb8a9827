"""The optimizers, functions to save and restore their state, and the moving average of the weights."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Muon, Optimizer

from nmt.config.schema import TrainingConfig
from nmt.errors import ModelError
from nmt.model.seq2seq import Seq2Seq
from nmt.system.torch_private import set_gradient_scale

WEIGHT_DECAY = {"adam": 0.0, "adamw": 0.01, "muon": 0.01}  # the defaults of `training.weight_decay`


MOMENTS = "optimizer."
"""The prefix of the names of moments in a training state."""
_ALL_MOMENTS = ("momentum_buffer", "exp_avg", "exp_avg_sq", "step")
_NOT_NEGATIVE = ("exp_avg_sq", "step")


def build_optimizers(network: Seq2Seq, config: TrainingConfig) -> list[Optimizer]:
    """Create the optimizers: Adam or AdamW for all weights, or Muon for the inner matrices and AdamW for the others.

    Weight decay applies to matrices, but not to vectors.
    """
    decay = WEIGHT_DECAY[config.optimizer] if config.weight_decay is None else config.weight_decay
    by_muon: list[nn.Parameter] = []
    # Muon is not used for embeddings and softmax, because most of their rows have no gradient in an update.
    if config.optimizer == "muon":
        outer = {network.source_embedding.weight, network.target_embedding.weight, network.output.weight}
        learning = (parameter for parameter in network.parameters() if parameter.requires_grad)
        by_muon = [parameter for parameter in learning if parameter.dim() == 2 and parameter not in outer]
    chosen = set(by_muon)
    rest = [parameter for parameter in network.parameters() if parameter not in chosen]
    groups = [
        {"params": [parameter for parameter in rest if parameter.dim() > 1], "weight_decay": decay},
        {"params": [parameter for parameter in rest if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    kind = Adam if config.optimizer == "adam" else AdamW
    optimizers: list[Optimizer] = [kind(groups, lr=config.learning_rate, betas=config.betas, eps=1e-9, fused=True)]
    # The steps of Muon are scaled to the size of Adam's steps (Liu et al. 2025), so that both use one learning rate.
    if by_muon:
        optimizers.append(Muon(by_muon, lr=config.learning_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return optimizers


def make_step(optimizers: Sequence[Optimizer], *, rate: float, scale: Tensor) -> None:
    """Update the weights, and free the gradients. The gradients are first divided by `scale`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        if isinstance(optimizer, Muon):
            torch._foreach_div_([weight.grad for weight in _weights(optimizer) if weight.grad is not None], scale)
        else:
            set_gradient_scale(optimizer, scale)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def _weights(optimizer: Optimizer) -> Iterator[nn.Parameter]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _moments(optimizer: Optimizer) -> tuple[str, ...]:
    return ("momentum_buffer",) if isinstance(optimizer, Muon) else ("exp_avg", "exp_avg_sq", "step")


def optimizer_tensors(optimizers: Sequence[Optimizer], network: nn.Module) -> dict[str, Tensor]:
    """Return the moments of the optimizers. Their names are `optimizer.MOMENT.PARAMETER`."""
    return {
        f"{MOMENTS}{moment}.{name}": optimizer.state[parameter][moment]
        for name, parameter in network.named_parameters()
        for optimizer in optimizers
        for moment in _moments(optimizer)
        if parameter in optimizer.state
    }


def restore_optimizers(
    optimizers: Sequence[Optimizer],
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    complete: bool = False,
    where: str = "the training state",
) -> None:
    """Restore the moments that `optimizer_tensors` returned. Tensors with other prefixes are ignored.

    Args:
        optimizers: the optimizers of `build_optimizers`.
        network: the network whose weights the optimizers update.
        tensors: the moments. Their shapes and types are checked first, because torch does not check them.
        complete: whether every trained weight must have moments. If false, a weight may start without moments, for
            example because it was frozen before.
        where: the origin of the tensors for messages.

    Raises:
        ModelError: a moment is missing, or has a name, shape, type or value that an optimizer cannot have saved.
    """
    names = {parameter: name for name, parameter in network.named_parameters()}
    check_moments(tensors, {name: parameter.shape for parameter, name in names.items()}, where)
    for optimizer in optimizers:
        for weight in _weights(optimizer):
            keys = {moment: f"{MOMENTS}{moment}.{names[weight]}" for moment in _moments(optimizer)}
            lacking = [key for key in keys.values() if key not in tensors]
            if lacking and (len(lacking) < len(keys) or (complete and weight.requires_grad)):
                raise ModelError(f"{where}: lacks {lacking[0]}; resume from another checkpoint")
            if not lacking:
                optimizer.state[weight] = {
                    moment: tensors[key].to(weight.device, copy=True) for moment, key in keys.items()
                }


def check_moments(tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], where: str) -> None:
    """Check the names, shapes, types and values of moments. `shapes` maps the name of each weight to its shape.

    Raises:
        ModelError: an optimizer cannot have saved one of the tensors. The message contains `where`.
    """
    for name, tensor in ((name, tensor) for name, tensor in tensors.items() if name.startswith(MOMENTS)):
        moment, _, weight = name.removeprefix(MOMENTS).partition(".")
        fault = None
        if moment not in _ALL_MOMENTS or weight not in shapes:
            fault = "belongs to no weight of this network"
        elif tensor.dtype != torch.float32 or tensor.shape != (() if moment == "step" else shapes[weight]):
            fault = f"is {tensor.dtype} of the shape {tuple(tensor.shape)}"
        elif not tensor.isfinite().all() or (moment in _NOT_NEGATIVE and tensor.numel() and tensor.min() < 0):
            fault = "holds impossible values"
        if fault:
            raise ModelError(f"{where}: {name} {fault}; resume from another checkpoint")


class MovingAverage:
    """The exponential moving average of the weights.

    After each update, average ← d · average + (1 − d) · weights. In update n, d = min(decay, (1 + n) / (10 + n)). At
    first, d is small, so the average soon forgets the initial weights.

    Args:
        average: the average of each parameter by name. It starts with the initial weights and is updated in place.
        decay: the largest value of d.
    """

    def __init__(self, average: Mapping[str, Tensor], decay: float) -> None:
        self.average = average
        self.decay = decay

    def update(self, weights: Mapping[str, Tensor], updates: int) -> None:
        """Add the current weights to the moving average. `updates` is the number of optimizer steps so far."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(list(self.average.values()), [weights[name] for name in self.average], 1 - decay)
