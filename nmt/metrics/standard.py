"""The standard metrics BLEU, chrF, chrF++ and TER. sacreBLEU (Post 2018) computes all of them.

To add a metric, derive a class from `Metric` and list the class in `METRICS`. The option `nmt-evaluate --metrics` and
the keys `validation.metric` and `training.risk_cost` then accept the name of the metric.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from nmt.errors import ConfigError, MachineError
from nmt.metrics.languages import NEED_ANALYZERS, WITHOUT_WORDS, choose_tokenizer
from nmt.metrics.metric import SEED, Loss, Measure, Metric, Scoring
from nmt.system.files import reason

if TYPE_CHECKING:
    import sacrebleu  # the import takes 0.2 s, so each function that needs sacrebleu imports it


class SacrebleuMetric(Metric):
    """A metric that sacreBLEU computes.

    This class calls private methods of sacreBLEU's metrics. sacreBLEU's own bootstrap calls the same methods.
    """

    def __init__(self, scoring: Scoring | None = None) -> None:
        super().__init__(scoring)
        self.scorer: Any = self.build_scorer()

    @abstractmethod
    def build_scorer(self) -> "sacrebleu.metrics.base.Metric":
        """Build the sacreBLEU object that computes the metric."""

    def statistics(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str | None]],
        sources: Sequence[str] | None = None,  # noqa: ARG002 (these metrics read only the references)
    ) -> Sequence[Sequence[float]]:
        rows: list[list[float]] = self.scorer._extract_corpus_statistics(hypotheses, references)
        return rows

    def score_sums(self, sums: Sequence[float]) -> float:
        score: float = self.scorer._compute_score_from_stats(sums).score  # in the precision of `sums`
        return score

    def signature(self, references: int, resamples: int | None = None) -> str:
        self.scorer.num_refs = references
        signature = self.scorer.get_signature()
        if resamples is not None:
            signature.update("bs", resamples)
            signature.update("seed", SEED)
        return str(signature)


class BLEU(SacrebleuMetric):
    """The metric BLEU: the precision of n-grams, with a penalty for short translations (Papineni et al. 2002)."""

    name, title = "bleu", "BLEU"
    segmentations: ClassVar = {"zh": "zh", **dict.fromkeys(NEED_ANALYZERS | WITHOUT_WORDS, "char")}

    def __init__(self, scoring: Scoring | None = None, *, effective_order: bool = False) -> None:
        """Build the metric. `effective_order` ignores n-grams that are longer than the text."""
        self.effective_order = effective_order
        super().__init__(scoring)

    def build_scorer(self) -> "sacrebleu.BLEU":
        import sacrebleu

        tokenize = self.scoring.tokenize or choose_tokenizer(self.scoring.target_language)
        if tokenize not in sacrebleu.BLEU.TOKENIZERS:
            choices = ", ".join(sacrebleu.BLEU.TOKENIZERS)
            raise ConfigError(f"{tokenize}: sacrebleu has no such tokenizer; choose from {choices}")
        try:
            return sacrebleu.BLEU(
                lowercase=self.scoring.lowercase,
                tokenize=tokenize,
                effective_order=self.effective_order,
            )
        except RuntimeError as error:  # sacrebleu raises this error if MeCab is missing
            extra = tokenize.removesuffix("-mecab")
            raise MachineError(
                f"the BLEU tokenizer of {extra} needs a package: pip install 'sacrebleu[{extra}]'; or choose another, "
                "--tokenize char for example"
            ) from error
        except (OSError, SystemExit) as error:
            raise MachineError(
                f"the BLEU tokenizer {tokenize} cannot be downloaded ({reason(error)}); check the network, "
                "or choose another, --tokenize char for example"
            ) from error

    @cached_property
    def for_sentences(self) -> "BLEU":
        """The variant that ignores n-grams longer than the text. With them, every short sentence scores nearly 0."""
        return BLEU(self.scoring, effective_order=True)

    def words(self, line: str) -> list[str]:
        """Split a line into words with BLEU's tokenizer."""
        text = line.lower() if self.scoring.lowercase else line
        return list(self.scorer.tokenizer(text.rstrip()).split())


class ChrF(SacrebleuMetric):
    """The metric chrF2: the F-score of character n-grams with β = 2, so that recall counts more (Popović 2015)."""

    name, title = "chrf", "chrF2"
    word_order = 0

    def build_scorer(self) -> "sacrebleu.CHRF":
        import sacrebleu

        return sacrebleu.CHRF(lowercase=self.scoring.lowercase, word_order=self.word_order)


class ChrFPlusPlus(ChrF):
    """The metric chrF++. It compares words and pairs of words in addition to character n-grams (Popović 2017)."""

    name, title = "chrf++", "chrF2++"
    word_order = 2


class TER(SacrebleuMetric):
    """The metric TER: the number of edits per reference word (Snover et al. 2006). A shift of a phrase is one edit.

    TER can exceed 100 %.
    """

    name, title, higher_is_better = "ter", "TER", False
    segmentations: ClassVar = {"zh": "characters", "ja": "characters"}  # these languages have no spaces between words

    def build_scorer(self) -> "sacrebleu.TER":
        import sacrebleu

        characters = bool(self.segmentation(self.scoring.target_language))
        return sacrebleu.TER(normalized=characters, asian_support=characters)


class Auto(Measure):
    """The measure that chooses checkpoints by default: BLEU if it is at least 10, and chrF2 otherwise.

    A low BLEU counts few n-grams of three and four words, so it depends on a handful of sentences. chrF2 then orders
    checkpoints better. For languages that BLEU scores by characters, chrF2 always decides.

    A single figure orders all checkpoints: BLEU, or a tenth of chrF2. A tenth of chrF2 is below 10, so every checkpoint
    with a BLEU of at least 10 is better than all other checkpoints.
    """

    name, title = "auto", "BLEU or chrF2"
    least_bleu: ClassVar[float] = 10.0

    @classmethod
    def combine(cls, bleu: float, chrf: float, *, by_characters: bool) -> float:
        """Compute the figure of a checkpoint from its BLEU and its chrF2, both in percent.

        Args:
            bleu: the BLEU of the checkpoint.
            chrf: the chrF2 of the checkpoint.
            by_characters: whether BLEU scores one of the target languages by characters.
        """
        if bleu >= cls.least_bleu and not by_characters:
            return bleu
        return min(chrf / 10, math.nextafter(cls.least_bleu, 0))  # even a perfect chrF2 stays below a BLEU of 10

    @classmethod
    def describe(cls, figure: float) -> str:
        """Return the name and the value of the metric that the figure was computed from."""
        return BLEU.describe(figure) if figure >= cls.least_bleu else ChrF.describe(10 * figure)


METRICS: dict[str, type[Metric]] = {metric.name: metric for metric in (BLEU, ChrF, ChrFPlusPlus, TER)}
"""All metrics, by name."""

COSTS = tuple(name for name, metric in METRICS.items() if not metric.needs_source)
"""The names of the metrics that can be the cost in minimum risk training. The source text is not available there."""

DEFAULT_METRICS = (BLEU.name, ChrF.name, TER.name)
"""The names of the metrics that `nmt-evaluate` reports by default."""

MEASURES: dict[str, type[Measure]] = {Auto.name: Auto, **METRICS, Loss.name: Loss}
"""All measures by which training can choose the best checkpoint, by name."""


def build_metric(name: str, scoring: Scoring | None = None) -> Metric:
    """Build the metric with this name.

    Raises:
        ConfigError: the name of the metric or the tokenizer in `scoring` is unknown.
        MachineError: BLEU's tokenizer needs a package or a file that is missing.
    """
    if name not in METRICS:
        raise ConfigError(f"{name}: no such metric; choose from {', '.join(METRICS)}")
    return METRICS[name](scoring)
