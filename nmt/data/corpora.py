"""The updates that the training corpora of a configuration give."""

from collections.abc import Sequence

from nmt.config import DataConfig
from nmt.data.batching import Batches
from nmt.data.store import PairStore
from nmt.data.stream import Stream
from nmt.data.updates import UpdateOptions, UpdateSource
from nmt.tokenizers.base import Tokenizers


def update_source(
    data: DataConfig, stores: Sequence[PairStore], tokenizers: Tokenizers, options: UpdateOptions
) -> UpdateSource:
    """The training pairs, streamed, or from the stores that they are prepared in."""
    if data.streams:
        return Stream(data, tokenizers=tokenizers, options=options)
    return Batches(stores, tokenizers=tokenizers, weights=_weights(data, stores), options=options)


def _weights(data: DataConfig, stores: Sequence[PairStore]) -> list[float] | None:
    """The corpora's shares of the pairs, relative to each other: as given, or made from their sizes; None: as they are."""
    if data.temperature is not None:
        return [len(store) ** (1 / data.temperature) for store in stores]
    return [corpus.weight for corpus in data.train if corpus.weight is not None] or None
