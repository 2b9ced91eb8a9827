"""The figures of a report. Nothing is drawn here.

BLEU's tokenizer decides what a word is. With several references, word frequencies and lengths are compared with the first one.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nmt.metrics.metric import Metric
from nmt.metrics.standard import BLEU
from nmt.translation.request import Translation

LENGTHS = (1, 6, 11, 16, 21, 31, 41, 61)  # the smallest number of words in each group of sentences; the last is open
FREQUENCIES = (0, 1, 2, 3, 5, 10, 100, 1000)  # the smallest number of occurrences in each group of words
SHORT_BELOW = 0.7  # of the number of words in the reference: a shorter translation may be incomplete
NEGLECTED_BELOW = 0.2  # attention, summed over the translation: a source word with less may not have been translated
MAX_REPEATED = 4  # words in a repeated n-gram
_WORD_START = "▁"  # SentencePiece's mark

Words = list[str]


@dataclass(frozen=True, kw_only=True)
class LengthGroup:
    """Sentences whose references have about the same length."""

    label: str
    """The number of words in the reference: 6–10, for example."""
    sentences: int
    bleu: float
    chrf: float


@dataclass(frozen=True, kw_only=True)
class FrequencyGroup:
    """Words that are about equally frequent, and how well they are translated."""

    label: str
    """How often each of the words occurs: 5–9, for example."""
    reference: int
    """Occurrences in the references."""
    hypothesis: int
    """Occurrences in the translations."""
    matched: int
    """Occurrences in both, counted sentence by sentence."""

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
    """n-grams that a translation contains more than once and more often than any reference of the sentence."""

    size: int
    """The number of words in the n-gram."""
    surplus: int
    """Occurrences after the first one that no reference has."""
    total: int
    """All n-grams of this size in the translations."""
    sentences: int
    """Translations with at least one repetition."""


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The lengths of translations and of their first references."""

    hypothesis: int
    """Words in all translations."""
    reference: int
    """Words in all references."""
    short: int
    """Translations that have less than SHORT_BELOW of the words of their reference."""

    @property
    def ratio(self) -> float:
        return self.hypothesis / self.reference if self.reference else 0.0


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The attention to each word of a source sentence, summed over the tokens of its translation."""

    words: tuple[str, ...]
    attention: tuple[float, ...]

    def neglected(self) -> list[str]:
        """Words with letters or digits whose attention is below NEGLECTED_BELOW."""
        pairs = zip(self.words, self.attention, strict=True)
        return [word for word, weight in pairs if weight < NEGLECTED_BELOW and any(map(str.isalnum, word))]


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence and its translation."""

    number: int
    """The number of the line, from 1."""
    chrf: float
    source: str | None
    references: tuple[str, ...]
    hypothesis: str
    neglected: tuple[str, ...] = ()
    """Source words with little attention, if the attention is known."""


def group_by_length(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], bleu: BLEU, chrf: Metric
) -> list[LengthGroup]:
    """The corpus scores of sentences of similar length, by the words in the first reference. Empty groups are left out."""
    members: dict[int, list[int]] = {}
    for index, line in enumerate(references[0]):
        members.setdefault(_find_group(LENGTHS, len(bleu.words(line))), []).append(index)
    groups = []
    for group, chosen in sorted(members.items()):
        ours = [hypotheses[index] for index in chosen]
        theirs = [[lines[index] for index in chosen] for lines in references]
        scores = [metric.score(ours, theirs) for metric in (bleu, chrf)]
        label = _label_group(LENGTHS, group)
        groups.append(LengthGroup(label=label, sentences=len(chosen), bleu=scores[0], chrf=scores[1]))
    return groups


def group_by_frequency(
    hypotheses: Sequence[Words], references: Sequence[Words], frequencies: Mapping[str, int]
) -> list[FrequencyGroup]:
    """Precision and recall of words by their frequency. Groups without a word in the references are left out.

    A word matches as often as it occurs in both the translation and the reference of a sentence.
    """
    ours, theirs, both = Counter[int](), Counter[int](), Counter[int]()
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        counts = Counter(hypothesis), Counter(reference)
        for total, found in zip((ours, theirs, both), (*counts, counts[0] & counts[1]), strict=True):
            for word, count in found.items():
                total[_find_group(FREQUENCIES, frequencies.get(word, 0))] += count
    return [
        FrequencyGroup(
            label=_label_group(FREQUENCIES, group), reference=theirs[group], hypothesis=ours[group], matched=both[group]
        )
        for group in sorted(theirs)
    ]


def count_words(lines: Iterable[Words]) -> Counter[str]:
    """How often each word occurs."""
    return Counter(itertools.chain.from_iterable(lines))


def count_repetitions(hypotheses: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[Repetition]:
    """Repeated n-grams that no reference has, from one word to MAX_REPEATED."""
    return [_count_size(size, hypotheses, references) for size in range(1, MAX_REPEATED + 1)]


def _count_size(size: int, hypotheses: Sequence[Words], references: Sequence[Sequence[Words]]) -> Repetition:
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


def compare_lengths(hypotheses: Sequence[Words], references: Sequence[Words]) -> Lengths:
    """The lengths of translations and of their references."""
    pairs = [(len(ours), len(theirs)) for ours, theirs in zip(hypotheses, references, strict=True)]
    return Lengths(
        hypothesis=sum(ours for ours, _ in pairs),
        reference=sum(theirs for _, theirs in pairs),
        short=sum(ours < SHORT_BELOW * theirs for ours, theirs in pairs),
    )


def compute_coverage(translation: Translation, tags: Collection[str] = ()) -> Coverage:
    """The attention to each source word of a translation whose attention is known (Tu et al. 2016 call the sum coverage).

    Source tokens in `tags` are not words.
    """
    indices = [index for index, token in enumerate(translation.source_tokens) if token not in tags]
    tokens = [translation.source_tokens[index] for index in indices]
    received = [sum(weights[index] for weights in translation.attention) for index in indices]
    names: list[str] = []
    attention: list[float] = []
    marked = any(token.startswith(_WORD_START) for token in tokens)  # otherwise each token is a word or a character
    for token, weight in zip(tokens, received, strict=True):
        if names and marked and not token.startswith(_WORD_START):
            names[-1], attention[-1] = names[-1] + token, attention[-1] + weight
        else:
            names.append(token.removeprefix(_WORD_START))
            attention.append(weight)
    return Coverage(words=tuple(names), attention=tuple(attention))


def rank_sentences(
    source: Sequence[str] | None,
    references: Sequence[Sequence[str]],
    hypotheses: Sequence[str],
    chrf: Metric,
    coverages: Sequence[Coverage] = (),
) -> list[Sentence]:
    """All sentences by sentence-level chrF, the worst first. Equal ones keep their order."""
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


def _find_group(minima: Sequence[int], value: int) -> int:
    """The index of the group of a value. Values below the first minimum belong to the first group."""
    return max(0, sum(minimum <= value for minimum in minima) - 1)


def _label_group(minima: Sequence[int], group: int) -> str:
    first = minima[group]
    if group + 1 == len(minima):
        return f"{first}+"
    last = minima[group + 1] - 1
    return str(first) if first == last else f"{first}–{last}"
