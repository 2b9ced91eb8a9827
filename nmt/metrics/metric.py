"""The base classes of metrics.

A `Measure` is any figure by which models are compared. It is either a `Metric` or the `Loss` of a network. A `Metric`
scores translations by comparison with human references. nmt/metrics/standard.py defines the metrics.
"""

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nmt.errors import DataError
from nmt.metrics.languages import choose_tokenizer, language_code
from nmt.system.texts import as_sets, as_texts

RESAMPLES, SEED = 1000, 12345  # the number of bootstrap resamples and the random seed, both as in sacreBLEU


class Measure:
    """A figure by which models are compared. Callers need no instance, because all methods are class methods."""

    name: ClassVar[str]
    """The name in options, configurations and metrics.jsonl, for example `bleu`."""
    title: ClassVar[str]
    """The name in tables and log lines, for example `BLEU`."""
    higher_is_better: ClassVar[bool] = True

    @classmethod
    def is_better(cls, figure: float, other: float) -> bool:
        """Return whether a figure is strictly better than another figure."""
        return figure > other if cls.higher_is_better else figure < other

    @classmethod
    def best(cls, figures: Iterable[float]) -> float:
        """Return the best of several figures."""
        return max(figures) if cls.higher_is_better else min(figures)

    @classmethod
    def format(cls, figure: float) -> str:
        """Format a figure with the number of digits that is usual for this measure."""
        return f"{figure:.2f}"

    @classmethod
    def describe(cls, figure: float) -> str:
        """Return the title and a figure for a message, for example `BLEU 34.20`."""
        return f"{cls.title} {cls.format(figure)}"


class Loss(Measure):
    """The cross entropy of the human translations, in nats per token."""

    name, title, higher_is_better = "loss", "loss", False

    @classmethod
    def format(cls, figure: float) -> str:
        return f"{figure:.4g}"


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """Options of metrics that split and compare text. A metric ignores the options that do not apply to it."""

    target_language: str = ""
    """The target language. BLEU has tokenizers for zh, ja and ko, and TER counts characters in zh and ja."""
    tokenize: str | None = None
    """The name of the sacreBLEU tokenizer that BLEU uses. The default is the tokenizer of the target language."""
    lowercase: bool = False
    """Whether to ignore case. TER always ignores case."""

    @staticmethod
    def for_training(target_language: str) -> "Scoring":
        """Return the options for validation and minimum risk training. They need no extra package.

        With these options, BLEU splits Japanese and Korean text into characters, because words would need an analyzer.
        """
        return Scoring(target_language=target_language, tokenize=choose_tokenizer(target_language, analyzers=False))


class Metric(Measure, ABC):
    """A metric that scores translations. Scores are percentages.

    A metric computes statistics of each sentence, for example the number of matching n-grams. The score of a corpus is
    a function of the sums of these statistics. The bootstrap therefore computes the statistics only once. For each
    resample, it only adds them up again.
    """

    needs_source: ClassVar[bool] = False
    """Whether the metric reads the source sentences."""
    segmentations: ClassVar[Mapping[str, str]] = {}
    """The languages in which the metric splits text in a special way. The keys are language codes, and each value is a
    name for the special way. In all other languages, the metric splits text at spaces and punctuation."""

    def __init__(self, scoring: Scoring | None = None) -> None:
        """Build the metric. The default options apply if `scoring` is None.

        Raises:
            ConfigError: an option has an unknown value.
            MachineError: an option needs a package or a file that is missing on this machine.
        """
        self.scoring = scoring or Scoring()

    @abstractmethod
    def statistics(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str | None]],
        sources: Sequence[str] | None = None,
    ) -> Sequence[Sequence[float]]:
        """Compute the statistics of each sentence.

        Args:
            hypotheses: one translation per sentence.
            references: one or more sets of human translations. Each set has an entry for each sentence. The entry is
                None if the set has no translation of the sentence.
            sources: the source sentences. Only metrics with `needs_source` read them.

        Returns:
            A row of statistics for each sentence, with shape (sentences, statistics).
        """

    @abstractmethod
    def score_sums(self, sums: Sequence[float]) -> float:
        """Compute the score of a corpus. `sums` contains the sum of each statistic over the sentences of the corpus."""

    @abstractmethod
    def signature(self, references: int, resamples: int | None = None) -> str:
        """Return the signature of a score, which lists all settings that are needed to reproduce the score.

        Args:
            references: the number of references per sentence, or -1 if this number varies.
            resamples: the number of bootstrap resamples, or None if the bootstrap was not used.
        """

    def score(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str | None]],
        sources: Sequence[str] | None = None,
    ) -> float:
        """Compute the score of a corpus. See `statistics` for the arguments. A single string is accepted as one text.

        Raises:
            DataError: the texts have different numbers of lines.
            TypeError: an argument or one of its items is not text. The message contains the position of the item.
        """
        texts = as_texts(hypotheses, "hypotheses")
        given: list[Any] = [references] if isinstance(references, str) else list(references)
        flat = all(isinstance(lines, str) for lines in given)
        sets: list[list[str | None]] = [list(lines) for lines in (as_sets(given, "references") if flat else given)]
        sources = None if sources is None else as_texts(sources, "sources")
        numbers = [len(lines) for lines in sets] + ([] if sources is None else [len(sources)])
        if any(number != len(texts) for number in numbers):
            counts = ", ".join(str(len(lines)) for lines in sets)
            raise DataError(
                f"{len(texts)} hypotheses but {counts} references; give a text for each sentence in each set"
            )
        return self.score_statistics(self.statistics(texts, sets, sources))

    def score_statistics(self, statistics: Sequence[Sequence[float]]) -> float:
        """Compute the score of a corpus from the statistics of its sentences."""
        # Add the numbers one by one, as sacreBLEU does. Since Python 3.12, `sum` rounds differently.
        return self.score_sums([functools.reduce(operator.add, column) for column in zip(*statistics, strict=True)])

    def score_sentence(self, hypothesis: str, references: Sequence[str], source: str | None = None) -> float:
        """Compute the score of one sentence. A single string is accepted as one reference."""
        references = as_texts(references, "references")
        sources = None if source is None else [source]
        return self.for_sentences.score([hypothesis], [[reference] for reference in references], sources)

    @property
    def for_sentences(self) -> "Metric":
        """The variant of this metric that is suitable for single sentences."""
        return self

    def cost(self, hypothesis: str, reference: str) -> float:
        """Compute the cost of one translation in minimum risk training.

        The cost ranges from 0 for a perfect score to 1 for the worst score.
        """
        score = self.score_sentence(hypothesis, [reference]) / 100
        return min(1.0, max(0.0, 1 - score if self.higher_is_better else score))

    @classmethod
    def segmentation(cls, target_language: str) -> str:
        """Return the name of the special way in which the metric splits text in a language, or "" for the usual way.

        Texts in two languages can be scored together only if this name is the same for both languages.
        """
        return cls.segmentations.get(language_code(target_language), "")
