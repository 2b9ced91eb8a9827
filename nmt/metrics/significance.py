"""How certain a score is: confidence intervals and paired tests by bootstrap resampling (Koehn 2004).

Every figure equals that of the command `sacrebleu --confidence` or `sacrebleu --paired-bs`: the same resamples, summed in the
same precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.metrics.metric import RESAMPLES, SEED, Metric

Scores = NDArray[np.floating]
"""Of each resample: (resamples,)."""

Statistics = Sequence[Sequence[float]]
"""Of each sentence: (sentences, statistics)."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95 % confidence interval: `mean` ± `margin`."""

    mean: float
    """Over the resamples."""
    margin: float


def resample_scores(metric: Metric, statistics: Statistics) -> Scores:
    """The scores of RESAMPLES corpora, each of as many sentences as the corpus, drawn from it with replacement."""
    sentences = len(statistics)
    drawn = np.random.default_rng(SEED).choice(sentences, size=(RESAMPLES, sentences), replace=True)
    rows = np.array(statistics, dtype=np.float32)
    return np.array([metric.score_sums(rows[indices].sum(axis=0)) for indices in drawn])


def confidence_interval(scores: Scores) -> Interval:
    """The interval that holds 95 % of the scores of resamples."""
    ordered = np.sort(scores)
    left_out = len(ordered) // 40  # on each side
    return Interval(mean=float(ordered.mean()), margin=float(ordered[-1 - left_out] - ordered[left_out]) / 2)


def paired_p_value(scores: Scores, baseline: Scores, difference: float) -> float:
    """How often chance alone makes two systems differ as much as these do: the two-sided paired bootstrap test.

    Args:
        scores: of the resamples of one system, from `resample_scores`.
        baseline: of the same resamples of the other one.
        difference: of the scores of both on the whole corpus.

    Returns:
        The p-value. 1 for equal scores, where sacreBLEU gives the smallest p-value there is.
    """
    if difference == 0:
        return 1.0
    differences = np.abs(scores - baseline)
    beyond = int(np.sum(differences - differences.mean() > abs(difference)))
    return (beyond + 1) / (len(differences) + 1)
