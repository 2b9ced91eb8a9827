"""Training objectives: the loss of a batch, summed over its target tokens.

Random numbers come from the batch's `Randomness`, so they belong to the sentences of the update, not to the batch.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nmt.config.schema import TrainingConfig
from nmt.model.autograd.cross_entropy import (
    ROWS,
    cross_entropy,
    divergence,
    guided_attention,
    smoothed_cross_entropy,
)
from nmt.model.dropout import Randomness
from nmt.model.output import Readout, SoftmaxOutput
from nmt.model.seq2seq import Seq2Seq, real_targets, target_mask
from nmt.tokenizers.base import Tokenizer
from nmt.training.lexicon import Lexicon
from nmt.training.samples import sample_translations
from nmt.types import EOS, Batch, pad

Cost = Callable[[str, str], float]
"""The cost of a translation given its reference, 0 to 1."""

SOFTMAX_ROWS = (
    256  # log-probabilities held in memory at a time; the gradient recomputes them. Even, to keep pairs together.
)


class Objective(Protocol):
    """A loss."""

    def __call__(self, network: Seq2Seq, batch: Batch, randomness: Randomness | None = None) -> Tensor:
        """The loss of a batch, summed: each sentence counts once for each token of its reference."""
        ...


def cross_entropy_loss(
    network: Seq2Seq, readout: Readout, targets: Tensor, label_smoothing: float = 0.0, r_drop: float = 0.0
) -> Tensor:
    """Label-smoothed cross entropy of targets (R,), summed, in nats, and R-Drop, as `cross_entropy` defines them."""
    output = network.output
    if isinstance(output, SoftmaxOutput):
        return cross_entropy(readout.vectors, output.weight, output.bias, targets, label_smoothing, r_drop)

    def part_loss(readout: Readout, targets: Tensor) -> Tensor:
        log_p = network.predict(readout)
        loss = smoothed_cross_entropy(log_p, targets, label_smoothing)
        return loss + r_drop / 2 * divergence(log_p) if r_drop else loss

    parts = zip(readout.split(SOFTMAX_ROWS), torch.split(targets, SOFTMAX_ROWS), strict=True)
    losses = [checkpoint(part_loss, *part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    return torch.stack(losses).sum()


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Maximum likelihood: the cross entropy of the references, to which two terms may be added.

    loss = cross entropy with label smoothing [+ R-Drop] [+ guided alignment]

    With R-Drop the batch is decoded twice under different dropout, and the loss is the mean of both passes. Without
    randomness nothing is dropped, so there is no second pass.
    """

    label_smoothing: float = 0.0
    r_drop: float = 0.0
    guided_alignment: float = 0.0
    lexicon: Lexicon | None = None
    """Where the alignments of `guided_alignment` come from."""

    def __call__(self, network: Seq2Seq, batch: Batch, randomness: Randomness | None = None) -> Tensor:
        if not self.r_drop or randomness is None:
            readout: Readout = network(batch, randomness)
            loss = cross_entropy_loss(network, readout, real_targets(batch), self.label_smoothing)
            return self._add_alignment(loss, readout, batch)

        twice = batch.twice()
        readout = network(twice, dataclasses.replace(randomness, passes=2))
        targets = real_targets(twice)
        first, second = torch.arange(len(targets), device=targets.device).chunk(2)
        pairs = torch.stack([first, second], dim=1).flatten()  # rows 2i and 2i + 1 predict the same token
        selected, targets = readout.select(pairs), targets[pairs]
        loss = cross_entropy_loss(network, selected, targets, self.label_smoothing, self.r_drop)
        return self._add_alignment(loss, readout, twice) / 2

    def _add_alignment(self, loss: Tensor, readout: Readout, batch: Batch) -> Tensor:
        """Add −λ Σ g log a, for alignments g and attention weights a (Chen et al. 2016)."""
        if self.lexicon is None:
            return loss
        guide = self.guided_alignment * self.lexicon.alignments(batch)[target_mask(batch)]  # (R, S)
        return loss + guided_attention(readout.attention, guide)

    @staticmethod
    def of(settings: TrainingConfig, lexicon: Lexicon | None = None) -> "Likelihood":
        """As configured."""
        return Likelihood(
            label_smoothing=settings.label_smoothing,
            r_drop=settings.r_drop,
            guided_alignment=settings.guided_alignment,
            lexicon=lexicon,
        )


@dataclass(frozen=True, kw_only=True)
class Risk:
    """Minimum risk (Shen et al. 2016), mixed with the likelihood (Edunov et al. 2018).

    The risk is the expected cost of a sentence's translation, Σ_y Q(y) cost(y) with Q ∝ P^α, over a few sampled
    translations y. A sample counts once, however often it is drawn. The reference is not a sample: the model might
    never produce it. Samples are drawn and scored without dropout, whose effect, summed over the tokens, would be
    larger than the differences between them.
    """

    tokenizer: Tokenizer
    """Of the target side."""
    cost: Cost
    samples: int
    sharpness: float
    """α."""
    likelihood_share: float
    likelihood: Likelihood

    def __call__(self, network: Seq2Seq, batch: Batch, randomness: Randomness | None = None) -> Tensor:
        if randomness is None:
            raise ValueError("risk draws samples, which needs randomness")
        producible = torch.from_numpy(self.tokenizer.producible).to(batch.source.device)
        candidates = sample_translations(network, batch, randomness, self.samples, producible)
        loss = (1 - self.likelihood_share) * self.expected_cost(network, batch, candidates)
        if self.likelihood_share:
            loss = loss + self.likelihood_share * self.likelihood(network, batch, randomness)
        return loss

    def expected_cost(self, network: Seq2Seq, batch: Batch, candidates: Sequence[Sequence[list[int]]]) -> Tensor:
        """Σ_y Q(y) cost(y) of each sentence, times the tokens of its reference, summed.

        `candidates`: the same number K of translations y for each sentence, ids without EOS.
        """
        references = [
            ids[: length - 1] for ids, length in zip(batch.target.tolist(), batch.target_lengths.tolist(), strict=True)
        ]
        costs = [self._costs(*pair) for pair in zip(candidates, references, strict=True)]  # (B, K)
        repeated = torch.tensor([[y in ys[:k] for k, y in enumerate(ys)] for ys in candidates])
        scores = self.sharpness * log_probabilities(network, batch, candidates)  # (B, K)
        q = scores.masked_fill(repeated.to(scores.device), -torch.inf).softmax(dim=1)
        return ((q * torch.tensor(costs).to(q)).sum(dim=1) * batch.target_lengths).sum()

    def _costs(self, candidates: Sequence[list[int]], reference: list[int]) -> list[float]:
        text = self.tokenizer.decode(reference)
        return [self.cost(self.tokenizer.decode(candidate), text) for candidate in candidates]


def log_probabilities(network: Seq2Seq, batch: Batch, candidates: Sequence[Sequence[list[int]]]) -> Tensor:
    """log P(y | x), (B, K), of K candidates y for each source sentence x; ids without EOS."""
    B, K = len(candidates), len(candidates[0])
    target, lengths = (tensor.to(batch.source.device) for tensor in pad([[*y, EOS] for ys in candidates for y in ys]))
    rows = torch.arange(B, device=batch.source.device).repeat_interleave(K)
    forced = Batch(
        source=batch.source[rows], source_lengths=batch.source_lengths[rows], target=target, target_lengths=lengths
    )
    # The scores of all tokens at once would be by far the largest tensors of training, so the gradient recomputes them.
    parts = zip(network(forced).split(ROWS), torch.split(real_targets(forced), ROWS), strict=True)
    scores = [
        checkpoint(_target_scores, network, *part, use_reentrant=False, preserve_rng_state=False) for part in parts
    ]
    of_tokens = torch.cat(scores)  # (R,)
    sentences = torch.arange(B * K, device=lengths.device).repeat_interleave(lengths)
    return of_tokens.new_zeros(B * K).index_add(0, sentences, of_tokens).view(B, K)


def _target_scores(network: Seq2Seq, readout: Readout, targets: Tensor) -> Tensor:
    """log P of each target, (R,)."""
    return network.predict(readout).gather(1, targets.unsqueeze(1)).squeeze(1)
