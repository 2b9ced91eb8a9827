"""A lexicon learned from training pairs by IBM model 1, and the alignments that follow from it.

Each target piece comes from one source piece of its sentence; how probable each is, expectation maximisation finds (Brown et al.
1993, section 4.1).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.types import PAD, Batch

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

_CELLS = 1 << 25  # source times target positions that are learned from: 100,000 pairs of 18 pieces, half a gigabyte
_ROUNDS = 5  # of expectation maximisation
_DIAGONAL = 4.0  # nats by which the far corner of a pair is less probable than its diagonal
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Lexicon:
    """Which target pieces translate which source pieces, for L pairs of pieces that occur in the same sentences."""

    target_size: int
    keys: Ids  # (L,) ascending: a source piece times the target vocabulary's size, plus a target piece
    counts: Floats  # (L,) how often the one is expected to be translated by the other

    @staticmethod
    def learn(batches: Sequence[Batch], target_size: int) -> "Lexicon":
        """From batches of training pairs."""
        boxes = [_Box.of(batch, target_size) for batch in batches]
        keys = np.unique(np.concatenate([box.keys for box in boxes]))
        own = [np.searchsorted(keys, box.keys) for box in boxes]
        sources, targets = np.divmod(keys, target_size)
        chances = ((sources != PAD) & (targets != PAD)).astype(np.float64)  # padding is no translation of anything
        for _ in range(_ROUNDS):
            counts = np.zeros(len(keys))
            for box, where in zip(boxes, own, strict=True):
                counts[where] += box.expected(chances[where])
            chances = _chances(sources, counts)
        return Lexicon(target_size, keys, counts)

    @property
    def sources(self) -> Ids:
        """(L,)"""
        return self.keys // self.target_size

    @property
    def targets(self) -> Ids:
        """(L,)"""
        return self.keys % self.target_size

    @cached_property
    def chances(self) -> Floats:
        """How probable the target piece is, given the source piece that it comes from, (L,)."""
        return _chances(self.sources, self.counts)

    def alignments(self, batch: Batch) -> Tensor:
        """From which source piece each target piece comes, as probabilities (B, T, S) on the batch's device.

        A pair of pieces counts for more the nearer it is to the diagonal, as in fast_align (Dyer et al. 2013, eq. 1). Rows of
        zeros: pieces that the lexicon does not know in such company, and padding.
        """
        source, target = batch.source.cpu().numpy(), batch.target.cpu().numpy()
        keys = source[:, None, :] * self.target_size + target[:, :, None]
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        weights = np.where(self.keys[places] == keys, self.chances[places], 0.0)
        weights *= np.exp(-_DIAGONAL * _distances(batch))
        weights /= np.maximum(weights.sum(axis=2, keepdims=True), _TINY)
        return torch.from_numpy(weights.astype(np.float32)).to(batch.source.device)


def enough(batches: Iterable[Batch]) -> Iterator[Batch]:
    """As many as a lexicon can be learned from: some 100,000 pairs."""
    cells = 0
    for batch in batches:
        yield batch
        cells += batch.source.numel() * batch.target.size(1)
        if cells >= _CELLS:
            return


def _chances(sources: Ids, counts: Floats) -> Floats:
    return counts / np.maximum(np.bincount(sources, counts)[sources], _TINY)


def _distances(batch: Batch) -> Floats:
    """How far each pair of positions is from the diagonal, as a share of the sentence, (B, T, S)."""
    target, source = (
        np.arange(ids.size(1)) / lengths.cpu().numpy()[:, None]
        for ids, lengths in ((batch.target, batch.target_lengths), (batch.source, batch.source_lengths))
    )
    distances: Floats = np.abs(target[:, :, None] - source[:, None, :])
    return distances


@dataclass(frozen=True, kw_only=True)
class _Box:
    """The pairs of pieces in a batch: which there are, and where each is."""

    keys: Ids  # (L,) ascending: a source piece times the target vocabulary's size, plus a target piece
    places: NDArray[np.int32]  # (B, T, S) which of the keys each pair of positions has

    @staticmethod
    def of(batch: Batch, target_size: int) -> "_Box":
        keys = batch.source.numpy()[:, None, :] * target_size + batch.target.numpy()[:, :, None]
        distinct, places = np.unique(keys.ravel(), return_inverse=True)
        return _Box(keys=distinct, places=places.reshape(keys.shape).astype(np.int32))

    def expected(self, chances: Floats) -> Floats:
        """How often each pair of pieces (L,) is expected to be a translation, where these are the chances (L,)."""
        weights = chances[self.places]
        weights /= np.maximum(weights.sum(axis=2, keepdims=True), _TINY)
        return np.bincount(self.places.ravel(), weights.ravel(), minlength=len(self.keys)).astype(
            np.float64, copy=False
        )
