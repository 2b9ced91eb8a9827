"""Updates made from stored corpora, and batches of validation pairs.

An update is the set of pairs from which training computes one step of the optimizer. The updates of an epoch and their
order depend only on the corpora, the seed and the number of the epoch.
"""

from bisect import bisect
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.data.batch import Batch
from nmt.data.cursor import Cursor, Update, UpdateSize
from nmt.data.pair import Pair, encode_pairs
from nmt.data.store import PairStore
from nmt.data.updates import (
    CORPUS,
    MIX,
    UPDATES,
    BatchMaker,
    Plan,
    UpdateOptions,
    make_batch,
    make_generator,
    make_plan,
    order_by_length,
    split_groups,
)
from nmt.tokenizers.base import Tokenizers


class Batches:
    """A source of updates from stored corpora.

    Without weights, an epoch contains each pair of each store once. With weights, an epoch has the same total number of
    pairs, and each store contributes in proportion to its weight. The pairs of a store are then drawn from a random
    permutation. A new permutation begins when the last one has ended, even in the middle of an epoch. As a result, all
    pairs of a store are used before one of them is repeated.

    Pairs are shuffled, sorted by length within large parts, and grouped into updates. Then the updates are shuffled.
    The plan of an epoch takes four bytes of memory per pair.
    """

    def __init__(
        self,
        stores: Sequence[PairStore],
        *,
        tokenizers: Tokenizers,
        weights: Sequence[float] | None,
        options: UpdateOptions,
    ) -> None:
        self._pairs, self._sizes = _JoinedStores(stores), [len(store) for store in stores]
        self._options, self._batch_maker = options, BatchMaker(tokenizers, options)
        self._pairs_per_epoch = self._sizes
        if weights is not None:
            total, weight = sum(self._sizes), sum(weights)
            self._pairs_per_epoch = [max(1, round(total * each / weight)) for each in weights]
        self._planned: tuple[int, Plan] | None = None

    def updates(self, cursor: Cursor) -> Generator[Update, None, None]:
        """Yield updates from `cursor` on, epoch after epoch. They depend only on seed, cursor and corpora."""
        epoch, first = cursor.epoch, cursor.update
        while True:
            for number in range(first, self.count(epoch)):
                yield self.update(epoch, number)
            epoch, first = epoch + 1, 0

    @property
    def size(self) -> UpdateSize:
        """The limits of the size of an update."""
        return self._options.size

    def convert(self, cursor: Cursor, share: float) -> Cursor:
        """Return the cursor at the same share of the epoch, after the size of the updates has changed.

        Some pairs of the epoch are repeated or skipped.
        """
        count = self.count(cursor.epoch)
        return replace(cursor, update=min(round(share * count), count - 1))

    def count(self, epoch: int) -> int:
        """Return the number of updates in an epoch. The first epoch is 0."""
        return len(self._plan(epoch))

    def update(self, epoch: int, number: int) -> Update:
        """Make the update with this number, counted from 0, in an epoch.

        Raises:
            IndexError: the epoch has fewer updates.
        """
        plan = self._plan(epoch)
        last = number + 1 == len(plan)
        return Update(
            batches=self._batch_maker.make_batches(self._pairs, plan.pairs(number), epoch, 0, number),
            after=Cursor(epoch=epoch + 1) if last else Cursor(epoch=epoch, update=number + 1),
            progress=epoch + (number + 1) / len(plan),
        )

    def _plan(self, epoch: int) -> Plan:
        if self._planned is None or self._planned[0] != epoch:
            order = np.concatenate([self._choose_pairs(store, epoch) for store in range(len(self._sizes))])
            make_generator(self._options.seed, MIX, epoch).shuffle(order)
            random = make_generator(self._options.seed, UPDATES, epoch)
            self._planned = (epoch, make_plan(self._pairs, order, size=self._options.size, random=random))
        return self._planned[1]

    def _choose_pairs(self, store: int, epoch: int) -> NDArray[Any]:
        """Return the pairs of one store that an epoch contains, as indices into the pairs of all stores."""
        size, count = self._sizes[store], self._pairs_per_epoch[store]
        starts = self._pairs.starts
        dtype = np.uint32 if starts[-1] <= 1 << 32 else np.uint64
        pairs = np.arange(starts[store], starts[store + 1], dtype=dtype)
        first, last = epoch * count // size, ((epoch + 1) * count - 1) // size
        permutations = [
            make_generator(self._options.seed, CORPUS, store, turn).permutation(pairs)
            for turn in range(first, last + 1)
        ]
        offset = epoch * count - first * size
        return np.concatenate(permutations)[offset : offset + count]


class _JoinedStores:
    """The concatenation of several stores, with one index over all their pairs."""

    def __init__(self, stores: Sequence[PairStore]) -> None:
        self._stores = stores
        self.starts = [0, *np.cumsum([len(store) for store in stores]).tolist()]

    def lengths(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        sources, targets = np.empty(len(indices), dtype=np.int64), np.empty(len(indices), dtype=np.int64)
        stores = np.searchsorted(self.starts, indices, side="right") - 1
        for number, store in enumerate(self._stores):
            own = stores == number
            sources[own], targets[own] = store.lengths(indices[own] - self.starts[number])
        return sources, targets

    def source(self, index: int) -> NDArray[Any]:
        store, own = self._find(index)
        return store.source(own)

    def target(self, index: int) -> NDArray[Any]:
        store, own = self._find(index)
        return store.target(own)

    def pair(self, index: int) -> Pair:
        store, own = self._find(index)
        return store.pair(own)

    def _find(self, index: int) -> tuple[PairStore, int]:
        owner = bisect(self.starts, index) - 1
        return self._stores[owner], index - self.starts[owner]


def make_text_batches(pairs: Sequence[Pair], tokenizers: Tokenizers, batch_tokens: int) -> Iterator[Batch]:
    """Yield all pairs in batches of pairs of similar length, the shortest pairs first. Empty pairs are included.

    Args:
        pairs: the text of the pairs.
        tokenizers: the tokenizers of both sides.
        batch_tokens: the limit of the size of a batch. The size is the number of pairs times the tokens of the longest
            side, EOS included.
    """
    if not pairs:
        return
    sources, targets = encode_pairs(pairs, tokenizers)
    source_lengths, target_lengths = np.array([*map(len, sources)]), np.array([*map(len, targets)])
    order = order_by_length(source_lengths, target_lengths)
    longest = np.maximum(source_lengths, target_lengths)[order] + 1
    for start, end in pairwise(split_groups(longest, batch_tokens, None)):
        yield make_batch([sources[i] for i in order[start:end]], [targets[i] for i in order[start:end]])
