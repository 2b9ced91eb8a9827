"""From pairs to updates: pairs of like length together, each update cut into shares for processes and batches.

An update is planned before it is cut, and everything random belongs to the update and to a sentence's place in it. So the
same updates are made by one process, by many, or with accumulated gradients.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.cursor import Cursor, Update, UpdateSize, World
from nmt.data.pair import Pair
from nmt.tokenizers.base import Tokenizers
from nmt.types import EOS, PAD, Batch

Ids = Sequence[int] | NDArray[Any]

# What a random number is for: the second part of its seed, so that no two uses share their numbers.
CORPUS, MIX, UPDATES, SAMPLING = range(4)


def generator(seed: int, *purpose: int) -> np.random.Generator:
    """The random numbers of one purpose."""
    return np.random.default_rng(np.random.SeedSequence((seed, *purpose)))


class UpdateSource(Protocol):
    """Where the trainer gets its updates from."""

    @property
    def size(self) -> UpdateSize:
        """Of its updates."""

    def updates(self, place: Cursor) -> Generator[Update, None, None]:
        """The updates from a place on, endless over epochs: a pure function of the seed and the place."""

    def convert(self, place: Cursor, share: float) -> Cursor:
        """Where to go on from a place that counts updates of another size. `share`: of its epoch, so much is done."""


class IndexedPairs(Protocol):
    """Tokenised pairs by index."""

    def lengths(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Source and target pieces of some pairs, EOS not counted."""

    def source(self, index: int) -> Ids:
        """Source ids of a pair, without EOS."""

    def target(self, index: int) -> Ids:
        """Target ids of a pair, without EOS."""

    def pair(self, index: int) -> Pair:
        """The text of a pair, which only sampling needs."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Updates: number i holds pairs order[starts[i]:ends[i]]."""

    order: NDArray[Any]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def pairs(self, update: int) -> list[int]:
        """The indices of the pairs of an update. Raises IndexError: there is no such update."""
        if not 0 <= update < len(self):
            raise IndexError(f"there are {len(self)} updates, not {update + 1}")
        pairs: list[int] = self.order[self.starts[update] : self.ends[update]].tolist()
        return pairs


def make_plan(pairs: IndexedPairs, order: NDArray[Any], *, size: UpdateSize, random: np.random.Generator) -> Plan:
    """Put shuffled pairs into updates of like lengths, and shuffle the updates.

    `order`: indices of pairs in random order, which is changed.
    """
    # Sorted within parts that are large enough for a hundred updates or more, so that few are cut short where parts meet.
    part_size = max(20_000, 10 * size.tokens)
    cuts = [np.zeros(1, dtype=np.int64)]
    for begin in range(0, len(order), part_size):
        part = order[begin : begin + part_size]
        sources, targets = pairs.lengths(part)
        by_length = by_target_then_source(sources, targets)
        part[:] = part[by_length]
        longest = np.maximum(sources, targets)[by_length] + 1
        cuts.append(begin + cut(longest, size.tokens, size.sentences)[1:])
    borders = np.concatenate(cuts)
    shuffled = random.permutation(len(borders) - 1)
    return Plan(order=order, starts=borders[:-1][shuffled], ends=borders[1:][shuffled])


@dataclass(frozen=True, kw_only=True)
class UpdateOptions:
    """How large updates are, and what is made of them."""

    size: UpdateSize
    sampling: bool
    """A new segmentation for every sentence of every update, which may go over its tokens; the pairs must hold text."""
    seed: int
    shares_per_process: int = 1
    """Batches that each process makes of an update."""
    world: World = field(default_factory=World)


class Shares:
    """Makes the batches of one process from an update.

    The pairs of the update, sorted by length, are cut into contiguous shares of nearly equal numbers of pairs: first those of
    rank 0, then those of rank 1, and so on.
    """

    def __init__(self, tokenizers: Tokenizers, options: UpdateOptions) -> None:
        self._tokenizers, self._sampling, self._seed = tokenizers, options.sampling, options.seed
        each, rank = options.shares_per_process, options.world.rank
        self._shares, self._own = each * options.world.size, range(each * rank, each * (rank + 1))

    def batches(self, pairs: IndexedPairs, indices: Sequence[int], *number: int) -> tuple[Batch, ...]:
        """This process' batches of the update that holds these pairs. `number`: epoch, window and update."""
        borders = [share * len(indices) // self._shares for share in range(self._shares + 1)]
        seeds = self._seeds(len(indices), number)
        batches = []
        for start, end in ((borders[share], borders[share + 1]) for share in self._own):
            if start < end:
                sides = self._sides(pairs, indices[start:end], seeds[start:end])
                batches.append(make_batch(*sides, first=start, update_sentences=len(indices)))
        return tuple(batches)

    def _seeds(self, sentences: int, number: Sequence[int]) -> list[list[int]]:
        """A seed for each side of each sentence of an update."""
        if not self._sampling:
            return []
        sequence = np.random.SeedSequence((self._seed, SAMPLING, *number))
        seeds: list[list[int]] = sequence.generate_state(2 * sentences).reshape(-1, 2).tolist()
        return seeds

    def _sides(
        self, pairs: IndexedPairs, indices: Sequence[int], seeds: Sequence[Sequence[int]]
    ) -> tuple[Sequence[Ids], Sequence[Ids]]:
        if not self._sampling:
            return [pairs.source(index) for index in indices], [pairs.target(index) for index in indices]
        texts = [pairs.pair(index) for index in indices]
        source, target = self._tokenizers.source, self._tokenizers.target
        sampled = source.sample([pair.source for pair in texts], [seed for seed, _ in seeds])
        return (
            [source.encode_tags(pair.tags) + ids for pair, ids in zip(texts, sampled, strict=True)],
            target.sample([pair.target for pair in texts], [seed for _, seed in seeds]),
        )


def make_batch(
    sources: Sequence[Ids], targets: Sequence[Ids], *, first: int = 0, update_sentences: int | None = None
) -> Batch:
    """A batch of ids without EOS, which is added to both sides."""
    source, source_lengths = _padded(sources)
    target, target_lengths = _padded(targets)
    return Batch(
        source=source,
        source_lengths=source_lengths,
        target=target,
        target_lengths=target_lengths,
        first=first,
        update_sentences=update_sentences,
    )


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


def cut(longest: NDArray[np.int64], tokens: int, sentences: int | None) -> NDArray[np.int64]:
    """Borders 0 = b₀ < b₁ < … = len(longest) of groups of neighbours, each as large as the limits allow.

    `longest`: pieces of each pair's longer side. A pair that is over `tokens` by itself makes a group of its own.
    """
    borders = [0]
    while borders[-1] < len(longest):
        start = borders[-1]
        most = max(1, tokens // int(longest[start]))
        if sentences is not None:
            most = min(most, sentences)
        widths = np.maximum.accumulate(longest[start : start + most])
        sizes = widths * np.arange(1, len(widths) + 1)
        borders.append(start + max(1, int(np.searchsorted(sizes, tokens, side="right"))))
    return np.array(borders, dtype=np.int64)
