"""Random choices from tables."""

from collections.abc import Mapping
from random import Random
from typing import TypeVar

T = TypeVar("T")


def weighted(random: Random, weights: Mapping[T, float]) -> T:
    """Draw a key. The probability of each key is proportional to its weight."""
    return random.choices(list(weights), list(weights.values()))[0]


def chance(random: Random, probability: float) -> bool:
    return random.random() < probability
