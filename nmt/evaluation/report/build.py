"""A function that computes everything that a report shows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nmt.evaluation.report.figures import (
    Coverage,
    FrequencyGroup,
    LengthGroup,
    Lengths,
    Repetition,
    ScoredSentence,
    compare_lengths,
    compute_coverage,
    count_repetitions,
    count_words,
    group_by_frequency,
    group_by_length,
    rank_sentences,
)
from nmt.evaluation.report.history import History
from nmt.evaluation.scores import Evaluation
from nmt.metrics.calibration import Bin, compute_calibration_error, group_confidences
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import BLEU, ChrF
from nmt.translation.confidence import match_words
from nmt.translation.request import Translation

WORST = 20  # the report shows this many sentences, those with the lowest scores
# The largest number of heat maps, and the largest number of tokens in the source or the translation of a heat map.
MAPS, MAX_MAP_TOKENS = 4, 30


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """The inputs of a report: scored translations, and data about the models that made these translations."""

    evaluation: Evaluation
    """The scores of `hypotheses`."""
    hypotheses: Sequence[str]
    """One translation per sentence."""
    references: Sequence[Sequence[str]]
    """One or more sets of references. Each set has one reference per sentence."""
    scoring: Scoring
    """The options of the metrics that score groups of sentences and single sentences. The report splits text into words
    with the BLEU tokenizer in these options."""
    source: Sequence[str] | None = None
    translations: Sequence[Translation] = ()
    """If a model made the hypotheses, these are the hypotheses with their attention."""
    target_language: str = ""
    tags: Collection[str] = ()
    """The source tokens that are tags and not words of the text."""
    frequency_text: tuple[str, Sequence[str]] | None = None
    """The name and the lines of the text in which words are counted. None means the first set of references."""
    histories: Sequence[History] = ()
    """The histories of the training runs of the models."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The figures of a report about a set of translations.

    If a model made the translations, the report also describes the attention and the training of the model.
    """

    evaluation: Evaluation
    length_groups: Sequence[LengthGroup]
    frequency_groups: Sequence[FrequencyGroup]
    counted_in: str
    """The name of the text in which words are counted."""
    lengths: Lengths
    repetitions: Sequence[Repetition]
    coverages: Sequence[Coverage]
    """The coverage of each sentence. The sequence is empty if the attention is not known."""
    confidences: Sequence[Bin]
    """The words of all translations by the confidence of the model. The sequence is empty if it is not known."""
    worst: Sequence[ScoredSentence]
    """The sentences with the lowest scores, lowest first."""
    mapped: Sequence[tuple[ScoredSentence, Translation]]
    """The sentences for which the report draws heat maps of the attention, in order of increasing score."""
    histories: Sequence[History]

    @property
    def calibration_error(self) -> float:
        """The expected calibration error of the confidences."""
        return compute_calibration_error(self.confidences)

    @property
    def source_words(self) -> int:
        return sum(len(coverage.words) for coverage in self.coverages)

    @property
    def neglected_words(self) -> int:
        return sum(len(coverage.neglected()) for coverage in self.coverages)


def build_report(inputs: ReportInputs) -> Report:
    """Compute the figures of a report."""
    bleu, chrf = BLEU(inputs.scoring), ChrF(inputs.scoring)
    hypotheses = [bleu.words(line) for line in inputs.hypotheses]
    references = [[bleu.words(line) for line in lines] for lines in inputs.references]
    counted_in, counted = "the references", references[0]
    if inputs.frequency_text:
        counted_in, counted = inputs.frequency_text[0], [bleu.words(line) for line in inputs.frequency_text[1]]
    coverages = [compute_coverage(translation, inputs.tags) for translation in inputs.translations]
    ranked = rank_sentences(inputs.source, inputs.references, inputs.hypotheses, chrf, coverages)
    return Report(
        evaluation=inputs.evaluation,
        length_groups=group_by_length(inputs.hypotheses, inputs.references, bleu, chrf),
        frequency_groups=group_by_frequency(hypotheses, references[0], count_words(counted)),
        counted_in=counted_in,
        lengths=compare_lengths(hypotheses, references[0]),
        repetitions=count_repetitions(hypotheses, references),
        coverages=coverages,
        confidences=_group_words(inputs),
        worst=ranked[:WORST],
        mapped=_choose_maps(ranked, inputs.translations),
        histories=inputs.histories,
    )


def _group_words(inputs: ReportInputs) -> list[Bin]:
    """Group the words of the translations by their confidence. A word is right if the first reference has it, too."""
    confidences, right = list[float](), list[bool]()
    for translation, reference in zip(inputs.translations, inputs.references[0], strict=False):
        confidences += [word.confidence for word in translation.words]
        right += match_words(translation, reference, inputs.target_language)
    return group_confidences(confidences, right)


def _choose_maps(
    ranked: Sequence[ScoredSentence], translations: Sequence[Translation]
) -> list[tuple[ScoredSentence, Translation]]:
    """Choose at most MAPS short sentences for heat maps. Their ranks are evenly spaced, from lowest to highest."""
    pairs = [(sentence, translations[sentence.number - 1]) for sentence in ranked] if translations else []
    small = [
        (sentence, translation)
        for sentence, translation in pairs
        if translation.attention and max(len(translation.tokens), len(translation.source_tokens)) <= MAX_MAP_TOKENS
    ]
    ranks = {round(number * (len(small) - 1) / (MAPS - 1)) for number in range(MAPS)}
    return [small[rank] for rank in sorted(ranks)] if small else []
