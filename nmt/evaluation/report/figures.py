"""Functions that compute the figures of a report. Other modules draw them.

BLEU's tokenizer splits text into words. If there are several sets of references, the lengths and words of translations
are compared only with the first set.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nmt.metrics.metric import Metric
from nmt.metrics.standard import BLEU
from nmt.translation.request import Translation

LENGTHS = (1, 6, 11, 16, 21, 31, 41, 61)  # the smallest sentence length of each group, in words
FREQUENCIES = (0, 1, 2, 3, 5, 10, 100, 1000)  # the smallest word frequency of each group
SHORT_BELOW = 0.7  # a translation is short, and perhaps incomplete, below this fraction of the reference's length
NEGLECTED_BELOW = 0.2  # a source word that receives less attention in all than this is perhaps untranslated
MAX_REPEATED_WORDS = 4  # the largest number of words in a repeated n-gram
_WORD_START = "▁"  # SentencePiece's mark at the start of a word

Words = list[str]


@dataclass(frozen=True, kw_only=True)
class LengthGroup:
    """A group of sentences whose references have about the same length, and the scores of the group."""

    label: str
    """The range of the numbers of words in the references, for example 6–10."""
    sentences: int
    bleu: float
    chrf: float


@dataclass(frozen=True, kw_only=True)
class FrequencyGroup:
    """A group of words that are about equally frequent, and counts of the occurrences of these words."""

    label: str
    """The range of the frequencies of the words, for example 5–9."""
    reference: int
    """The number of occurrences in the references, at least 1."""
    hypothesis: int
    """The number of occurrences in the translations."""
    matched: int
    """The number of matches: occurrences in a translation that are also in the reference of the same sentence."""

    @property
    def precision(self) -> float:
        return self.matched / self.hypothesis if self.hypothesis else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.reference

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, from 0 to 1."""
        return 2 * self.matched / (self.hypothesis + self.reference)


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """Counts of repetitions of n-grams of one size.

    A repetition is an n-gram that a translation contains more than once and more often than any reference.
    """

    size: int
    """The number of words in an n-gram."""
    surplus: int
    """The number of surplus occurrences of n-grams. A translation can contain an n-gram once, or as often as the
    reference with the most occurrences. All further occurrences are surplus."""
    total: int
    """The number of all n-grams of this size in the translations."""
    sentences: int
    """The number of translations with at least one repetition."""


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The total lengths of translations and of their first references."""

    hypothesis: int
    """The number of words in all translations."""
    reference: int
    """The number of words in the first set of references."""
    short: int
    """The number of short translations, with less than SHORT_BELOW times the number of words of the reference."""

    @property
    def ratio(self) -> float:
        return self.hypothesis / self.reference if self.reference else 0.0


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The attention to each word of a source sentence, summed over the tokens of its translation."""

    words: tuple[str, ...]
    attention: tuple[float, ...]

    def neglected(self) -> list[str]:
        """Return the words that receive less attention than NEGLECTED_BELOW.

        Words without letters or digits are ignored.
        """
        pairs = zip(self.words, self.attention, strict=True)
        return [word for word, weight in pairs if weight < NEGLECTED_BELOW and any(map(str.isalnum, word))]


@dataclass(frozen=True, kw_only=True)
class ScoredSentence:
    """A sentence with its references, its translation and the score of the translation."""

    number: int
    """The line number, starting from 1."""
    chrf: float
    source: str | None
    references: tuple[str, ...]
    hypothesis: str
    neglected: tuple[str, ...] = ()
    """The source words with little attention. The tuple is empty if the attention is not known."""


def group_by_length(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], bleu: BLEU, chrf: Metric
) -> list[LengthGroup]:
    """Group sentences by the number of words in the first reference, and score each group. Empty groups are omitted."""
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
    """Group words by frequency, and count how many words of each group match the references.

    If a word occurs m times in a translation and n times in the reference, it has min(m, n) matches. Groups without
    a word in the references are omitted.

    Args:
        hypotheses: the words of each translation.
        references: the words of each reference.
        frequencies: the frequency of each word. All other words have frequency 0.
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
    """Count the occurrences of each word."""
    return Counter(itertools.chain.from_iterable(lines))


def count_repetitions(hypotheses: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[Repetition]:
    """Count the repetitions of n-grams of 1 to MAX_REPEATED_WORDS. See `Repetition` for the meaning of the counts.

    Args:
        hypotheses: the words of each translation.
        references: the words of each reference, in one or more sets.
    """
    repetitions = []
    for size in range(1, MAX_REPEATED_WORDS + 1):
        surplus, total = [], 0
        for hypothesis, *others in zip(hypotheses, *references, strict=True):
            counts = Counter(_ngrams(hypothesis, size))
            allowed = [Counter(_ngrams(other, size)) for other in others]
            surplus.append(
                sum(max(0, count - max(1, *(each[ngram] for each in allowed))) for ngram, count in counts.items())
            )
            total += counts.total()
        sentences = sum(count > 0 for count in surplus)
        repetitions.append(Repetition(size=size, surplus=sum(surplus), total=total, sentences=sentences))
    return repetitions


def _ngrams(words: Words, size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(size)), strict=False)


def compare_lengths(hypotheses: Sequence[Words], references: Sequence[Words]) -> Lengths:
    """Compare the lengths of translations with the lengths of their references."""
    pairs = [(len(ours), len(theirs)) for ours, theirs in zip(hypotheses, references, strict=True)]
    return Lengths(
        hypothesis=sum(ours for ours, _ in pairs),
        reference=sum(theirs for _, theirs in pairs),
        short=sum(ours < SHORT_BELOW * theirs for ours, theirs in pairs),
    )


def compute_coverage(translation: Translation, tags: Collection[str] = ()) -> Coverage:
    """Sum the attention to each source word over the tokens of a translation. Tu et al. 2016 call this sum coverage.

    Args:
        translation: a translation with its attention.
        tags: the source tokens that are tags and not words of the text. They are ignored.
    """
    indices = [index for index, token in enumerate(translation.source_tokens) if token not in tags]
    tokens = [translation.source_tokens[index] for index in indices]
    received = [sum(weights[index] for weights in translation.attention) for index in indices]
    names: list[str] = []
    attention: list[float] = []
    marked = any(token.startswith(_WORD_START) for token in tokens)  # False if tokens are whole words or characters
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
) -> list[ScoredSentence]:
    """Sort sentences by sentence-level chrF, lowest first. Sentences with equal scores keep their order."""
    sentences = []
    for index, (hypothesis, *others) in enumerate(zip(hypotheses, *references, strict=True)):
        sentence = ScoredSentence(
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
    """Return the index of the group of a value. Values below the first minimum belong to the first group."""
    return max(0, sum(minimum <= value for minimum in minima) - 1)


def _label_group(minima: Sequence[int], group: int) -> str:
    first = minima[group]
    if group + 1 == len(minima):
        return f"{first}+"
    last = minima[group + 1] - 1
    return str(first) if first == last else f"{first}–{last}"
