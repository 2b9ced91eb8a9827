"""Scores of translations, each with its signature, its confidence interval and its difference from a baseline."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.errors import ConfigError, DataError
from nmt.metrics.metric import RESAMPLES, Metric, Scoring
from nmt.metrics.significance import confidence_interval, paired_p_value, resample_scores
from nmt.metrics.standard import DEFAULT_METRICS, METRICS, build_metric


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How a score compares with a baseline's on the same sentences."""

    baseline: float
    """The baseline's score."""
    p_value: float
    """Of the two-sided paired bootstrap test: how often chance alone gives such a difference. 1 for equal scores."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one metric says of one set of translations."""

    name: str
    """BLEU, chrF2, chrF2++ or TER, as sacreBLEU calls them. Lower is better for TER alone."""
    score: float
    """From 0 to 100; TER can exceed 100."""
    mean: float
    """Over the resamples of the bootstrap."""
    margin: float
    """Half the width of the 95 % confidence interval, which is `mean` ± `margin`."""
    signature: str
    """sacreBLEU's signature: everything that others need to compute the same figure."""
    difference: Difference | None = None
    """From the baseline, if there is one."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All scores of one set of translations."""

    sentences: int
    references: int
    """References per sentence."""
    scores: tuple[Score, ...]

    def __getitem__(self, metric: str) -> Score:
        """The score of a metric: `evaluation["bleu"]`."""
        return next(score for score in self.scores if score.name == METRICS[metric].title)


def evaluate(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    sources: Sequence[str] | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    baseline: Sequence[str] | None = None,
    target_language: str = "",
    tokenize: str | None = None,
    lowercase: bool = False,
) -> Evaluation:
    """Score translations: plain text as a reader would see it, not tokenized.

    Every figure equals that of sacreBLEU's own command: 1,000 bootstrap resamples, seed 12345.

    Args:
        hypotheses: one translation per sentence.
        references: one or more sets of references, each as long as `hypotheses`.
        sources: the source sentences, for metrics that need them.
        metrics: any of bleu, chrf, chrf++ and ter.
        baseline: another system's translations of the same sentences, to test the differences for significance.
        target_language: its code. BLEU has special tokenizers for zh, ja and ko; TER counts characters in zh and ja.
        tokenize: sacreBLEU's tokenizer for BLEU, instead of the language's.
        lowercase: ignore case. TER always does.

    Raises:
        DataError: there is nothing to score, or numbers of lines differ.
        MachineError: BLEU's tokenizer needs a package or a file that is missing.
        ConfigError: there is no such metric or tokenizer.
    """
    if not references:
        raise DataError("no references; give at least one set of them")
    texts = [(f"references {n}", lines) for n, lines in enumerate(references, start=1)]
    optional = [("baseline", baseline), ("sources", sources)]
    check_lengths(
        [("hypotheses", hypotheses), *texts, *((name, lines) for name, lines in optional if lines is not None)]
    )
    scoring = Scoring(target_language=target_language, tokenize=tokenize, lowercase=lowercase)
    built = [build_metric(name, scoring) for name in dict.fromkeys(metrics)]
    scores = tuple(_score(metric, hypotheses, references, sources, baseline) for metric in built)
    return Evaluation(sentences=len(hypotheses), references=len(references), scores=scores)


def _score(
    metric: Metric,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    sources: Sequence[str] | None,
    baseline: Sequence[str] | None,
) -> Score:
    if metric.needs_source and sources is None:
        raise ConfigError(f"{metric.name}: needs the source sentences; give them, or choose another metric")
    statistics = metric.statistics(hypotheses, references, sources)
    score, resampled = metric.score_statistics(statistics), resample_scores(metric, statistics)
    interval, difference = confidence_interval(resampled), None
    if baseline is not None:
        statistics = metric.statistics(baseline, references, sources)
        other = metric.score_statistics(statistics)
        p_value = paired_p_value(resampled, resample_scores(metric, statistics), score - other)
        difference = Difference(baseline=other, p_value=p_value)
    return Score(
        name=metric.title,
        score=score,
        mean=interval.mean,
        margin=interval.margin,
        signature=metric.signature(len(references), RESAMPLES),
        difference=difference,
    )


def check_lengths(texts: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Check that named texts are as long as the first one, and not empty. Raises DataError."""
    (first, lines), *others = texts
    if not lines:
        raise DataError(f"{first}: empty, there is nothing to evaluate; give at least one line")
    for name, other in others:
        if len(other) != len(lines):
            raise DataError(
                f"{first} has {len(lines)} lines but {name} has {len(other)}; "
                "give the same sentences in both, one per line"
            )
