"""What training makes small, each in one call: the loss of a batch, summed over its target pieces.

Whatever is drawn at random comes from the batch's noise, and belongs to a sentence of the update, not to the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nmt.config.schema import TrainingConfig
from nmt.model.autograd.cross_entropy import ROWS
from nmt.model.dropout import Noise
from nmt.model.output import Readout
from nmt.model.seq2seq import Seq2Seq, real_targets
from nmt.tokenizers.base import Tokenizer
from nmt.training.lexicon import Lexicon
from nmt.training.samples import sampled
from nmt.types import EOS, Batch, pad

Cost = Callable[[str, str], float]
"""What is bad about a translation, given its reference: 0 to 1."""


class Objective(Protocol):
    """A loss."""

    def __call__(self, network: Seq2Seq, batch: Batch, noise: Noise) -> Tensor:
        """The loss of a batch, summed: each sentence counts as often as its reference has pieces."""


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """The cross entropy of the references, piece by piece: maximum likelihood."""

    label_smoothing: float = 0.0
    r_drop: float = 0.0
    guided_alignment: float = 0.0
    lexicon: Lexicon | None = None
    """What guides the alignment."""

    def __call__(self, network: Seq2Seq, batch: Batch, noise: Noise) -> Tensor:
        guide = self.guided_alignment * self.lexicon.alignments(batch) if self.lexicon else None
        loss: Tensor = network(batch, noise, self.label_smoothing, r_drop=self.r_drop, guide=guide)
        return loss

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
    """The expected cost of a sentence's translation among a few samples y, Σ Q(y) cost(y) with Q ∝ P^α over them (Shen et al.
    2016), mixed with the likelihood (Edunov et al. 2018).

    Each sample counts once however often it is drawn. The reference is none of them: where the model would never make it, it says
    nothing about what the model makes. Samples are drawn, and their probabilities computed, without dropout, whose noise, summed
    over the pieces, would drown what tells them apart.
    """

    tokenizer: Tokenizer
    """Of the target side."""
    cost: Cost
    samples: int
    sharpness: float
    """α."""
    likelihood_share: float
    likelihood: Likelihood

    def __call__(self, network: Seq2Seq, batch: Batch, noise: Noise) -> Tensor:
        candidates = sampled(network, batch, noise, self.samples, self.tokenizer.tags)
        loss = (1 - self.likelihood_share) * self.expected_cost(network, batch, candidates)
        if self.likelihood_share:
            loss = loss + self.likelihood_share * self.likelihood(network, batch, noise)
        return loss

    def expected_cost(self, network: Seq2Seq, batch: Batch, candidates: Sequence[Sequence[list[int]]]) -> Tensor:
        """Σ_y Q(y) cost(y) of each sentence, times its pieces, summed; for each sentence as many candidates, without EOS."""
        references = [
            ids[: length - 1] for ids, length in zip(batch.target.tolist(), batch.target_lengths.tolist(), strict=True)
        ]
        costs = [self._costs(*pair) for pair in zip(candidates, references, strict=True)]
        repeated = torch.tensor([[y in ys[:k] for k, y in enumerate(ys)] for ys in candidates])
        scores = self.sharpness * log_probabilities(network, batch, candidates)  # (B, K)
        q = scores.masked_fill(repeated.to(scores.device), -torch.inf).softmax(dim=1)
        return ((q * torch.tensor(costs).to(q)).sum(dim=1) * batch.target_lengths).sum()

    def _costs(self, candidates: Sequence[list[int]], reference: list[int]) -> list[float]:
        text = self.tokenizer.decode(reference)
        return [self.cost(self.tokenizer.decode(candidate), text) for candidate in candidates]


def log_probabilities(network: Seq2Seq, batch: Batch, candidates: Sequence[Sequence[list[int]]]) -> Tensor:
    """log P(y | x) of the candidates y, ids without EOS, for each source sentence x: (B, K)."""
    B, K = len(candidates), len(candidates[0])
    target, lengths = (tensor.to(batch.source.device) for tensor in pad([[*y, EOS] for ys in candidates for y in ys]))
    rows = torch.arange(B, device=batch.source.device).repeat_interleave(K)
    forced = Batch(
        source=batch.source[rows], source_lengths=batch.source_lengths[rows], target=target, target_lengths=lengths
    )
    readout = network.readout(forced)
    rows_of_pieces = zip(readout.split(ROWS), torch.split(real_targets(forced), ROWS), strict=True)
    # The scores of all pieces at once would be by far the largest tensors of training, so the gradient computes them again.
    parts = [
        checkpoint(_of_targets, network, *part, use_reentrant=False, preserve_rng_state=False)
        for part in rows_of_pieces
    ]
    of_targets = torch.cat(parts)  # (pieces,)
    places = torch.arange(B * K, device=lengths.device).repeat_interleave(lengths)
    return of_targets.new_zeros(B * K).index_add(0, places, of_targets).view(B, K)


def _of_targets(network: Seq2Seq, readout: Readout, targets: Tensor) -> Tensor:
    """log P of each piece, (pieces,)."""
    return network.predict(readout).gather(1, targets.unsqueeze(1)).squeeze(1)
