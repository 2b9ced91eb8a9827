"""A function that stores with a model which source words its training text has."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from nmt.checkpoint.training_text import load_known_words, save_known_words
from nmt.config.corpus import CorpusConfig
from nmt.config.schema import Config
from nmt.data.cleaning import SeenHashes, TextFilter, split_chunks
from nmt.data.known_words import KnownWords
from nmt.data.readers import read_pairs
from nmt.errors import ModelError
from nmt.tokenizers.standard_rules import build_normalizers

_CHUNK = 10_000  # the number of pairs that are cleaned at once


def add_known_words(path: Path, config: Config) -> None:
    """Store the source words of the training corpora, as they are after cleaning, in a model folder.

    If training started from another model, the words of that model are added.

    Raises:
        DataError: a corpus cannot be read.
        MachineError: the folder cannot be written.
    """
    data, text_filter = config.data, TextFilter(config.data, build_normalizers(config.tokenizer.normalization))

    def read_sources(corpus: CorpusConfig) -> Iterator[str]:
        seen = SeenHashes()
        for chunk in split_chunks(read_pairs(corpus, data), _CHUNK):
            yield from (pair.source for pair in text_filter.filter(chunk, seen)[0])

    known = KnownWords.learn((), data.source_language)
    for corpus in data.train:
        known = known.join(KnownWords.learn(read_sources(corpus), data.languages(corpus)[0]))
    if config.training.start_from:
        with contextlib.suppress(ModelError):  # the earlier model may have been removed since training
            known = known.join(load_known_words(config.training.start_from) or known)
    save_known_words(path, known)
