"""Validation. It computes the loss of a network on the validation corpora, and the scores of its translations."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import mean

import torch

from nmt.checkpoint.folder import Model
from nmt.config.schema import Config
from nmt.data.batching import make_text_batches
from nmt.data.pair import Pair, encode_pairs, normalize_pairs
from nmt.data.readers import describe_corpus, read_corpora
from nmt.errors import DataError
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import BLEU, METRICS, Auto, ChrF
from nmt.model.seq2seq import Seq2Seq, real_targets
from nmt.search.options import SearchOptions
from nmt.system.devices import autocast_dtype
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.normalization import Normalizers
from nmt.training.distributed import ALONE, Processes
from nmt.training.objective import cross_entropy_loss
from nmt.translation.translator import Translator

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ValidationSet:
    """Validation pairs with the same target language and tag. Their translations are scored together."""

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
        """Score translations of the sources. `metric` is the name of a metric in `METRICS`."""
        return METRICS[metric](Scoring.for_training(self.to)).score(hypotheses, [self.references], self.sources)


@dataclass(frozen=True, kw_only=True)
class Share:
    """The results of one process for its share of the validation pairs."""

    loss: float
    """The cross entropy of the references, summed over their tokens, in nats."""
    tokens: int
    hypotheses: list[list[str]]
    """The translations of each set."""


class Validator:
    """A function object that evaluates networks on the validation corpora.

    As in training, the loss includes only pairs with at most `data.max_length` tokens on each side, because longer
    pairs might not fit into memory. The scores include all pairs. If there are N processes, each process evaluates
    every Nth pair. All processes return the same results.
    """

    def __init__(
        self, config: Config, tokenizers: Tokenizers, device: torch.device, processes: Processes = ALONE
    ) -> None:
        """Read the validation corpora. Raises DataError: a validation set has no pairs."""
        self.config, self.tokenizers, self.device, self.processes = config, tokenizers, device, processes
        self.sets = processes.once(lambda: read_validation_sets(config, tokenizers.normalizers))
        self.own = slice(processes.world.rank, None, processes.world.size)
        pairs = [pair for part in self.sets for pair in part.pairs]
        sides = zip(*encode_pairs(pairs, tokenizers), strict=True)
        short = [pair for pair, side in zip(pairs, sides, strict=True) if max(map(len, side)) <= config.data.max_length]
        pairs = short or pairs  # if every pair is too long, the loss includes all pairs
        self.batches = list(make_text_batches(pairs[self.own], tokenizers, config.training.batch_tokens))
        # BLEU is always reported. If the loss chooses the best checkpoint, no other metric is needed.
        metric = config.validation.metric
        names = dict.fromkeys((BLEU.name, ChrF.name if metric == Auto.name else metric))
        self.metrics = [name for name in names if name in METRICS]
        self.by_characters = any(BLEU.segmentation(part.to) for part in self.sets)

    def __call__(self, network: Seq2Seq) -> dict[str, float]:
        """Evaluate a network.

        Returns:
            The `loss` per target token in nats, the `perplexity`, and the scores of `score_sets`, by name. If
            `validation.metric` is `auto`, the result also contains the value of the measure `Auto`.
        """
        share = self.judge_share(network)
        shares = self.processes.gather(share)
        return self.processes.once(lambda: self._combine(shares))

    def judge_share(self, network: Seq2Seq) -> Share:
        """Compute the loss and the translations of the pairs of this process."""
        dtype, loss = autocast_dtype(self.config.training.precision, self.device), 0.0
        for batch in (batch.to(self.device) for batch in self.batches):
            with torch.inference_mode(), torch.autocast(self.device.type, dtype, enabled=dtype is not None):
                loss += float(cross_entropy_loss(network, network(batch), real_targets(batch)))
        model = Model(network=network, tokenizers=self.tokenizers, config=self.config, name="validation")
        options = SearchOptions(beam=self.config.validation.beam)
        return Share(
            loss=loss,
            tokens=sum(batch.target_tokens for batch in self.batches),
            hypotheses=translate_sets(model, self.sets, options, self.own),
        )

    def _combine(self, shares: Sequence[Share]) -> dict[str, float]:
        loss = sum(share.loss for share in shares) / sum(share.tokens for share in shares)
        # Each of N processes has translated every Nth line of a set.
        hypotheses = [
            [line for turn in zip_longest(*parts) for line in turn if line is not None]
            for parts in zip(*(share.hypotheses for share in shares), strict=True)
        ]
        perplexity = float(torch.tensor(loss).exp())  # infinite where math.exp would raise OverflowError
        scores = score_sets(self.sets, hypotheses, self.metrics)
        if self.config.validation.metric == Auto.name:
            bleu, chrf = scores[BLEU.name], scores[ChrF.name]
            scores[Auto.name] = Auto.combine(bleu, chrf, by_characters=self.by_characters)
        return {"loss": loss, "perplexity": perplexity, **scores}


def read_validation_sets(config: Config, normalizers: Normalizers) -> list[ValidationSet]:
    """Read and normalize the validation corpora.

    If all corpora have the same target language and tag, they form one set. Otherwise, each corpus is a set.

    Raises:
        DataError: a set has no pairs.
    """
    data, sets = config.data, []
    kinds = {(data.languages(corpus)[1], corpus.tag) for corpus in data.valid}
    groups = [(corpus,) for corpus in data.valid] if len(kinds) > 1 else [data.valid]
    for corpora in groups:
        # A pair with an empty side cannot be scored. Both sides of a pair that is too long to be read are empty.
        pairs, incomplete = list[Pair](), 0
        for pair in normalize_pairs(read_corpora(corpora, data), normalizers):
            if len(pairs) == config.validation.sentences:
                break
            if pair.source.strip() and pair.target.strip():
                pairs.append(pair)
            else:
                incomplete += 1
        if incomplete:
            logger.warning("data.valid: %d pairs with an empty or too long side are left out", incomplete)
        if not pairs:
            raise DataError("data.valid: the corpora contain no sentence pairs; name files that contain text")
        _, to = data.languages(corpora[0])
        sets.append(ValidationSet(name=describe_corpus(corpora[0]), pairs=pairs, to=to, tag=corpora[0].tag))
    return sets


def translate_sets(
    model: Model, sets: Sequence[ValidationSet], options: SearchOptions, chosen: slice = slice(None)
) -> list[list[str]]:
    """Translate sentences of each set with a model. `chosen` selects the sentences. By default, all are translated."""
    translator = Translator([model])
    split = model.config.data.single_sentences  # the default, but an explicit value logs no message
    return [translator.translate(part.sources[chosen], options, to=part.to, tag=part.tag, split=split) for part in sets]


def score_sets(
    sets: Sequence[ValidationSet], hypotheses: Sequence[Sequence[str]], metrics: Sequence[str] = (BLEU.name,)
) -> dict[str, float]:
    """Score the translations of each set with each metric. `hypotheses` contains the translations of each set.

    The result named `METRIC` is the mean score of all sets. If there are several sets, the result named `METRIC NAME`
    is the score of the set NAME.
    """
    figures = {}
    for metric in metrics:
        scores = [part.score(metric, lines) for part, lines in zip(sets, hypotheses, strict=True)]
        figures[metric] = mean(scores)
        if len(sets) > 1:
            figures |= {f"{metric} {part.name}": score for part, score in zip(sets, scores, strict=True)}
    return figures
