"""Confidence intervals and significance tests of scores by bootstrap resampling (Koehn 2004).

This module draws the same resamples as sacreBLEU and adds numbers in the same precision. The commands
`sacrebleu --confidence` and `sacrebleu --paired-bs` therefore report the same figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.metrics.metric import RESAMPLES, SEED, Metric

Scores = NDArray[np.floating]
"""The score of each resample, with shape (resamples,)."""

Statistics = Sequence[Sequence[float]]
"""The statistics of each sentence, with shape (sentences, statistics)."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95 % confidence interval: `mean` ± `margin`."""

    mean: float
    """The mean score of the resamples."""
    margin: float
    """Half the width of the interval."""


def resample_scores(metric: Metric, statistics: Statistics) -> Scores:
    """Compute the scores of RESAMPLES resamples of a corpus.

    A resample has the same number of sentences as the corpus, drawn from the corpus with replacement.

    Args:
        metric: the metric that computed the statistics.
        statistics: the statistics of each sentence of the corpus.
    """
    sentences = len(statistics)
    drawn = np.random.default_rng(SEED).choice(sentences, size=(RESAMPLES, sentences), replace=True)
    rows = np.array(statistics, dtype=np.float32)
    return np.array([metric.score_sums(rows[indices].sum(axis=0)) for indices in drawn])


def confidence_interval(scores: Scores) -> Interval:
    """Compute the 95 % confidence interval from the scores of resamples."""
    ordered = np.sort(scores)
    left_out = len(ordered) // 40  # the lowest 2.5 % and the highest 2.5 % are outside of the interval
    return Interval(mean=float(ordered.mean()), margin=float(ordered[-1 - left_out] - ordered[left_out]) / 2)


def paired_p_value(scores: Scores, baseline: Scores, difference: float) -> float:
    """Test whether the scores of two systems differ significantly. The test is the two-sided paired bootstrap test.

    Args:
        scores: the scores of one system on each resample, from `resample_scores`.
        baseline: the scores of the other system on the same resamples.
        difference: the score of the one system on the whole corpus minus the score of the other.

    Returns:
        The p-value, which estimates how often chance alone causes a difference of at least this size. For equal scores,
        the p-value is 1. (sacreBLEU returns the smallest possible p-value for equal scores.)
    """
    if difference == 0:
        return 1.0
    differences = np.abs(scores - baseline)
    beyond = int(np.sum(differences - differences.mean() > abs(difference)))
    return (beyond + 1) / (len(differences) + 1)
