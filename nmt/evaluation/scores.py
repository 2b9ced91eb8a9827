"""Scores of translations, with sacreBLEU's signatures, confidence intervals and comparisons with a baseline."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from nmt.errors import ConfigError, DataError
from nmt.metrics.metric import RESAMPLES, Metric, Scoring
from nmt.metrics.significance import confidence_interval, paired_p_value, resample_scores
from nmt.metrics.standard import DEFAULT_METRICS, METRICS, build_metric
from nmt.system.texts import as_sets, as_texts

if TYPE_CHECKING:
    from nmt.translation.translator import Translator  # this imports torch, which is not needed to score texts


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The comparison of a system with a baseline, by their scores on the same sentences."""

    baseline: float
    """The score of the baseline."""
    p_value: float
    """The p-value of the two-sided paired bootstrap test. It estimates how often chance alone causes a difference of at
    least this size. For equal scores, it is 1."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of a set of translations in one metric."""

    name: str
    """The name of the metric in sacreBLEU: BLEU, chrF2, chrF2++ or TER. For TER, lower scores are better. For the other
    metrics, higher scores are better."""
    score: float
    """The score, from 0 to 100. TER can exceed 100."""
    mean: float
    """The mean score of the resamples of the bootstrap."""
    margin: float
    """Half the width of the 95 % confidence interval, which is `mean` ± `margin`."""
    signature: str
    """The signature of sacreBLEU, which lists all settings that are needed to reproduce the score."""
    difference: Difference | None = None
    """The comparison with the baseline, or None without a baseline."""
    sentences: Sequence[float] = ()
    """The score of each sentence. For BLEU, these scores ignore n-grams that are longer than the sentence."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All scores of a set of translations."""

    sentences: int
    references: int
    """The number of sets of references."""
    scores: tuple[Score, ...]

    def __getitem__(self, metric: str) -> Score:
        """Return the score in a metric, for example `evaluation["bleu"]`.

        Raises:
            KeyError: the metric is unknown or was not computed.
        """
        for score in self.scores:
            if score.name == METRICS[metric].title:
                return score
        raise KeyError(metric)


def evaluate(
    system: "str | Iterable[str] | Translator",
    references: str | Iterable[str] | Iterable[Iterable[str]],
    *,
    source: str | Iterable[str] | None = None,
    baseline: str | Iterable[str] | None = None,
    metrics: str | Iterable[str] = DEFAULT_METRICS,
    target_language: str = "",
    tokenize: str | None = None,
    lowercase: bool = False,
) -> Evaluation:
    """Score translations by comparison with human references. A translator can be given instead of translations.

    >>> evaluation = evaluate(["Das alte Haus."], ["Das sehr alte Haus."], metrics=["chrf", "ter"])
    >>> f"{evaluation['chrf'].score:.1f}"
    '57.2'

    All texts must be ordinary text that has not been tokenized. The command `sacrebleu` reports the same figures, with
    1,000 bootstrap resamples and the seed 12345.

    Any iterable of strings is accepted as a list of texts. A single string is accepted as one text.

    Args:
        system: one translation per sentence, or a translator. The translator translates `source` with default options.
        references: one reference per sentence, or several sets of references. With several sets, blank references are
            ignored, unless all references of a sentence are blank.
        source: the source sentences. A translator and some metrics need them.
        baseline: translations of the same sentences by another system. The differences are tested for significance.
        metrics: names of metrics: bleu, chrf, chrf++ and ter.
        target_language: the code of the target language. The default is the target language of the translator. If the
            translator has several target languages, it translates into this language. BLEU has special tokenizers for
            zh, ja and ko, and TER counts characters in zh and ja.
        tokenize: the name of the sacreBLEU tokenizer that BLEU uses. The default is the tokenizer of the target
            language.
        lowercase: whether to ignore case. TER always ignores case.

    Raises:
        DataError: there is nothing to score, or the numbers of lines differ.
        ConfigError: a metric or a tokenizer is unknown, or the source is missing. The error is also raised if the
            translator has several target languages and none is chosen.
        TypeError: an argument or one of its items is not text. The message contains the position of the item.
        MachineError: BLEU's tokenizer needs a package or a file that is missing.
    """
    translator = cast("Translator", system) if hasattr(system, "target_language") else None
    hypotheses = None if translator else as_texts(cast(Iterable[str], system), "hypotheses")
    sets = as_sets(references, "references")
    source = None if source is None else as_texts(source, "source")
    baseline = None if baseline is None else as_texts(baseline, "baseline")
    texts: dict[str, list[str] | None] = {"hypotheses": hypotheses, "source": source, "baseline": baseline}
    texts |= {f"references {number}": lines for number, lines in enumerate(sets, start=1)}
    check_lengths([(name, lines) for name, lines in texts.items() if lines is not None])
    if translator:
        if source is None:
            raise ConfigError("source: missing; give the sentences that the translator should translate")
        target_language = target_language or translator.target_language()
    # Build the metrics before the translator runs. A missing package is then reported without a long wait.
    scoring = Scoring(target_language=target_language, tokenize=tokenize, lowercase=lowercase)
    built = [build_metric(name, scoring) for name in dict.fromkeys(as_texts(metrics, "metrics"))]
    for metric in built:
        if metric.needs_source and source is None:
            raise ConfigError(f"{metric.name}: needs the source sentences; give them, or choose another metric")
    if translator:
        to = target_language if target_language in translator.data.target_languages else None
        hypotheses = translator.translate(source or [], to=to)
    assert hypotheses is not None
    present = drop_blank_references(sets)
    scores = tuple(_score(metric, hypotheses, present, source, baseline) for metric in built)
    return Evaluation(sentences=len(hypotheses), references=len(sets), scores=scores)


def _score(
    metric: Metric,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str | None]],
    sources: Sequence[str] | None,
    baseline: Sequence[str] | None,
) -> Score:
    statistics = metric.statistics(hypotheses, references, sources)
    score, resampled = metric.score_statistics(statistics), resample_scores(metric, statistics)
    interval, difference = confidence_interval(resampled), None
    if baseline is not None:
        others = metric.statistics(baseline, references, sources)
        other = metric.score_statistics(others)
        p_value = paired_p_value(resampled, resample_scores(metric, others), score - other)
        difference = Difference(baseline=other, p_value=p_value)
    return Score(
        name=metric.title,
        score=score,
        mean=interval.mean,
        margin=interval.margin,
        signature=metric.signature(-1 if any(None in lines for lines in references) else len(references), RESAMPLES),
        sentences=[metric.for_sentences.score_sums(row) for row in statistics],
        difference=difference,
    )


def drop_blank_references(sets: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """Replace each blank reference by None. If all references of a sentence are blank, keep them.

    >>> drop_blank_references([["Ein Haus.", ""], ["", ""]])
    [['Ein Haus.', ''], [None, '']]
    """
    blank = [not any(map(str.strip, references)) for references in zip(*sets, strict=True)]
    return [[line if line.strip() or kept else None for line, kept in zip(lines, blank, strict=True)] for lines in sets]


def check_lengths(texts: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Check that texts are not empty and have equal numbers of lines.

    Args:
        texts: the name of each text in error messages, and its lines.

    Raises:
        DataError: the first text is empty, or another text has a different number of lines.
    """
    (first, lines), *others = texts
    if not lines:
        raise DataError(f"{first}: empty, there is nothing to evaluate; give at least one line")
    for name, other in others:
        if len(other) != len(lines):
            raise DataError(
                f"{first} has {len(lines)} lines but {name} has {len(other)}; "
                "give the same sentences in both, one per line"
            )
