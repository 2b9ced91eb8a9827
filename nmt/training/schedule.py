"""Learning rates: a linear warm-up, followed by one of four schedules. They depend only on the progress of training."""

import math
from dataclasses import dataclass

from nmt.config.schema import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of training before an update."""

    update: int  # the number of the update, counted from 1
    share: float  # the fraction of training that is done, from 0 to 1
    cuts: int  # the number of times that the plateau schedule has cut the learning rate


def learning_rate(config: TrainingConfig, progress: Progress) -> float:
    """Return the learning rate of one update: peak rate · warm-up factor · schedule factor."""
    warmup = min(1.0, progress.update / config.warmup) if config.warmup else 1.0
    match config.schedule:
        case "inverse_sqrt":  # 1 / √update, scaled to 1 at the end of the warm-up (Vaswani et al. 2017, eq. 3)
            factor = math.sqrt(max(config.warmup, 1) / max(progress.update, config.warmup, 1))
        case "cosine":  # half a cosine from 1 to 0 (Loshchilov & Hutter 2017, without restarts)
            factor = 0.5 * (1 + math.cos(math.pi * min(progress.share, 1.0)))
        case "plateau":  # one cut each time that validation has stopped improving
            factor = config.plateau_factor**progress.cuts
        case "constant":
            factor = 1.0
    return config.learning_rate * warmup * factor
