"""What the corpora of a configuration give: updates to train on, pairs to validate with."""

from collections.abc import Sequence
from itertools import islice

from nmt.config import Config, DataConfig
from nmt.data.batching import Batches
from nmt.data.readers import read_corpora
from nmt.data.store import PairStore
from nmt.data.stream import Stream
from nmt.data.updates import UpdateOptions, UpdateSource
from nmt.errors import DataError
from nmt.tokenizers.base import Tokenizers


def update_source(
    data: DataConfig, stores: Sequence[PairStore], tokenizers: Tokenizers, options: UpdateOptions
) -> UpdateSource:
    """The training pairs, streamed, or from the stores that they are prepared in."""
    if data.streams:
        return Stream(data, tokenizers=tokenizers, options=options)
    weights = [corpus.weight for corpus in data.train if corpus.weight is not None]
    return Batches(stores, tokenizers=tokenizers, weights=weights or None, options=options)


def validation_pairs(config: Config) -> list[tuple[str, str]]:
    """The pairs that checkpoints are judged on. Raises DataError: there is none."""
    pairs = list(islice(read_corpora(config.data.valid, config.data), config.validation.sentences))
    if not pairs:
        raise DataError("data.valid: the corpora hold no pair; name files with text in them")
    return pairs
