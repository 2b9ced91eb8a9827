"""Confidence intervals and paired tests, compared with sacreBLEU."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from sacrebleu.significance import PairedTest, Result

from nmt.metrics.metric import RESAMPLES
from nmt.metrics.significance import confidence_interval, paired_p_value, resample_scores
from nmt.metrics.standard import METRICS, SacrebleuMetric, build_metric

GENERATOR = random.Random(1)
REFERENCES = [" ".join(GENERATOR.choices("abcdefgh", k=GENERATOR.randint(3, 9))) for _ in range(40)]
OTHERS = [" ".join(GENERATOR.choices("abcdefgh", k=GENERATOR.randint(3, 9))) for _ in range(40)]


def garble(share: float) -> list[str]:
    return [" ".join(w if GENERATOR.random() > share else "x" for w in line.split()) for line in REFERENCES]


SYSTEM, BASELINE = garble(0.2), garble(0.25)


@pytest.mark.parametrize("references", [[REFERENCES], [REFERENCES, OTHERS]])
@pytest.mark.parametrize("kind", [metric for metric in METRICS.values() if issubclass(metric, SacrebleuMetric)])
def test_bootstrap_equals_sacrebleu(kind: type[SacrebleuMetric], references: list[list[str]]) -> None:
    metric = kind()
    systems: list[tuple[str, Sequence[str]]] = [("baseline", BASELINE), ("system", SYSTEM)]
    _, results = PairedTest(systems, {metric.name: metric.scorer}, references, test_type="bs")()
    before, after = results[metric.title]
    assert isinstance(before, Result)
    assert isinstance(after, Result)
    statistics, other = metric.statistics(SYSTEM, references), metric.statistics(BASELINE, references)
    scores, baseline = resample_scores(metric, statistics), resample_scores(metric, other)
    interval = confidence_interval(scores)
    assert (interval.mean, interval.margin) == (after.mean, after.ci)
    difference = metric.score_statistics(statistics) - metric.score_statistics(other)
    assert difference == after.score - before.score != 0
    assert paired_p_value(scores, baseline, difference) == after.p_value
    assert paired_p_value(baseline, scores, -difference) == after.p_value


def test_interval_excludes_a_fortieth_at_each_end() -> None:
    interval = confidence_interval(np.arange(1000.0)[::-1])
    assert (interval.mean, interval.margin) == (499.5, (974 - 25) / 2)
    assert confidence_interval(np.array([3.0, 3.0])).margin == 0


def test_resampling_is_deterministic() -> None:
    metric = build_metric("ter")
    statistics = metric.statistics(SYSTEM, [REFERENCES])
    first, second = (resample_scores(metric, statistics) for _ in range(2))
    assert first.shape == (RESAMPLES,)
    assert (first == second).all()
    assert len(set(first.tolist())) > RESAMPLES / 20


def test_equal_scores_are_not_significant() -> None:
    scores = np.array([1.0, 2.0, 3.0])
    assert paired_p_value(scores, scores, 0.0) == 1.0
    assert paired_p_value(scores, np.zeros(3), 0.0) == 1.0


def test_a_p_value_counts_differences_beyond_the_one_observed() -> None:
    scores, baseline = np.array([5.0, 1.0, 1.0, 1.0]), np.zeros(4)
    # The differences 5, 1, 1, 1 lie 3, -1, -1, -1 off their mean.
    assert paired_p_value(scores, baseline, 2.0) == (1 + 1) / (4 + 1)
    assert paired_p_value(scores, baseline, -2.0) == (1 + 1) / (4 + 1)
    assert paired_p_value(scores, baseline, 3.0) == (0 + 1) / (4 + 1)
