"""Everything that a report shows, gathered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from nmt.evaluation.report.figures import (
    Coverage,
    FrequencyGroup,
    Length,
    LengthGroup,
    Repetition,
    Sentence,
    by_frequency,
    by_length,
    coverage,
    frequencies,
    length,
    repetitions,
    worst_first,
)
from nmt.evaluation.report.history import History
from nmt.evaluation.scores import Evaluation
from nmt.metrics.metric import Metric
from nmt.metrics.standard import BLEU
from nmt.translation.request import Translation

WORST = 20  # sentences shown
MAPS, MOST_PIECES = 4, 30  # heat maps shown, and pieces on a side of one


@dataclass(frozen=True, kw_only=True)
class Report:
    """Figures of one set of translations, and where there is a model of its attention and training."""

    evaluation: Evaluation
    lengths: Sequence[LengthGroup]
    frequencies: Sequence[FrequencyGroup]
    counted_in: str
    """Where word frequencies come from, for people."""
    length: Length
    repetitions: Sequence[Repetition]
    coverages: Sequence[Coverage]
    """Of each sentence; empty where the attention is not known."""
    worst: Sequence[Sentence]
    mapped: Sequence[tuple[Sentence, Translation]]
    """Sentences whose attention is drawn, from bad to good ones."""
    histories: Sequence[History]

    @property
    def source_words(self) -> int:
        return sum(len(each.words) for each in self.coverages)

    @property
    def neglected(self) -> int:
        """Source words with little attention."""
        return sum(len(each.neglected()) for each in self.coverages)


def build_report(
    evaluation: Evaluation,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    bleu: BLEU,
    chrf: Metric,
    source: Sequence[str] | None = None,
    translations: Sequence[Translation] | None = None,
    corpus: tuple[str, Mapping[str, int]] | None = None,
    histories: Sequence[History] = (),
    tags: Collection[str] = (),
) -> Report:
    """Compute what a report shows.

    Args:
        evaluation: the scores of these hypotheses.
        hypotheses: one translation per sentence.
        references: one or more sets of references, each as long as `hypotheses`.
        bleu, chrf: the metrics of the groups and of single sentences; BLEU's tokenizer says what a word is.
        source: the source sentences, if known.
        translations: the hypotheses with their attention, if a model made them.
        corpus: name and word frequencies of the text by which words are rare or frequent; by default the first references.
        histories: of the models' trainings.
        tags: pieces of the source that are no words.
    """
    ours = [bleu.words(line) for line in hypotheses]
    theirs = [[bleu.words(line) for line in lines] for lines in references]
    name, counts = corpus or ("the references", frequencies(theirs[0]))
    coverages = [coverage(translation, tags) for translation in translations or ()]
    ranked = worst_first(source, references, hypotheses, chrf, coverages)
    return Report(
        evaluation=evaluation,
        lengths=by_length(hypotheses, references, bleu, chrf),
        frequencies=by_frequency(ours, theirs[0], counts),
        counted_in=name,
        length=length(ours, theirs[0]),
        repetitions=repetitions(ours, theirs),
        coverages=coverages,
        worst=ranked[:WORST],
        mapped=_mapped(ranked, translations or ()),
        histories=histories,
    )


def _mapped(ranked: Sequence[Sentence], translations: Sequence[Translation]) -> list[tuple[Sentence, Translation]]:
    """At most MAPS sentences that are small enough to draw, evenly spread from the worst to the best."""
    pairs = [(sentence, translations[sentence.number - 1]) for sentence in ranked] if translations else []
    small = [pair for pair in pairs if _drawable(pair[1])]
    places = {round(number * (len(small) - 1) / (MAPS - 1)) for number in range(MAPS)}
    return [small[place] for place in sorted(places)] if small else []


def _drawable(translation: Translation) -> bool:
    return bool(translation.attention) and max(len(translation.tokens), len(translation.source_tokens)) <= MOST_PIECES
