"""Functions that group pairs of similar length into updates, and split each update into batches.

Each process computes some of the batches of an update. Updates are planned before they are split into batches. Random
numbers depend only on the update and on the position of a sentence in the update. As a result, training makes the same
updates in one process, in several processes, and with accumulated gradients.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.augmentation import Augmenter, Example
from nmt.data.batch import Batch, Ids
from nmt.data.cursor import Cursor, Update, UpdateSize, World
from nmt.data.pair import Pair
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.inline import find_tokens, insert_terms
from nmt.types import EOS, PAD

# Each kind of random decision has its own number, which is the second part of the seed of its generator.
CORPUS, MIX, UPDATES, SAMPLING = range(4)


def make_generator(seed: int, *purpose: int) -> np.random.Generator:
    """Make a random generator for one purpose. The purpose is a constant such as MIX, followed by other numbers."""
    return np.random.default_rng(np.random.SeedSequence((seed, *purpose)))


class UpdateSource(Protocol):
    """The interface of a source of updates. A training run reads all its updates from one source."""

    @property
    def size(self) -> UpdateSize:
        """The limits of the size of an update."""

    def updates(self, cursor: Cursor) -> Generator[Update, None, None]:
        """Yield updates from `cursor` on, epoch after epoch. They depend only on seed, cursor and corpora."""

    def convert(self, cursor: Cursor, share: float) -> Cursor:
        """Convert a cursor of a run with a different update size into a cursor of this source.

        Args:
            cursor: the cursor to convert.
            share: the share of the epoch that is done at the cursor, from 0 to 1.
        """


class IndexedPairs(Protocol):
    """A collection of tokenized pairs. A pair is read by its index."""

    def lengths(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the source and target lengths of some pairs in tokens, without EOS."""

    def source(self, index: int) -> Ids:
        """Return the source ids of a pair, without EOS."""

    def target(self, index: int) -> Ids:
        """Return the target ids of a pair, without EOS."""

    def pair(self, index: int) -> Pair:
        """Return the text of a pair. Only random segmentation needs the text."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of the updates of an epoch or a window. Update i contains the pairs order[starts[i]:ends[i]]."""

    order: NDArray[Any]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def pairs(self, update: int) -> list[int]:
        """Return the indices of the pairs of an update. Raises IndexError: the plan does not contain the update."""
        if not 0 <= update < len(self):
            raise IndexError(f"there are {len(self)} updates, not {update + 1}")
        pairs: list[int] = self.order[self.starts[update] : self.ends[update]].tolist()
        return pairs


def make_plan(pairs: IndexedPairs, order: NDArray[Any], *, size: UpdateSize, random: np.random.Generator) -> Plan:
    """Group shuffled pairs into updates of pairs of similar length, and shuffle the updates.

    Args:
        pairs: the pairs.
        order: the indices of the pairs in random order. The array is modified.
        size: the limits of the size of an update.
        random: the generator that shuffles the updates.
    """
    # Pairs are sorted within parts. The last update of a part may be small, so parts contain a hundred updates or more.
    part_size = max(20_000, 10 * size.tokens)
    cuts = [np.zeros(1, dtype=np.int64)]
    for begin in range(0, len(order), part_size):
        part = order[begin : begin + part_size]
        sources, targets = pairs.lengths(part)
        by_length = order_by_length(sources, targets)
        part[:] = part[by_length]
        longest = np.maximum(sources, targets)[by_length] + 1
        cuts.append(begin + split_groups(longest, size.tokens, size.sentences)[1:])
    borders = np.concatenate(cuts)
    shuffled = random.permutation(len(borders) - 1)
    return Plan(order=order, starts=borders[:-1][shuffled], ends=borders[1:][shuffled])


@dataclass(frozen=True, kw_only=True)
class UpdateOptions:
    """Options of the construction of updates."""

    size: UpdateSize
    sampling: bool
    """Whether each sentence is segmented into tokens at random each time it is used. Random segmentation requires the
    text of the pairs. It can make updates larger than `size.tokens`."""
    augmenter: Augmenter | None = None
    """What adds placeholders and terms to some pairs. This requires the text too, and makes updates larger."""
    seed: int
    shares_per_process: int = 1
    """The number of batches of an update that each process computes."""
    world: World = field(default_factory=World)

    @property
    def needs_text(self) -> bool:
        """Whether updates are made from the text of the pairs, and not from their ids."""
        return self.sampling or self.augmenter is not None


class BatchMaker:
    """Makes the batches of one process from the pairs of an update.

    The pairs are sorted by length. Each batch is a run of consecutive pairs, and all batches have nearly the same
    number of pairs. The first batches belong to the process with rank 0, the next batches to the process with rank 1,
    and so on.
    """

    def __init__(self, tokenizers: Tokenizers, options: UpdateOptions) -> None:
        self._tokenizers, self._seed = tokenizers, options.seed
        self._needs_text, self._augmenter = options.needs_text, options.augmenter
        count, rank = options.shares_per_process, options.world.rank
        self._shares, self._own_shares = count * options.world.size, range(count * rank, count * (rank + 1))

    def make_batches(self, pairs: IndexedPairs, indices: Sequence[int], *number: int) -> tuple[Batch, ...]:
        """Make the batches of this process.

        Args:
            pairs: the pairs of the corpora.
            indices: the indices of the pairs of the update.
            number: the epoch, the window and the number of the update. These numbers seed the random generator.
        """
        bounds = [share * len(indices) // self._shares for share in range(self._shares + 1)]
        # Each pair of the update has a seed for each side. The seeds do not depend on the process that has the pair.
        seeds: list[list[int]] = []
        if self._needs_text:
            sequence = np.random.SeedSequence((self._seed, SAMPLING, *number))
            seeds = sequence.generate_state(2 * len(indices)).reshape(-1, 2).tolist()
        batches = []
        for start, end in ((bounds[share], bounds[share + 1]) for share in self._own_shares):
            if start < end:
                sides = self._read_ids(pairs, indices[start:end], seeds[start:end])
                batches.append(make_batch(*sides, first=start, update_sentences=len(indices)))
        return tuple(batches)

    def _read_ids(
        self, pairs: IndexedPairs, indices: Sequence[int], seeds: Sequence[Sequence[int]]
    ) -> tuple[Sequence[Ids], Sequence[Ids]]:
        if not self._needs_text:
            return [pairs.source(index) for index in indices], [pairs.target(index) for index in indices]
        examples = [Example(pair=pairs.pair(index)) for index in indices]
        if self._augmenter:
            examples = [
                self._augmenter.augment(example.pair, seed) for example, (seed, _) in zip(examples, seeds, strict=True)
            ]
        texts = [example.pair for example in examples]
        source, target = self._tokenizers.source, self._tokenizers.target
        sampled = source.sample([pair.source for pair in texts], [seed for seed, _ in seeds])
        for place, example in enumerate(examples):
            if example.terms:
                parts = [(start, end) for start, end, _ in example.terms]
                tokens = find_tokens(source, example.pair.source, sampled[place], parts)
                words = [word for _, _, word in example.terms]
                sampled[place] = insert_terms(source, sampled[place], [*zip(tokens, words, strict=True)]).ids
        return (
            [source.encode_tags(pair.tags) + ids for pair, ids in zip(texts, sampled, strict=True)],
            target.sample([pair.target for pair in texts], [seed for _, seed in seeds]),
        )


def make_batch(
    sources: Sequence[Ids], targets: Sequence[Ids], *, first: int = 0, update_sentences: int | None = None
) -> Batch:
    """Append EOS to the ids of both sides, and pad them into a batch."""
    source, source_lengths = _pad(sources)
    target, target_lengths = _pad(targets)
    return Batch(
        source=source,
        source_lengths=source_lengths,
        target=target,
        target_lengths=target_lengths,
        first=first,
        update_sentences=update_sentences,
    )


def _pad(sequences: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    lengths = np.array([len(sequence) + 1 for sequence in sequences], dtype=np.int64)
    ids = np.full((len(sequences), int(lengths.max())), PAD, dtype=np.int64)
    # A loop over the rows would noticeably slow down updates on a fast GPU. The cast is needed because NumPy converts
    # empty lists to floats.
    ids[np.arange(ids.shape[1]) < lengths[:, None] - 1] = np.concatenate(sequences, dtype=np.int64, casting="unsafe")
    ids[np.arange(len(ids)), lengths - 1] = EOS
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def order_by_length(sources: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices that sort pairs by target length. Pairs of the same target length are sorted by source length.

    The sort is stable.
    """
    return np.argsort((targets << 32) | sources, kind="stable")


def split_groups(longest: NDArray[np.int64], tokens: int, sentences: int | None) -> NDArray[np.int64]:
    """Split consecutive pairs into groups that are as large as the limits allow.

    Args:
        longest: the number of tokens of the longer side of each pair.
        tokens: the limit of the size of a group. The size is the number of pairs times the tokens of the longest side.
            A single pair that exceeds the limit becomes its own group.
        sentences: the limit of the number of pairs in a group, or None for no limit.

    Returns:
        The bounds 0 = b₀ < b₁ < … = len(longest). Group i contains the pairs from bᵢ to bᵢ₊₁ - 1.
    """
    bounds = [0]
    while bounds[-1] < len(longest):
        start = bounds[-1]
        most = max(1, tokens // int(longest[start]))
        if sentences is not None:
            most = min(most, sentences)
        widths = np.maximum.accumulate(longest[start : start + most])
        sizes = widths * np.arange(1, len(widths) + 1)
        bounds.append(start + max(1, int(np.searchsorted(sizes, tokens, side="right"))))
    return np.array(bounds, dtype=np.int64)
