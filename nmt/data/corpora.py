"""Functions that make training updates from the training corpora of a configuration."""

import contextlib
from collections.abc import Iterator, Sequence

from nmt.config.schema import Config, DataConfig
from nmt.data.batch import Batch
from nmt.data.batching import Batches
from nmt.data.cursor import Cursor, UpdateSize
from nmt.data.store import PairStore
from nmt.data.stream import Stream
from nmt.data.updates import UpdateOptions, UpdateSource
from nmt.tokenizers.base import Tokenizers

_MAX_BATCH_TOKENS = 8192  # the limit of tokens per batch in `read_first_epoch`


def build_update_source(
    data: DataConfig, stores: Sequence[PairStore], tokenizers: Tokenizers, options: UpdateOptions
) -> UpdateSource:
    """Build the source of training updates. It reads streams if a corpus is streaming, and reads stores otherwise."""
    if data.streams:
        return Stream(data, tokenizers=tokenizers, options=options)
    if data.temperature is not None:
        weights = [len(store) ** (1 / data.temperature) for store in stores]
    else:
        weights = [corpus.weight for corpus in data.train if corpus.weight is not None]
    return Batches(stores, tokenizers=tokenizers, weights=weights or None, options=options)


def read_first_epoch(config: Config, tokenizers: Tokenizers, stores: Sequence[PairStore]) -> Iterator[Batch]:
    """Yield the training pairs in batches. They are in the order of the first epoch, without random segmentation."""
    options = UpdateOptions(size=UpdateSize(tokens=_MAX_BATCH_TOKENS), sampling=False, seed=config.training.seed)
    with contextlib.closing(build_update_source(config.data, stores, tokenizers, options).updates(Cursor())) as updates:
        for update in updates:
            yield from update.batches
            if update.after.epoch:
                return
