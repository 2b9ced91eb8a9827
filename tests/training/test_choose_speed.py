"""The length of a training that fits into a time."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.training.choose.describe import format_time
from nmt.training.choose.rules import VALIDATIONS
from nmt.training.choose.speed import Speed, fit_length

SPEED = Speed(update=0.5, epoch=100, validation=4.0, ending=20.0, memory=None, parameters=1)


def test_enough_time_changes_nothing() -> None:
    length = fit_length(SPEED, updates=1000, seconds=3600)
    assert (length.updates, length.validations) == (1000, VALIDATIONS)


def test_less_time_makes_a_shorter_training_with_fewer_validations() -> None:
    lengths = [fit_length(SPEED, updates=1000, seconds=seconds) for seconds in (1200, 400, 200, 100)]
    assert lengths[0].updates == 1000
    assert [length.updates for length in lengths] == sorted({length.updates for length in lengths}, reverse=True)
    assert [length.validations for length in lengths] == [VALIDATIONS, 12, 6, 3]


@given(st.floats(60, 10_000), st.floats(0.001, 2), st.floats(0.01, 5), st.integers(1, 100_000))
def test_the_whole_run_fits(seconds: float, update: float, validation: float, updates: int) -> None:
    speed = dataclasses.replace(SPEED, update=update, validation=validation)
    length = fit_length(speed, updates, seconds)
    assert 1 <= length.updates <= updates
    assert speed.seconds(length.updates, length.validations) <= seconds


def test_too_little_time_still_trains() -> None:
    assert fit_length(SPEED, updates=1000, seconds=5).updates == 1
    assert fit_length(SPEED, updates=1000, seconds=-5).updates == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 seconds"), (89, "89 seconds"), (120, "2 minutes"), (5399, "90 minutes"), (9000, "2.5 hours")],
)
def test_times_are_rounded(seconds: float, text: str) -> None:
    assert format_time(seconds) == text
