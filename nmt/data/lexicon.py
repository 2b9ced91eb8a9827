"""A lexicon that IBM model 1 learns from training pairs.

IBM model 1 assumes that one source token of the sentence generates each target token. Expectation maximization
estimates the probability that a source token generates a target token (Brown et al. 1993, section 4.1).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nmt.data.batch import Batch, Integers
from nmt.types import PAD

Floats = NDArray[np.float64]

# A lexicon is learned from this many pairs of a source and a target position. 100,000 sentence pairs of 18 tokens have
# as many, and take 0.5 GB.
_POSITION_PAIRS = 1 << 25
_ROUNDS = 5  # the number of iterations of expectation maximization
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Lexicon:
    """The probabilities that source tokens are translated as target tokens.

    An entry of the lexicon is a source token and a target token that occur together in some sentence pair. The lexicon
    has L different entries.
    """

    target_size: int
    keys: Integers  # (L,) source token · target_size + target token of each entry, ascending
    counts: Floats  # (L,) the expected number of times that the source token generates the target token

    @staticmethod
    def learn(batches: Sequence[Batch], target_size: int) -> "Lexicon":
        """Learn a lexicon from batches of training pairs. `target_size` is the size of the target vocabulary."""
        indexed = [_IndexedBatch.of(batch, target_size) for batch in batches]
        keys = np.unique(np.concatenate([batch.keys for batch in indexed]))
        rows = [np.searchsorted(keys, batch.keys) for batch in indexed]
        sources, targets = np.divmod(keys, target_size)
        probabilities = ((sources != PAD) & (targets != PAD)).astype(np.float64)  # padding is never a translation
        for _ in range(_ROUNDS):
            counts = np.zeros(len(keys))
            for batch, own in zip(indexed, rows, strict=True):
                counts[own] += batch.expected_counts(probabilities[own])
            probabilities = _normalize(sources, counts)
        return Lexicon(target_size, keys, counts)

    @property
    def sources(self) -> Integers:
        """The source tokens (L,) of the entries."""
        return self.keys // self.target_size

    @property
    def targets(self) -> Integers:
        """The target tokens (L,) of the entries."""
        return self.keys % self.target_size

    @cached_property
    def probabilities(self) -> Floats:
        """For each entry, the probability (L,) of its target token given its source token."""
        return _normalize(self.sources, self.counts)


def take_for_lexicon(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the first batches, up to the number that is used to learn a lexicon: about 100,000 sentence pairs."""
    positions = 0
    for batch in batches:
        yield batch
        positions += batch.source.numel() * batch.target.size(1)
        if positions >= _POSITION_PAIRS:
            return


def _normalize(sources: Integers, counts: Floats) -> Floats:
    """Divide the count (L,) of each entry by the total count of all entries with the same source token."""
    return counts / np.maximum(np.bincount(sources, counts)[sources], _TINY)


@dataclass(frozen=True, kw_only=True)
class _IndexedBatch:
    """The entries of the lexicon that occur in a batch, and the positions at which they occur."""

    keys: Integers  # (L,) the entries, encoded as in `Lexicon.keys`
    indices: NDArray[np.int32]  # (B, T, S) for each target and source position, the index of their entry in `keys`

    @staticmethod
    def of(batch: Batch, target_size: int) -> "_IndexedBatch":
        keys = batch.source.numpy()[:, None, :] * target_size + batch.target.numpy()[:, :, None]
        distinct, indices = np.unique(keys.ravel(), return_inverse=True)
        return _IndexedBatch(keys=distinct, indices=indices.reshape(keys.shape).astype(np.int32))

    def expected_counts(self, probabilities: Floats) -> Floats:
        """For each entry in `keys`, compute how often its source token is expected to generate its target token.

        Args:
            probabilities: (L,) for each entry, the probability of its target token given its source token.

        Returns:
            The expected counts (L,).
        """
        weights = probabilities[self.indices]
        weights /= np.maximum(weights.sum(axis=2, keepdims=True), _TINY)
        return np.bincount(self.indices.ravel(), weights.ravel(), minlength=len(self.keys)).astype(
            np.float64, copy=False
        )
