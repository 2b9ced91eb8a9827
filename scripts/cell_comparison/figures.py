"""Means over seeds of what the networks of the small tasks showed, and what follows from them."""

from collections.abc import Mapping, Sequence
from statistics import geometric_mean, mean, stdev
from typing import Any

Studies = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""Task to cell to one result of `memory.study` for each seed."""

LEAST = 1e-300  # what a gradient that is zero counts as in a geometric mean
MASTERED = 0.9  # accuracy


def accuracies(results: Sequence[Mapping[str, Any]]) -> dict[int, tuple[float, float]]:
    """Mean and standard deviation over the seeds by distance, from 0 to 1."""
    by_distance = {
        int(distance): [each["accuracy"][distance] for each in results] for distance in results[0]["accuracy"]
    }
    return {
        distance: (mean(values), stdev(values) if len(values) > 1 else 0.0) for distance, values in by_distance.items()
    }


def mastered(results: Sequence[Mapping[str, Any]]) -> int | None:
    """The longest distance up to which the mean accuracy is MASTERED at least at every tested distance."""
    reached = None
    for distance, (accuracy, _) in sorted(accuracies(results).items()):
        if accuracy < MASTERED:
            break
        reached = distance
    return reached


def reach(results: Sequence[Mapping[str, Any]], moment: str, part: str = "h") -> list[float]:
    """Gradient norm at each distance over that at distance 0, the geometric mean over the seeds.

    Args:
        results: of one cell.
        moment: `before` or `after` training.
        part: of the state, `h` or `c`.
    """
    norms = [each[moment][part] for each in results]
    return [
        geometric_mean(max(values[distance], LEAST) / max(values[0], LEAST) for values in norms)
        for distance in range(len(norms[0]))
    ]
