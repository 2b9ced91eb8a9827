"""What a metric is.

`Measure` is any figure that says which of two models is better: a metric of translations or the loss of a network.
`Metric` scores translations against human references. The metrics themselves are in nmt/metrics/standard.py.
"""

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from nmt.metrics.languages import NEED_ANALYZERS, language_code

RESAMPLES, SEED = 1000, 12345  # of the bootstrap, as in sacreBLEU


class Measure:
    """A figure by which models are compared. It is used as a class; it has no instances."""

    name: ClassVar[str]
    """In options, configurations and metrics.jsonl: `bleu`."""
    title: ClassVar[str]
    """In tables and log lines: `BLEU`."""
    higher_is_better: ClassVar[bool] = True

    @classmethod
    def is_better(cls, figure: float, other: float) -> bool:
        """Whether a figure is strictly better than another one."""
        return figure > other if cls.higher_is_better else figure < other

    @classmethod
    def best(cls, figures: Iterable[float]) -> float:
        """The best of several figures."""
        return max(figures) if cls.higher_is_better else min(figures)

    @classmethod
    def format(cls, figure: float) -> str:
        """The figure with as many digits as are usually compared."""
        return f"{figure:.2f}"


class Loss(Measure):
    """The cross entropy of the human translations, in nats per token."""

    name, title, higher_is_better = "loss", "loss", False

    @classmethod
    def format(cls, figure: float) -> str:
        return f"{figure:.4g}"


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How metrics split and compare text. Each metric takes what concerns it."""

    target_language: str = ""
    """Its code. BLEU has tokenizers for zh, ja and ko; TER counts characters in zh and ja."""
    tokenize: str | None = None
    """sacreBLEU's tokenizer for BLEU. By default, the one of the target language."""
    lowercase: bool = False
    """Ignore case. TER always does."""

    @staticmethod
    def for_training(target_language: str) -> "Scoring":
        """Scoring that needs no other package, for validation and minimum risk training.

        BLEU splits languages that need an analyzer into characters.
        """
        characters = language_code(target_language) in NEED_ANALYZERS
        return Scoring(target_language=target_language, tokenize="char" if characters else None)


class Metric(Measure, ABC):
    """Scores translations. Scores are percentages.

    The score of a corpus is a function of sums over its sentences, so that scoring many resamples of them is cheap:
    a metric gives the statistics of each sentence once, and then the score of any sums of them.
    """

    needs_source: ClassVar[bool] = False
    """Whether it reads the source sentences."""
    segmentations: ClassVar[Mapping[str, str]] = {}
    """Language codes of which text is split otherwise than at spaces and punctuation, and how."""

    def __init__(self, scoring: Scoring | None = None) -> None:
        """Raises ConfigError or MachineError: this scoring is impossible, or impossible on this machine."""
        self.scoring = scoring or Scoring()

    @abstractmethod
    def statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str] | None = None
    ) -> Sequence[Sequence[float]]:
        """The statistics of each sentence: (sentences, statistics).

        Args:
            hypotheses: one translation per sentence.
            references: one or more sets of human translations, each as long as `hypotheses`.
            sources: the source sentences, for metrics that need them.
        """

    @abstractmethod
    def score_sums(self, sums: Sequence[float]) -> float:
        """The score of a corpus, given its statistics summed over the sentences."""

    @abstractmethod
    def signature(self, references: int, resamples: int | None = None) -> str:
        """Everything that others need to compute the same score.

        Args:
            references: how many each sentence has.
            resamples: of the bootstrap, if there was one.
        """

    def score(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str] | None = None
    ) -> float:
        """The score of a corpus. For the arguments see `statistics`."""
        return self.score_statistics(self.statistics(hypotheses, references, sources))

    def score_statistics(self, statistics: Sequence[Sequence[float]]) -> float:
        """The score of a corpus, given the statistics of its sentences."""
        # Term by term, as in sacreBLEU: from Python 3.12 on, sum() rounds differently.
        return self.score_sums([functools.reduce(operator.add, column) for column in zip(*statistics, strict=True)])

    def score_sentence(self, hypothesis: str, references: Sequence[str], source: str | None = None) -> float:
        """The score of one sentence."""
        sources = None if source is None else [source]
        return self.for_sentences.score([hypothesis], [[reference] for reference in references], sources)

    @property
    def for_sentences(self) -> "Metric":
        """The variant of this metric that suits single sentences."""
        return self

    def cost(self, hypothesis: str, reference: str) -> float:
        """What one sentence lacks of a perfect score, from 0 to 1: the cost in minimum risk training."""
        score = self.score_sentence(hypothesis, [reference]) / 100
        return min(1.0, max(0.0, 1 - score if self.higher_is_better else score))

    @classmethod
    def segmentation(cls, target_language: str) -> str:
        """How text in this language is split. Languages in which this differs cannot be scored together."""
        return cls.segmentations.get(language_code(target_language), "")
