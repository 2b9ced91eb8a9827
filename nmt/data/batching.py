"""Batches: pairs of like length together, in an order that seed and epoch alone decide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.store import PairStore
from nmt.tokenizers.base import Tokenizers
from nmt.types import EOS, PAD, Batch

Ids = Sequence[int] | NDArray[Any]

# What a random number is for: the second part of its seed, so that no two uses share their numbers.
_CORPUS, _MIX, _BATCHES, _SAMPLING = range(4)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The batches of an epoch: batch i holds pairs order[starts[i]:ends[i]]."""

    order: NDArray[Any]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class Batches:
    """The training batches of every epoch.

    Without weights an epoch holds each pair of each store once. With weights it holds as many pairs in all, each
    store's share in proportion to its weight; a store's pairs come in one random order after another, over the epochs'
    borders, so that none is skipped or repeated before the others had their turn.

    Pairs are shuffled, sorted by length within large windows, cut into batches, and the batches are shuffled. The plan
    of an epoch, four bytes a pair, is what grows in memory with the corpora.
    """

    def __init__(
        self,
        stores: Sequence[PairStore],
        *,
        tokenizers: Tokenizers,
        weights: Sequence[float] | None,
        batch_tokens: int,
        batch_sentences: int | None,
        sampling: bool,
        seed: int,
    ) -> None:
        """`batch_tokens`: most pairs times pieces of the longest side, EOS and padding counted; a pair that is longer
        by itself makes a batch. `batch_sentences`: most pairs. `sampling`: new segmentations for every batch, which may
        go over `batch_tokens`; the stores must hold text."""
        self._stores, self._tokenizers = stores, tokenizers
        self._batch_tokens, self._batch_sentences = batch_tokens, batch_sentences
        self._sampling, self._seed = sampling, seed
        self._begins = np.cumsum([0, *map(len, stores)])
        self._shares = _shares([len(store) for store in stores], weights)
        self._planned: tuple[int, _Plan] | None = None
        self._counts: dict[int, int] = {}

    def count(self, epoch: int) -> int:
        """Number of batches in an epoch; epochs count from 0."""
        if epoch not in self._counts:
            self._counts[epoch] = len(self._plan(epoch).starts)
        return self._counts[epoch]

    def batch(self, epoch: int, index: int) -> Batch:
        """A batch, a pure function of the seed, the epoch and the index. Raises IndexError: it is not in the epoch."""
        plan = self._plan(epoch)
        if not 0 <= index < len(plan.starts):
            raise IndexError(f"epoch {epoch} has {len(plan.starts)} batches, not {index + 1}")
        places = self._locate(plan.order[plan.starts[index] : plan.ends[index]])
        if self._sampling:
            return self._sampled(places, epoch, index)
        return make_batch(
            [self._stores[store].source(pair) for store, pair in places],
            [self._stores[store].target(pair) for store, pair in places],
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch in order, from number `start`."""
        for index in range(start, self.count(epoch)):
            yield self.batch(epoch, index)

    def _locate(self, pairs: NDArray[Any]) -> list[tuple[int, int]]:
        """Store and index in it, from indices over all stores."""
        owners = np.searchsorted(self._begins, pairs, side="right") - 1
        return list(zip(owners.tolist(), (pairs - self._begins[owners]).tolist(), strict=True))

    def _sampled(self, places: Sequence[tuple[int, int]], epoch: int, index: int) -> Batch:
        texts = [self._stores[store].text(pair) for store, pair in places]
        seeds = np.random.SeedSequence((self._seed, _SAMPLING, epoch, index)).generate_state(2)
        return make_batch(
            self._tokenizers.source.sample([source for source, _ in texts], int(seeds[0])),
            self._tokenizers.target.sample([target for _, target in texts], int(seeds[1])),
        )

    def _plan(self, epoch: int) -> _Plan:
        if self._planned is None or self._planned[0] != epoch:
            self._planned = (epoch, self._make_plan(epoch))
        return self._planned[1]

    def _make_plan(self, epoch: int) -> _Plan:
        order = np.concatenate([self._take(store, epoch) for store in range(len(self._stores))])
        self._generator(_MIX, epoch).shuffle(order)
        # Windows are large enough for a hundred batches or more, so that few batches are cut short where windows meet.
        size = max(20_000, 10 * self._batch_tokens)
        cuts = []
        for begin in range(0, len(order), size):
            window = order[begin : begin + size]
            sources, targets = self._lengths(window)
            by_length = by_target_then_source(sources, targets)
            window[:] = window[by_length]
            longest = np.maximum(sources, targets)[by_length] + 1
            cuts.append(begin + cut(longest, self._batch_tokens, self._batch_sentences))
        starts = np.concatenate([part[:-1] for part in cuts])
        ends = np.concatenate([part[1:] for part in cuts])
        shuffled = self._generator(_BATCHES, epoch).permutation(len(starts))
        return _Plan(order=order, starts=starts[shuffled], ends=ends[shuffled])

    def _take(self, store: int, epoch: int) -> NDArray[Any]:
        """The pairs of one store in an epoch, by their indices over all stores."""
        size, share = len(self._stores[store]), self._shares[store]
        dtype = np.uint32 if self._begins[-1] <= 1 << 32 else np.uint64
        pairs = np.arange(self._begins[store], self._begins[store] + size, dtype=dtype)
        first, last = epoch * share // size, ((epoch + 1) * share - 1) // size
        rounds = [self._generator(_CORPUS, store, number).permutation(pairs) for number in range(first, last + 1)]
        offset = epoch * share - first * size
        return np.concatenate(rounds)[offset : offset + share]

    def _lengths(self, pairs: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pieces of both sides of pairs, by their indices over all stores."""
        sources, targets = np.empty(len(pairs), dtype=np.int64), np.empty(len(pairs), dtype=np.int64)
        owners = np.searchsorted(self._begins, pairs, side="right") - 1
        for number, store in enumerate(self._stores):
            own = owners == number
            sources[own], targets[own] = store.lengths(pairs[own] - self._begins[number])
        return sources, targets

    def _generator(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence((self._seed, *purpose)))


def text_batches(pairs: Sequence[tuple[str, str]], tokenizers: Tokenizers, batch_tokens: int) -> Iterator[Batch]:
    """All pairs, also empty ones, in batches of like length, shortest first. `batch_tokens` as for `Batches`."""
    if not pairs:
        return
    sources = tokenizers.source.encode_lines([source for source, _ in pairs])
    targets = tokenizers.target.encode_lines([target for _, target in pairs])
    source_lengths, target_lengths = np.array([*map(len, sources)]), np.array([*map(len, targets)])
    order = by_target_then_source(source_lengths, target_lengths)
    longest = np.maximum(source_lengths, target_lengths)[order] + 1
    for start, end in pairwise(cut(longest, batch_tokens, None)):
        yield make_batch([sources[i] for i in order[start:end]], [targets[i] for i in order[start:end]])


def make_batch(sources: Sequence[Ids], targets: Sequence[Ids]) -> Batch:
    """A batch of ids without EOS, which is added to both sides."""
    source, source_lengths = _padded(sources)
    target, target_lengths = _padded(targets)
    return Batch(source=source, source_lengths=source_lengths, target=target, target_lengths=target_lengths)


def _padded(sequences: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    lengths = np.array([len(sequence) + 1 for sequence in sequences], dtype=np.int64)
    ids = np.full((len(sequences), int(lengths.max())), PAD, dtype=np.int64)
    # no loop over the rows: with a fast GPU the time would show. Empty lists are floats to numpy, hence the cast.
    ids[np.arange(ids.shape[1]) < lengths[:, None] - 1] = np.concatenate(sequences, dtype=np.int64, casting="unsafe")
    ids[np.arange(len(ids)), lengths - 1] = EOS
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def by_target_then_source(sources: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order by target length, then source length; equal pairs stay in the order they had."""
    return np.argsort((targets << 32) | sources, kind="stable")


def cut(longest: NDArray[np.int64], batch_tokens: int, batch_sentences: int | None) -> NDArray[np.int64]:
    """Borders 0 = b₀ < b₁ < … = len(longest) of batches of neighbours, each as large as the limits allow.

    `longest`: pieces of each pair's longer side. A pair that is over `batch_tokens` by itself makes a batch of its own.
    """
    borders = [0]
    while borders[-1] < len(longest):
        start = borders[-1]
        most = max(1, batch_tokens // int(longest[start]))
        if batch_sentences is not None:
            most = min(most, batch_sentences)
        widths = np.maximum.accumulate(longest[start : start + most])
        sizes = widths * np.arange(1, len(widths) + 1)
        borders.append(start + max(1, int(np.searchsorted(sizes, batch_tokens, side="right"))))
    return np.array(borders, dtype=np.int64)


def _shares(sizes: Sequence[int], weights: Sequence[float] | None) -> list[int]:
    """Pairs that each store gives to an epoch."""
    if weights is None:
        return list(sizes)
    total, weight = sum(sizes), sum(weights)
    return [max(1, round(total * own / weight)) for own in weights]
