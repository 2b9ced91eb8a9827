"""The evaluation of a model on several sets side by side, to compare domains."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from nmt.data.known_words import KnownWords
from nmt.errors import ConfigError
from nmt.evaluation.report.figures import compare_lengths
from nmt.evaluation.scores import Evaluation, check_lengths
from nmt.evaluation.test_sets import Text, read_text
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import BLEU
from nmt.tokenizers.normalization import Normalizer

_FORM = re.compile(r"(?P<name>[\w-]+)=(?P<source>[^,]+),(?P<reference>[^,]+)")


@dataclass(frozen=True, kw_only=True)
class NamedSet:
    """A source text and its human translations, with a name."""

    name: str
    source: Text
    reference: Text

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the files that a text of the form NAME=SOURCE,REFERENCE names.

        Raises:
            ConfigError: the text has another form.
            DataError: a file cannot be read, or the files differ in their numbers of lines.
        """
        match = _FORM.fullmatch(text)
        if not match:
            raise ConfigError(f"--set {text}: must be NAME=SOURCE,REFERENCE; NAME has letters, digits, - and _")
        source, reference = read_text(match["source"]), read_text(match["reference"])
        check_lengths([source, reference])
        return cls(name=match["name"], source=source, reference=reference)


def read_sets(texts: Sequence[str]) -> list[NamedSet]:
    """Read several sets as `NamedSet.read` does. Raises ConfigError also if two sets have the same name."""
    sets = [NamedSet.read(text) for text in texts]
    names = [each.name for each in sets]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"--set {repeated}: given twice; give each set its own name")
    return sets


@dataclass(frozen=True, kw_only=True)
class SetScores:
    """The scores of a model on a set, and figures that help to explain them."""

    name: str
    evaluation: Evaluation
    unseen: float | None
    """The share of the source words that the training text does not have. It is None if the model does not store its
    words."""
    length_ratio: float
    """The number of words of the translations, divided by the number of words of the references."""


def describe_set(
    each: NamedSet,
    evaluation: Evaluation,
    hypotheses: Sequence[str],
    *,
    scoring: Scoring,
    known: KnownWords | None,
    source_language: str,
    normalizer: Normalizer,
) -> SetScores:
    """Compute the figures of a set that has been translated and scored.

    Args:
        each: the set.
        evaluation: its scores.
        hypotheses: its translations.
        scoring: the options of BLEU, whose tokenizer finds the words of the translations and references.
        known: the source words of the training text, or None.
        source_language: the source language.
        normalizer: the normalizer of the source side.
    """
    bleu, unseen = BLEU(scoring), None
    lengths = compare_lengths([bleu.words(line) for line in hypotheses], [*map(bleu.words, each.reference.lines)])
    if known:
        count, total = known.count_unknown([*map(normalizer.normalize, each.source.lines)], source_language)
        unseen = count / max(1, total)
    return SetScores(name=each.name, evaluation=evaluation, unseen=unseen, length_ratio=lengths.ratio)
