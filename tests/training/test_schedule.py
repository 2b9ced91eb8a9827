import math
from typing import Any

import pytest

from nmt.config.schema import TrainingConfig
from nmt.training.schedule import Progress, learning_rate


def rate(schedule: Any, update: int, *, progress: float = 0.0, cuts: int = 0, warmup: int = 10) -> float:
    config = TrainingConfig(schedule=schedule, learning_rate=0.5, warmup=warmup, plateau_factor=0.1)
    return learning_rate(config, Progress(update=update, share=progress, cuts=cuts))


@pytest.mark.parametrize("schedule", ["constant", "inverse_sqrt", "plateau", "cosine"])
def test_linear_warm_up(schedule: str) -> None:
    assert [rate(schedule, update) for update in (1, 5, 10)] == pytest.approx([0.05, 0.25, 0.5])


def test_no_warm_up() -> None:
    assert rate("constant", 1, warmup=0) == 0.5
    assert rate("inverse_sqrt", 4, warmup=0) == pytest.approx(0.25)


def test_schedules() -> None:
    assert rate("constant", 1000, progress=0.9, cuts=3) == 0.5
    assert rate("inverse_sqrt", 40) == pytest.approx(0.25)
    assert rate("plateau", 1000, cuts=2) == pytest.approx(0.005)
    assert [rate("cosine", 99, progress=p) for p in (0.5, 1.0)] == pytest.approx([0.25, 0.0])
    assert rate("cosine", 99, progress=1 / 3) == pytest.approx(0.25 * (1 + math.cos(math.pi / 3)))


def test_cosine_stays_at_its_minimum_after_the_end() -> None:
    assert rate("cosine", 99, progress=1.5) == pytest.approx(0.0)


def test_the_inverse_square_root_meets_the_peak_at_the_end_of_the_warm_up() -> None:
    assert rate("inverse_sqrt", 40) == pytest.approx(0.25)
    assert rate("inverse_sqrt", 4, warmup=0) == pytest.approx(0.25)
