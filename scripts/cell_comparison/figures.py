"""Means over seeds of the results on the small tasks, and figures that follow from them."""

from collections.abc import Mapping, Sequence
from statistics import geometric_mean, mean, stdev
from typing import Any

Studies = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""For each task and cell, a result of `memory.study` for each seed."""

LEAST = 1e-300  # replaces a gradient of zero in a geometric mean
MASTERED = 0.9  # accuracy


def average_accuracies(results: Sequence[Mapping[str, Any]]) -> dict[int, tuple[float, float]]:
    """Compute the mean and the standard deviation of the accuracy over the seeds, from 0 to 1, by distance."""
    by_distance = {
        int(distance): [each["accuracy"][distance] for each in results] for distance in results[0]["accuracy"]
    }
    return {
        distance: (mean(values), stdev(values) if len(values) > 1 else 0.0) for distance, values in by_distance.items()
    }


def find_mastered_distance(results: Sequence[Mapping[str, Any]]) -> int | None:
    """Find the longest distance up to which the mean accuracy is at least MASTERED at every tested distance."""
    reached = None
    for distance, (accuracy, _) in sorted(average_accuracies(results).items()):
        if accuracy < MASTERED:
            break
        reached = distance
    return reached


def compute_reach(results: Sequence[Mapping[str, Any]], moment: str, part: str = "h") -> list[float]:
    """Compute the gradient norm at each distance relative to distance 0, as a geometric mean over the seeds.

    Args:
        results: the results of one cell.
        moment: `before` or `after` training.
        part: the part of the state, `h` or `c`.
    """
    norms = [each[moment][part] for each in results]
    return [
        geometric_mean(max(values[distance], LEAST) / max(values[0], LEAST) for values in norms)
        for distance in range(len(norms[0]))
    ]
