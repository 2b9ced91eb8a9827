"""How well confidences agree with how often they are right (expected calibration error, Naeini et al. 2015)."""

from collections.abc import Sequence
from dataclasses import dataclass

BINS = 15
"""The number of intervals into which confidences from 0 to 1 are divided, as in Guo et al. 2017."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The confidences in an interval."""

    low: float
    high: float
    count: int
    """The number of confidences."""
    confidence: float
    """Their mean."""
    accuracy: float
    """The share of them that are right."""


def group_confidences(confidences: Sequence[float], right: Sequence[bool], bins: int = BINS) -> list[Bin]:
    """Group confidences into intervals of equal width. Intervals without confidences are left out."""
    groups: list[list[int]] = [[] for _ in range(bins)]
    for index, confidence in enumerate(confidences):
        groups[min(int(confidence * bins), bins - 1)].append(index)
    return [
        Bin(
            low=number / bins,
            high=(number + 1) / bins,
            count=len(group),
            confidence=sum(confidences[index] for index in group) / len(group),
            accuracy=sum(right[index] for index in group) / len(group),
        )
        for number, group in enumerate(groups)
        if group
    ]


def compute_calibration_error(groups: Sequence[Bin]) -> float:
    """Compute the expected calibration error: the mean difference of confidence and accuracy, weighted by counts."""
    total = sum(group.count for group in groups)
    return sum(group.count * abs(group.confidence - group.accuracy) for group in groups) / max(1, total)
