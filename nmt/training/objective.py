"""Training objectives. An objective computes the loss of a batch, summed over the target tokens.

All random numbers come from the argument `randomness`. They do not depend on how an update is divided into batches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nmt.config.schema import TrainingConfig
from nmt.data.batch import Batch, pad
from nmt.model.autograd.cross_entropy import (
    ROWS,
    cross_entropy,
    smoothed_cross_entropy,
)
from nmt.model.dropout import Randomness
from nmt.model.output import Readout, SoftmaxOutput
from nmt.model.seq2seq import Seq2Seq, real_targets
from nmt.tokenizers.base import Tokenizer
from nmt.training.samples import sample_translations
from nmt.types import EOS

Cost = Callable[[str, str], float]
"""A function that computes the cost of a translation, from 0 to 1. It receives the translation and the reference."""

SOFTMAX_ROWS = 256
"""The number of rows of log-probabilities that are in memory at a time. The backward pass recomputes the rows."""


class Objective(Protocol):
    """A function that computes the loss of a batch."""

    def __call__(self, network: Seq2Seq, batch: Batch, randomness: Randomness | None = None) -> Tensor:
        """Compute the loss of a batch, summed over the tokens of the references.

        A loss that is defined per sentence is multiplied by the number of tokens of the reference.
        """
        ...


def cross_entropy_loss(network: Seq2Seq, readout: Readout, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Compute the loss of targets (R,) that `cross_entropy` defines. The output layer can have any type.

    The loss is the label-smoothed cross entropy in nats, summed over the targets.
    """
    output = network.output
    if isinstance(output, SoftmaxOutput):
        return cross_entropy(readout.vectors, output.weight, output.bias, targets, label_smoothing)

    def part_loss(readout: Readout, targets: Tensor) -> Tensor:
        return smoothed_cross_entropy(network.predict(readout), targets, label_smoothing)

    parts = zip(readout.split(SOFTMAX_ROWS), torch.split(targets, SOFTMAX_ROWS), strict=True)
    losses = [checkpoint(part_loss, *part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    return torch.stack(losses).sum()


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Maximum likelihood. The loss is the cross entropy of the references with label smoothing."""

    label_smoothing: float = 0.0

    def __call__(self, network: Seq2Seq, batch: Batch, randomness: Randomness | None = None) -> Tensor:
        readout: Readout = network(batch, randomness)
        return cross_entropy_loss(network, readout, real_targets(batch), self.label_smoothing)

    @staticmethod
    def of(settings: TrainingConfig) -> "Likelihood":
        """Create the objective that the configuration describes."""
        return Likelihood(label_smoothing=settings.label_smoothing)


@dataclass(frozen=True, kw_only=True)
class Risk:
    """Minimum risk training (Shen et al. 2016), interpolated with the likelihood (Edunov et al. 2018).

    The risk of a sentence is the expected cost of its translation, Σ_y Q(y) cost(y) with Q ∝ P^α. The sum is over a few
    translations y that are sampled from the model. Equal samples count once. The reference is not added to the samples,
    because the model might never produce it.

    Samples are drawn and scored without dropout. Otherwise, the effect of dropout, summed over the tokens, would be
    larger than the differences between the samples.
    """

    tokenizer: Tokenizer
    """The tokenizer of the target side."""
    cost: Cost
    samples: int
    sharpness: float
    """The exponent α of the probabilities."""
    likelihood_share: float
    likelihood: Likelihood

    def __call__(self, network: Seq2Seq, batch: Batch, randomness: Randomness | None = None) -> Tensor:
        if randomness is None:
            raise ValueError("minimum risk draws random samples, so it needs the argument `randomness`")
        producible = torch.zeros(self.tokenizer.size, dtype=torch.bool, device=batch.source.device)
        producible[self.tokenizer.producible.start : self.tokenizer.producible.stop] = True
        candidates = sample_translations(network, batch, randomness, self.samples, producible)
        loss = (1 - self.likelihood_share) * self.expected_cost(network, batch, candidates)
        if self.likelihood_share:
            loss = loss + self.likelihood_share * self.likelihood(network, batch, randomness)
        return loss

    def expected_cost(self, network: Seq2Seq, batch: Batch, candidates: Sequence[Sequence[list[int]]]) -> Tensor:
        """Compute Σ_y Q(y) cost(y) of each sentence, times its number of reference tokens. Return the sum.

        `candidates` contains K translations y of each sentence, as ids without EOS.
        """
        references = [
            ids[: length - 1] for ids, length in zip(batch.target.tolist(), batch.target_lengths.tolist(), strict=True)
        ]
        costs = []  # (B, K)
        for ys, ids in zip(candidates, references, strict=True):
            reference = self.tokenizer.decode(ids)
            costs.append([self.cost(self.tokenizer.decode(y), reference) for y in ys])
        repeated = torch.tensor([[y in ys[:k] for k, y in enumerate(ys)] for ys in candidates])
        scores = self.sharpness * log_probabilities(network, batch, candidates)  # (B, K)
        q = scores.masked_fill(repeated.to(scores.device), -torch.inf).softmax(dim=1)
        return ((q * torch.tensor(costs).to(q)).sum(dim=1) * batch.target_lengths).sum()


def log_probabilities(network: Seq2Seq, batch: Batch, candidates: Sequence[Sequence[list[int]]]) -> Tensor:
    """Compute log P(y | x) for K translations y of each source sentence x. Return the result (B, K).

    The translations in `candidates` have no EOS.
    """
    B, K = len(candidates), len(candidates[0])
    target, lengths = (tensor.to(batch.source.device) for tensor in pad([[*y, EOS] for ys in candidates for y in ys]))
    rows = torch.arange(B, device=batch.source.device).repeat_interleave(K)
    forced = Batch(
        source=batch.source[rows], source_lengths=batch.source_lengths[rows], target=target, target_lengths=lengths
    )

    def score(readout: Readout, targets: Tensor) -> Tensor:
        return network.predict(readout).gather(1, targets.unsqueeze(1)).squeeze(1)

    # The scores of the whole vocabulary would be by far the largest tensors in training, so they are not stored. The
    # backward pass recomputes them.
    parts = zip(network(forced).split(ROWS), torch.split(real_targets(forced), ROWS), strict=True)
    scores = [checkpoint(score, *part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    of_tokens = torch.cat(scores)  # (R,)
    sentences = torch.arange(B * K, device=lengths.device).repeat_interleave(lengths)
    return of_tokens.new_zeros(B * K).index_add(0, sentences, of_tokens).view(B, K)
