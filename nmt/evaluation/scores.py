"""Scores of translations, each with its signature, its confidence interval and its difference from a baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from nmt.errors import ConfigError, DataError
from nmt.metrics.metric import RESAMPLES, Metric, Scoring
from nmt.metrics.significance import confidence_interval, paired_p_value, resample_scores
from nmt.metrics.standard import DEFAULT_METRICS, METRICS, build_metric

if TYPE_CHECKING:
    from nmt.translation.translator import Translator  # which imports torch; scoring texts does not need it


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
        """The score of a metric: `evaluation["bleu"]`. Raises KeyError: the metric was not asked for."""
        for score in self.scores:
            if score.name == METRICS[metric].title:
                return score
        raise KeyError(metric)


def evaluate(
    system: "Sequence[str] | Translator",
    references: Sequence[str] | Sequence[Sequence[str]],
    *,
    source: Sequence[str] | None = None,
    baseline: Sequence[str] | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    target_language: str = "",
    tokenize: str | None = None,
    lowercase: bool = False,
) -> Evaluation:
    """Score translations, or a translator, against human references.

    >>> evaluation = evaluate(["Das alte Haus."], ["Das sehr alte Haus."], metrics=["chrf", "ter"])
    >>> f"{evaluation['chrf'].score:.1f}"
    '57.2'

    All texts are plain text as a reader would see it, not tokenized. Every figure equals that of sacreBLEU's own command:
    1,000 bootstrap resamples, seed 12345.

    Args:
        system: one translation per sentence, or a translator to translate `source` with its default options.
        references: one reference per sentence, or several sets of them.
        source: the source sentences, for a translator and for metrics that need them.
        baseline: another system's translations of the same sentences, to test the differences for significance.
        metrics: any of bleu, chrf, chrf++ and ter.
        target_language: its code; by default, that of the translator. A translator of several languages translates into
            it. BLEU has special tokenizers for zh, ja and ko; TER counts characters in zh and ja.
        tokenize: sacreBLEU's tokenizer for BLEU, instead of the language's.
        lowercase: ignore case. TER always does.

    Raises:
        DataError: there is nothing to score, or numbers of lines differ.
        ConfigError: a metric or a tokenizer is unknown, the source is missing, or the translator has several target
            languages and none is chosen.
        MachineError: BLEU's tokenizer needs a package or a file that is missing.
    """
    if not references:
        raise DataError("no references; give at least one set of them")
    sets = [cast(Sequence[str], references)] if isinstance(references[0], str) else references
    texts = {"hypotheses": system if isinstance(system, Sequence) else None, "source": source, "baseline": baseline}
    texts |= {f"references {number}": lines for number, lines in enumerate(sets, start=1)}
    check_lengths([(name, lines) for name, lines in texts.items() if lines is not None])
    if not isinstance(system, Sequence):
        if source is None:
            raise ConfigError("source: missing; give the sentences that the translator should translate")
        target_language = target_language or system.target_language()
    # Before the long wait for translations, so that it is not in vain.
    scoring = Scoring(target_language=target_language, tokenize=tokenize, lowercase=lowercase)
    built = [build_metric(name, scoring) for name in dict.fromkeys(metrics)]
    for metric in built:
        if metric.needs_source and source is None:
            raise ConfigError(f"{metric.name}: needs the source sentences; give them, or choose another metric")
    if isinstance(system, Sequence):
        hypotheses = system
    else:
        to = target_language if target_language in system.data.target_languages else None
        hypotheses = system.translate(source or [], to=to)
    scores = tuple(_score(metric, hypotheses, sets, source, baseline) for metric in built)
    return Evaluation(sentences=len(hypotheses), references=len(sets), scores=scores)


def _score(
    metric: Metric,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    sources: Sequence[str] | None,
    baseline: Sequence[str] | None,
) -> Score:
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
