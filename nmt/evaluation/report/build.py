"""Gathers everything that a report shows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nmt.evaluation.report.figures import (
    Coverage,
    FrequencyGroup,
    LengthGroup,
    Lengths,
    Repetition,
    Sentence,
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
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import BLEU, ChrF
from nmt.translation.request import Translation

WORST = 20  # sentences shown
MAPS, MAX_MAP_TOKENS = 4, 30  # heat maps shown, and tokens on each side of one


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What a report is about: scored translations, and what is known of their origin."""

    evaluation: Evaluation
    """The scores of `hypotheses`."""
    hypotheses: Sequence[str]
    """One translation per sentence."""
    references: Sequence[Sequence[str]]
    """One or more sets of references, each as long as `hypotheses`."""
    scoring: Scoring
    """How the groups of sentences and the single sentences are scored. BLEU's tokenizer also decides what a word is."""
    source: Sequence[str] | None = None
    translations: Sequence[Translation] = ()
    """The hypotheses with their attention, if a model made them."""
    tags: Collection[str] = ()
    """Source tokens that are not words of the text."""
    frequency_text: tuple[str, Sequence[str]] | None = None
    """The name and the lines of the text in which words are counted. By default, the first references."""
    histories: Sequence[History] = ()
    """The trainings of the models."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Figures of one set of translations and, if a model made them, of its attention and its training."""

    evaluation: Evaluation
    length_groups: Sequence[LengthGroup]
    frequency_groups: Sequence[FrequencyGroup]
    counted_in: str
    """The name of the text in which words are counted."""
    lengths: Lengths
    repetitions: Sequence[Repetition]
    coverages: Sequence[Coverage]
    """Of each sentence; empty where the attention is not known."""
    worst: Sequence[Sentence]
    mapped: Sequence[tuple[Sentence, Translation]]
    """Sentences whose attention is drawn, from bad to good ones."""
    histories: Sequence[History]

    @property
    def source_words(self) -> int:
        return sum(len(coverage.words) for coverage in self.coverages)

    @property
    def neglected_words(self) -> int:
        return sum(len(coverage.neglected()) for coverage in self.coverages)


def build_report(inputs: ReportInputs) -> Report:
    """Compute what a report shows."""
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
        worst=ranked[:WORST],
        mapped=_choose_maps(ranked, inputs.translations),
        histories=inputs.histories,
    )


def _choose_maps(ranked: Sequence[Sentence], translations: Sequence[Translation]) -> list[tuple[Sentence, Translation]]:
    """At most MAPS sentences that are small enough to draw, evenly spaced from the worst to the best."""
    pairs = [(sentence, translations[sentence.number - 1]) for sentence in ranked] if translations else []
    small = [
        (sentence, translation)
        for sentence, translation in pairs
        if translation.attention and max(len(translation.tokens), len(translation.source_tokens)) <= MAX_MAP_TOKENS
    ]
    ranks = {round(number * (len(small) - 1) / (MAPS - 1)) for number in range(MAPS)}
    return [small[rank] for rank in sorted(ranks)] if small else []
