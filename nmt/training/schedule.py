"""Learning rates: a linear warm-up, then one of four courses. Each is a pure function of where training stands."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from nmt.config.schema import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where training stands when an update is about to be made."""

    update: int  # counted from 1
    progress: float  # share of the whole training that is done, 0 to 1
    cuts: int  # how often the plateau schedule has cut the rate


def constant(config: TrainingConfig, moment: Moment) -> float:  # noqa: ARG001
    return 1.0


def inverse_sqrt(config: TrainingConfig, moment: Moment) -> float:
    """1 / √update, scaled to 1 at the end of the warm-up (Vaswani et al. 2017, eq. 3)."""
    return math.sqrt(max(config.warmup, 1) / max(moment.update, config.warmup, 1))


def cosine(config: TrainingConfig, moment: Moment) -> float:  # noqa: ARG001
    """Half a cosine from 1 to 0 over the whole training (Loshchilov & Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * min(moment.progress, 1.0)))


def plateau(config: TrainingConfig, moment: Moment) -> float:
    """Cut whenever validation stopped improving."""
    return config.plateau_factor**moment.cuts


SCHEDULES: dict[str, Callable[[TrainingConfig, Moment], float]] = {
    "constant": constant,
    "inverse_sqrt": inverse_sqrt,
    "cosine": cosine,
    "plateau": plateau,
}


def learning_rate(config: TrainingConfig, moment: Moment) -> float:
    """The rate of one update."""
    warmup = min(1.0, moment.update / config.warmup) if config.warmup else 1.0
    return config.learning_rate * warmup * SCHEDULES[config.schedule](config, moment)
