"""The updates of stored corpora, in an order that seed and epoch alone decide; validation pairs as batches."""

from bisect import bisect
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.data.cursor import Cursor, Update, UpdateSize
from nmt.data.pair import Pair, encode_pairs
from nmt.data.store import PairStore
from nmt.data.updates import (
    CORPUS,
    MIX,
    UPDATES,
    Plan,
    Shares,
    UpdateOptions,
    by_target_then_source,
    cut,
    generator,
    make_batch,
    make_plan,
)
from nmt.tokenizers.base import Tokenizers
from nmt.types import Batch


class Batches:
    """The updates of every epoch, from stores.

    Without weights an epoch holds each pair of each store once. With weights it holds as many pairs in all, each
    store's share in proportion to its weight; a store's pairs come in one random order after another, over the epochs'
    borders, so that none is skipped or repeated before the others had their turn.

    Pairs are shuffled, sorted by length within large parts, cut into updates, and the updates are shuffled. The plan
    of an epoch, four bytes a pair, is what grows in memory with the corpora.
    """

    def __init__(
        self,
        stores: Sequence[PairStore],
        *,
        tokenizers: Tokenizers,
        weights: Sequence[float] | None,
        options: UpdateOptions,
    ) -> None:
        self._pairs, self._sizes = _Stores(stores), [len(store) for store in stores]
        self._options, self._cut = options, Shares(tokenizers, options)
        self._takes = _takes(self._sizes, weights)
        self._planned: tuple[int, Plan] | None = None

    def updates(self, place: Cursor) -> Generator[Update, None, None]:
        """The updates from a place on, endless over epochs: a pure function of the seed and the place."""
        epoch, first = place.epoch, place.update
        while True:
            for number in range(first, self.count(epoch)):
                yield self.update(epoch, number)
            epoch, first = epoch + 1, 0

    @property
    def size(self) -> UpdateSize:
        """Of the updates."""
        return self._options.size

    def convert(self, place: Cursor, share: float) -> Cursor:
        """Where as much of the epoch is done, to an update. Other updates hold other pairs: some come twice, some not at all."""
        count = self.count(place.epoch)
        return replace(place, update=min(round(share * count), count - 1))

    def count(self, epoch: int) -> int:
        """Number of updates in an epoch; epochs count from 0."""
        return len(self._plan(epoch))

    def update(self, epoch: int, number: int) -> Update:
        """An update by its number in the epoch. Raises IndexError: it is not in the epoch."""
        plan = self._plan(epoch)
        last = number + 1 == len(plan)
        return Update(
            batches=self._cut.batches(self._pairs, plan.pairs(number), epoch, 0, number),
            after=Cursor(epoch=epoch + 1) if last else Cursor(epoch=epoch, update=number + 1),
            progress=epoch + (number + 1) / len(plan),
        )

    def _plan(self, epoch: int) -> Plan:
        if self._planned is None or self._planned[0] != epoch:
            self._planned = (epoch, self._make_plan(epoch))
        return self._planned[1]

    def _make_plan(self, epoch: int) -> Plan:
        order = np.concatenate([self._take(store, epoch) for store in range(len(self._sizes))])
        generator(self._options.seed, MIX, epoch).shuffle(order)
        return make_plan(
            self._pairs,
            order,
            size=self._options.size,
            random=generator(self._options.seed, UPDATES, epoch),
        )

    def _take(self, store: int, epoch: int) -> NDArray[Any]:
        """The pairs of one store in an epoch, by their indices over all stores."""
        size, take = self._sizes[store], self._takes[store]
        begins = self._pairs.begins
        dtype = np.uint32 if begins[-1] <= 1 << 32 else np.uint64
        pairs = np.arange(begins[store], begins[store + 1], dtype=dtype)
        first, last = epoch * take // size, ((epoch + 1) * take - 1) // size
        rounds = [
            generator(self._options.seed, CORPUS, store, turn).permutation(pairs) for turn in range(first, last + 1)
        ]
        offset = epoch * take - first * size
        return np.concatenate(rounds)[offset : offset + take]


class _Stores:
    """Several stores as one: the pairs of each follow those of the store before."""

    def __init__(self, stores: Sequence[PairStore]) -> None:
        self._stores = stores
        self.begins = [0, *np.cumsum([len(store) for store in stores]).tolist()]

    def lengths(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        sources, targets = np.empty(len(indices), dtype=np.int64), np.empty(len(indices), dtype=np.int64)
        owners = np.searchsorted(self.begins, indices, side="right") - 1
        for number, store in enumerate(self._stores):
            own = owners == number
            sources[own], targets[own] = store.lengths(indices[own] - self.begins[number])
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
        owner = bisect(self.begins, index) - 1
        return self._stores[owner], index - self.begins[owner]


def _takes(sizes: Sequence[int], weights: Sequence[float] | None) -> list[int]:
    """Pairs that each store gives to an epoch."""
    if weights is None:
        return list(sizes)
    total, weight = sum(sizes), sum(weights)
    return [max(1, round(total * own / weight)) for own in weights]


def text_batches(pairs: Sequence[Pair], tokenizers: Tokenizers, batch_tokens: int) -> Iterator[Batch]:
    """All pairs, also empty ones, in batches of like length, shortest first.

    `batch_tokens`: most pairs times pieces of the longest side, EOS and padding counted.
    """
    if not pairs:
        return
    sources, targets = encode_pairs(pairs, tokenizers)
    source_lengths, target_lengths = np.array([*map(len, sources)]), np.array([*map(len, targets)])
    order = by_target_then_source(source_lengths, target_lengths)
    longest = np.maximum(source_lengths, target_lengths)[order] + 1
    for start, end in pairwise(cut(longest, batch_tokens, None)):
        yield make_batch([sources[i] for i in order[start:end]], [targets[i] for i in order[start:end]])
