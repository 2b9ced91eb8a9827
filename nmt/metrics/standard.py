"""The metrics that people report: BLEU, chrF, chrF++ and TER, all computed by sacreBLEU (Post 2018).

To add a metric, derive a class from `Metric` and list it in `METRICS`. `nmt-evaluate --metrics`, `validation.metric` and
`training.risk_cost` then know it.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from nmt.errors import ConfigError, MachineError
from nmt.metrics.languages import NEED_ANALYZERS, language_code
from nmt.metrics.metric import SEED, Loss, Measure, Metric, Scoring
from nmt.system.files import reason

if TYPE_CHECKING:
    import sacrebleu  # at run time where it is used: it takes 0.2 s, and configurations only need the names of metrics


class SacrebleuMetric(Metric):
    """A metric that sacreBLEU computes.

    sacreBLEU's own bootstrap calls the methods of its scorers that begin with an underscore; so does this class.
    """

    def __init__(self, scoring: Scoring | None = None) -> None:
        super().__init__(scoring)
        self.scorer: Any = self.build_scorer()

    @abstractmethod
    def build_scorer(self) -> "sacrebleu.metrics.base.Metric":
        """The object of sacreBLEU that does the work."""

    def statistics(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        sources: Sequence[str] | None = None,  # noqa: ARG002 (these metrics compare with the references alone)
    ) -> Sequence[Sequence[float]]:
        rows: list[list[float]] = self.scorer._extract_corpus_statistics(hypotheses, references)
        return rows

    def score_sums(self, sums: Sequence[float]) -> float:
        score: float = self.scorer._compute_score_from_stats(sums).score  # in the precision of the sums
        return score

    def signature(self, references: int, resamples: int | None = None) -> str:
        self.scorer.num_refs = references
        signature = self.scorer.get_signature()
        if resamples is not None:
            signature.update("bs", resamples)
            signature.update("seed", SEED)
        return str(signature)


class BLEU(SacrebleuMetric):
    """Precision of n-grams, with a brevity penalty (Papineni et al. 2002)."""

    name, title = "bleu", "BLEU"
    segmentations: ClassVar = {"zh": "zh", **dict.fromkeys(NEED_ANALYZERS, "char")}

    def __init__(self, scoring: Scoring | None = None, *, effective_order: bool = False) -> None:
        """`effective_order`: count no n-grams longer than the text."""
        self.effective_order = effective_order
        super().__init__(scoring)

    def build_scorer(self) -> "sacrebleu.BLEU":
        import sacrebleu

        tokenize, language = self.scoring.tokenize, self.scoring.target_language
        if tokenize is not None and tokenize not in sacrebleu.BLEU.TOKENIZERS:
            choices = ", ".join(sacrebleu.BLEU.TOKENIZERS)
            raise ConfigError(f"{tokenize}: sacrebleu has no such tokenizer; choose from {choices}")
        try:
            return sacrebleu.BLEU(
                lowercase=self.scoring.lowercase,
                tokenize=tokenize,
                trg_lang=language_code(language),
                effective_order=self.effective_order,
            )
        except RuntimeError as error:  # what sacrebleu raises without MeCab
            extra = tokenize.split("-")[0] if tokenize else language
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
        """Without n-grams that are longer than the sentence: they would make every short sentence score nearly 0."""
        return BLEU(self.scoring, effective_order=True)

    def words(self, line: str) -> list[str]:
        """The words that the tokenizer splits a line into."""
        text = line.lower() if self.scoring.lowercase else line
        return list(self.scorer.tokenizer(text.rstrip()).split())


class ChrF(SacrebleuMetric):
    """F-score of character n-grams, in which recall counts twice as much as precision (Popović 2015)."""

    name, title = "chrf", "chrF2"
    word_order = 0

    def build_scorer(self) -> "sacrebleu.CHRF":
        import sacrebleu

        return sacrebleu.CHRF(lowercase=self.scoring.lowercase, word_order=self.word_order)


class ChrFPlusPlus(ChrF):
    """chrF that counts words and pairs of words too (Popović 2017)."""

    name, title = "chrf++", "chrF2++"
    word_order = 2


class TER(SacrebleuMetric):
    """Edits, shifts of phrases among them, per word of the reference (Snover et al. 2006). It can exceed 100."""

    name, title, higher_is_better = "ter", "TER", False
    segmentations: ClassVar = {"zh": "characters", "ja": "characters"}  # between spaces there is a whole sentence

    def build_scorer(self) -> "sacrebleu.TER":
        import sacrebleu

        characters = bool(self.segmentation(self.scoring.target_language))
        return sacrebleu.TER(normalized=characters, asian_support=characters)


METRICS: dict[str, type[Metric]] = {metric.name: metric for metric in (BLEU, ChrF, ChrFPlusPlus, TER)}
"""Every metric of translations by its name."""

COSTS = tuple(name for name, metric in METRICS.items() if not metric.needs_source)
"""Metrics that can be the cost of a sentence in minimum risk training, which knows no source text."""

DEFAULT_METRICS = (BLEU.name, ChrF.name, TER.name)
"""What `nmt-evaluate` reports by default."""

MEASURES: dict[str, type[Measure]] = {**METRICS, Loss.name: Loss}
"""Everything that can choose the best checkpoint."""


def build_metric(name: str, scoring: Scoring | None = None) -> Metric:
    """A metric by its name.

    Raises:
        ConfigError: the metric or the tokenizer is unknown.
        MachineError: BLEU's tokenizer needs a package or a file that is missing.
    """
    if name not in METRICS:
        raise ConfigError(f"{name}: no such metric; choose from {', '.join(METRICS)}")
    return METRICS[name](scoring)
