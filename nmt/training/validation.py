"""Validation: a network judged by its loss and by the BLEU of its translations of the validation corpora."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from statistics import mean

import torch

from nmt.checkpoint.folder import Model
from nmt.config.schema import Config, CorpusConfig
from nmt.data.batching import make_text_batches
from nmt.data.pair import Pair, encode_pairs
from nmt.data.readers import describe, read_corpora
from nmt.errors import DataError
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import BLEU, METRICS
from nmt.model.seq2seq import Seq2Seq
from nmt.search.options import SearchOptions
from nmt.system.machine import autocast_dtype
from nmt.tokenizers.base import Tokenizers
from nmt.training.distributed import ALONE, Processes
from nmt.training.trainer import Validate
from nmt.translation.translator import Translator


@dataclass(frozen=True, kw_only=True)
class ValidationSet:
    """Pairs that are translated alike, and scored together."""

    name: str
    pairs: list[Pair]
    to: str
    """The target language."""
    tag: str | None

    @property
    def sources(self) -> list[str]:
        return [pair.source for pair in self.pairs]

    @property
    def references(self) -> list[str]:
        return [pair.target for pair in self.pairs]

    def score(self, metric: str, hypotheses: Sequence[str]) -> float:
        """The score of translations of the sources by a metric, named as in `METRICS`."""
        return METRICS[metric](Scoring.for_training(self.to)).score(hypotheses, [self.references], self.sources)


def validation_sets(config: Config) -> list[ValidationSet]:
    """The validation corpora: all in one set, or one each where they differ in target language or tag.

    Raises:
        DataError: a set holds no pair.
    """
    data = config.data
    kinds = {(data.languages(corpus)[1], corpus.tag) for corpus in data.valid}
    groups = [(corpus,) for corpus in data.valid] if len(kinds) > 1 else [data.valid]
    return [_validation_set(config, group) for group in groups]


def _validation_set(config: Config, corpora: tuple[CorpusConfig, ...]) -> ValidationSet:
    pairs = list(islice(read_corpora(corpora, config.data), config.validation.sentences))
    if not pairs:
        raise DataError("data.valid: the corpora hold no pair; name files with text in them")
    _, to = config.data.languages(corpora[0])
    return ValidationSet(name=describe(corpora[0]), pairs=pairs, to=to, tag=corpora[0].tag)


def translations(
    model: Model, sets: Sequence[ValidationSet], options: SearchOptions, own: slice = slice(None)
) -> list[list[str]]:
    """The model's translations of each set, or of some sentences of each."""
    translator = Translator([model])
    return [translator.translate(each.sources[own], options, to=each.to, tag=each.tag) for each in sets]


def scores(
    sets: Sequence[ValidationSet], hypotheses: Sequence[Sequence[str]], metrics: Sequence[str] = (BLEU.name,)
) -> dict[str, float]:
    """The scores of translations of each set by each metric.

    `bleu` is the mean over the sets. Where there are several, `bleu NAME` is the score of the set called NAME.
    """
    figures = {}
    for metric in metrics:
        each = [part.score(metric, lines) for part, lines in zip(sets, hypotheses, strict=True)]
        figures[metric] = mean(each)
        if len(sets) > 1:
            figures |= {f"{metric} {part.name}": score for part, score in zip(sets, each, strict=True)}
    return figures


def validation(config: Config, tokenizers: Tokenizers, device: torch.device, processes: Processes = ALONE) -> Validate:
    """A function that judges a network on the validation corpora: loss per piece, perplexity and BLEU.

    The loss is over pairs of at most data.max_length pieces a side, the BLEU over all.

    Each process takes its share of the pairs, and all get the same figures.

    Raises:
        DataError: the validation corpora hold no pair.
    """
    sets = processes.once(lambda: validation_sets(config))
    own = slice(processes.world.rank, None, processes.world.size)
    pairs = _short(sets, tokenizers, config.data.max_length)
    batches = list(make_text_batches(pairs[own], tokenizers, config.training.batch_tokens))
    dtype = autocast_dtype(config.training.precision, device)
    options = SearchOptions(beam=config.validation.beam)
    # BLEU is always reported. The loss is no metric of translations.
    metrics = [name for name in dict.fromkeys((BLEU.name, config.validation.metric)) if name in METRICS]

    @torch.inference_mode()
    def loss(network: Seq2Seq) -> tuple[float, int]:
        total = 0.0
        for batch in (batch.to(device) for batch in batches):
            with torch.autocast(device.type, dtype, enabled=dtype is not None):
                total += float(network(batch))
        return total, sum(batch.target_tokens for batch in batches)

    def figures(parts: list[tuple[tuple[float, int], list[list[str]]]]) -> dict[str, float]:
        losses, hypotheses = zip(*parts, strict=True)
        value = sum(total for total, _ in losses) / sum(pieces for _, pieces in losses)
        lines = [_in_turn(shares) for shares in zip(*hypotheses, strict=True)]
        scored = scores(sets, lines, metrics)
        return {"loss": value, "perplexity": float(torch.tensor(value).exp()), **scored}

    def judge(network: Seq2Seq) -> dict[str, float]:
        model = Model(network=network, tokenizers=tokenizers, config=config, name="validation")
        parts = processes.gather((loss(network), translations(model, sets, options, own)))
        return processes.once(lambda: figures(parts))

    return judge


def _short(sets: Sequence[ValidationSet], tokenizers: Tokenizers, longest: int) -> list[Pair]:
    """The pairs that the loss is over: as in training, a longer one might not fit into memory. All, if all are long."""
    pairs = [pair for each in sets for pair in each.pairs]
    sides = zip(*encode_pairs(pairs, tokenizers), strict=True)
    return [pair for pair, side in zip(pairs, sides, strict=True) if max(map(len, side)) <= longest] or pairs


def _in_turn(shares: Sequence[list[str]]) -> list[str]:
    """Lines of which each process has every Nth."""
    return [line for turn in zip_longest(*shares) for line in turn if line is not None]
