"""The updates that the training corpora of a configuration give."""

import contextlib
from collections.abc import Iterator, Sequence

from nmt.config.schema import Config, DataConfig
from nmt.data.batching import Batches
from nmt.data.cursor import Cursor, UpdateSize
from nmt.data.store import PairStore
from nmt.data.stream import Stream
from nmt.data.updates import UpdateOptions, UpdateSource
from nmt.tokenizers.base import Tokenizers
from nmt.types import Batch

_TOKENS = 8192  # of a batch of the first epoch


def update_source(
    data: DataConfig, stores: Sequence[PairStore], tokenizers: Tokenizers, options: UpdateOptions
) -> UpdateSource:
    """The training pairs, streamed, or from the stores that they are prepared in."""
    if data.streams:
        return Stream(data, tokenizers=tokenizers, options=options)
    return Batches(stores, tokenizers=tokenizers, weights=_weights(data, stores), options=options)


def first_epoch(config: Config, tokenizers: Tokenizers, stores: Sequence[PairStore]) -> Iterator[Batch]:
    """The training pairs in the order of the first epoch, segmented as for translation."""
    options = UpdateOptions(size=UpdateSize(tokens=_TOKENS), sampling=False, seed=config.training.seed)
    with contextlib.closing(update_source(config.data, stores, tokenizers, options).updates(Cursor())) as updates:
        for update in updates:
            yield from update.batches
            if update.after.epoch:
                return


def _weights(data: DataConfig, stores: Sequence[PairStore]) -> list[float] | None:
    """The corpora's shares of the pairs, relative to each other: as given, or made from their sizes; None: as they are."""
    if data.temperature is not None:
        return [len(store) ** (1 / data.temperature) for store in stores]
    return [corpus.weight for corpus in data.train if corpus.weight is not None] or None
