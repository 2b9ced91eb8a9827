"""What a report says in numbers. Nothing is drawn here.

Words are those of BLEU's tokenizer. With several references, frequencies and lengths are judged by the first of them.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nmt.metrics.metric import Metric
from nmt.metrics.standard import BLEU
from nmt.translation.request import Translation

LENGTHS = (1, 6, 11, 16, 21, 31, 41, 61)  # words with which a group of sentences begins; the last has no end
FREQUENCIES = (0, 1, 2, 3, 5, 10, 100, 1000)  # the same of words, by how often they occur
SHORT = 0.7  # of the reference's words: a translation with fewer may lack something
LITTLE = 0.2  # attention, summed over the translation: a source word with less may not have been translated
LONGEST_REPEATED = 4  # words
_WORD_BEGIN = "▁"  # as SentencePiece marks it

Words = list[str]


@dataclass(frozen=True, kw_only=True)
class LengthGroup:
    """Sentences whose references are about as long."""

    label: str
    """Words of the reference: 6–10, for example."""
    sentences: int
    bleu: float
    chrf: float


@dataclass(frozen=True, kw_only=True)
class FrequencyGroup:
    """Words that are about as frequent, and how well they were translated."""

    label: str
    """How often such a word occurs: 5–9, for example."""
    reference: int
    """Occurrences in the references."""
    hypothesis: int
    """Occurrences in the translations."""
    matched: int
    """Occurrences in both, sentence by sentence."""

    @property
    def precision(self) -> float:
        return self.matched / self.hypothesis if self.hypothesis else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.reference if self.reference else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, from 0 to 1."""
        return 2 * self.matched / (self.hypothesis + self.reference) if self.matched else 0.0


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """n-grams that a translation has more than once, and more often than any reference of the sentence."""

    size: int
    """Words in the n-gram."""
    surplus: int
    """Occurrences beyond the first and beyond those of the reference."""
    total: int
    """All n-grams of the translations."""
    sentences: int
    """Translations with at least one."""


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long translations are, against the first reference."""

    hypothesis: int
    """Words of all translations."""
    reference: int
    """Words of all references."""
    short: int
    """Sentences whose translation has fewer words than SHORT of the reference's."""

    @property
    def ratio(self) -> float:
        return self.hypothesis / self.reference if self.reference else 0.0


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much attention the words of a source sentence got: the sum over the pieces of its translation."""

    words: tuple[str, ...]
    attention: tuple[float, ...]

    def neglected(self) -> list[str]:
        """Words with letters or digits that got less than LITTLE."""
        pairs = zip(self.words, self.attention, strict=True)
        return [word for word, weight in pairs if weight < LITTLE and any(map(str.isalnum, word))]


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence and its translation."""

    number: int
    """Of the line, from 1."""
    chrf: float
    source: str | None
    references: tuple[str, ...]
    hypothesis: str
    neglected: tuple[str, ...] = ()
    """Source words with little attention, where the attention is known."""


def by_length(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], bleu: BLEU, chrf: Metric
) -> list[LengthGroup]:
    """Corpus scores of sentences of like length, by the words of the first reference; empty groups are left out."""
    members: dict[int, list[int]] = {}
    for index, line in enumerate(references[0]):
        members.setdefault(_group(LENGTHS, len(bleu.words(line))), []).append(index)
    groups = []
    for group, chosen in sorted(members.items()):
        ours = [hypotheses[index] for index in chosen]
        theirs = [[lines[index] for index in chosen] for lines in references]
        scores = [metric.score(ours, theirs) for metric in (bleu, chrf)]
        label = _label(LENGTHS, group)
        groups.append(LengthGroup(label=label, sentences=len(chosen), bleu=scores[0], chrf=scores[1]))
    return groups


def by_frequency(
    hypotheses: Sequence[Words], references: Sequence[Words], frequencies: Mapping[str, int]
) -> list[FrequencyGroup]:
    """Precision and recall of words by their frequency; groups that no reference has a word of are left out.

    A word counts as matched as often as it stands in both the translation and the reference of a sentence.
    """
    ours, theirs, both = Counter[int](), Counter[int](), Counter[int]()
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        counts = Counter(hypothesis), Counter(reference)
        for total, found in zip((ours, theirs, both), (*counts, counts[0] & counts[1]), strict=True):
            for word, count in found.items():
                total[_group(FREQUENCIES, frequencies.get(word, 0))] += count
    return [
        FrequencyGroup(
            label=_label(FREQUENCIES, group), reference=theirs[group], hypothesis=ours[group], matched=both[group]
        )
        for group in sorted(theirs)
    ]


def frequencies(lines: Iterable[Words]) -> Counter[str]:
    """How often each word occurs."""
    return Counter(itertools.chain.from_iterable(lines))


def repetitions(hypotheses: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[Repetition]:
    """Repeated n-grams beyond the references, of one word up to LONGEST_REPEATED."""
    return [_repetition(size, hypotheses, references) for size in range(1, LONGEST_REPEATED + 1)]


def _repetition(size: int, hypotheses: Sequence[Words], references: Sequence[Sequence[Words]]) -> Repetition:
    surplus, total = [], 0
    for hypothesis, *others in zip(hypotheses, *references, strict=True):
        counts = Counter(_ngrams(hypothesis, size))
        allowed = [Counter(_ngrams(other, size)) for other in others]
        surplus.append(
            sum(max(0, count - max(1, *(each[ngram] for each in allowed))) for ngram, count in counts.items())
        )
        total += counts.total()
    return Repetition(size=size, surplus=sum(surplus), total=total, sentences=sum(count > 0 for count in surplus))


def _ngrams(words: Words, size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(size)), strict=False)


def length(hypotheses: Sequence[Words], references: Sequence[Words]) -> Length:
    """Lengths of translations against those of their references."""
    pairs = [(len(ours), len(theirs)) for ours, theirs in zip(hypotheses, references, strict=True)]
    return Length(
        hypothesis=sum(ours for ours, _ in pairs),
        reference=sum(theirs for _, theirs in pairs),
        short=sum(ours < SHORT * theirs for ours, theirs in pairs),
    )


def coverage(translation: Translation, tags: Collection[str] = ()) -> Coverage:
    """Attention to each source word, from a translation that was asked to keep it (Tu et al. 2016 call the sum coverage).

    `tags` are no words.
    """
    indices = [index for index, piece in enumerate(translation.source_tokens) if piece not in tags]
    pieces = [translation.source_tokens[index] for index in indices]
    received = [sum(weights[index] for weights in translation.attention) for index in indices]
    names: list[str] = []
    attention: list[float] = []
    marked = any(piece.startswith(_WORD_BEGIN) for piece in pieces)  # else every piece is a word or a character
    for piece, weight in zip(pieces, received, strict=True):
        if names and marked and not piece.startswith(_WORD_BEGIN):
            names[-1], attention[-1] = names[-1] + piece, attention[-1] + weight
        else:
            names.append(piece.removeprefix(_WORD_BEGIN))
            attention.append(weight)
    return Coverage(words=tuple(names), attention=tuple(attention))


def worst_first(
    source: Sequence[str] | None,
    references: Sequence[Sequence[str]],
    hypotheses: Sequence[str],
    chrf: Metric,
    coverages: Sequence[Coverage] = (),
) -> list[Sentence]:
    """All sentences by sentence-level chrF (Popović 2015), the worst first, of equal ones the first first."""
    sentences = []
    for index, (hypothesis, *others) in enumerate(zip(hypotheses, *references, strict=True)):
        sentence = Sentence(
            number=index + 1,
            chrf=chrf.score_sentence(hypothesis, others),
            source=source[index] if source else None,
            references=tuple(others),
            hypothesis=hypothesis,
            neglected=tuple(coverages[index].neglected()) if coverages else (),
        )
        sentences.append(sentence)
    return sorted(sentences, key=lambda sentence: sentence.chrf)


def _group(beginnings: Sequence[int], value: int) -> int:
    """The group of a value; what is below the first one belongs to it."""
    return max(0, sum(begin <= value for begin in beginnings) - 1)


def _label(beginnings: Sequence[int], group: int) -> str:
    first = beginnings[group]
    if group + 1 == len(beginnings):
        return f"{first}+"
    last = beginnings[group + 1] - 1
    return str(first) if first == last else f"{first}–{last}"
