"""From corpora to stores: read, clean, tokenise and write, or reuse what an earlier run wrote."""

import logging
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nmt.config.schema import Config, CorpusConfig, DataConfig
from nmt.data.cleaning import Cleaner, CleaningReport, SeenHashes, chunks
from nmt.data.readers import corpus_files, describe, read_pairs
from nmt.data.store import DESCRIPTION, PairStore, StoreWriter
from nmt.data.text_files import file_version
from nmt.errors import DataError
from nmt.system.files import checksum, remove_leftovers, whole_folder
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import save_tokenizers

logger = logging.getLogger(__name__)

_FORMAT = 2  # raised whenever stores of older versions must not be reused
_CHUNK = 10_000  # pairs cleaned and tokenised at once


def prepare(config: Config, tokenizers: Tokenizers, folder: Path) -> list[PairStore]:
    """A store for each training corpus, under `folder`, with its cleaning report in the log.

    The folder is this training's own: hidden drafts that a killed process left in it are removed.
    A store is reused when its fingerprint agrees: inputs (files by path, size and time), tokenizers and settings.

    Raises:
        DataError: there is no corpus, one cannot be read, or cleaning leaves nothing of it.
        MachineError: the folder cannot be written.
    """
    data = config.data
    if not data.train:
        raise DataError("data.train: names no corpus to learn from; give one or a list")
    remove_leftovers(folder)
    shared = _shared_fingerprint(config, tokenizers)
    cleaner, sizes = Cleaner(data, tokenizers), (tokenizers.source.size, tokenizers.target.size)
    stores = []
    for index, corpus in enumerate(data.train):
        fingerprint = {**shared, "corpus": _corpus_fingerprint(corpus, data)}
        place = folder / f"corpus-{index}"
        store = _reusable(place, fingerprint)
        if store is None:
            with whole_folder(place) as draft:
                _write(corpus, cleaner, draft, fingerprint, config, sizes)
            store = PairStore(place)
        logger.info("%s: %s", describe(corpus), store.report)
        stores.append(store)
    return stores


def open_stores(data: DataConfig, folder: Path) -> list[PairStore]:
    """The stores that `prepare` has made, by this process or another. Raises DataError: one is missing or damaged."""
    return [PairStore(folder / f"corpus-{index}") for index in range(len(data.train))]


def _write(
    corpus: CorpusConfig, cleaner: Cleaner, draft: Path, fingerprint: Any, config: Config, sizes: tuple[int, int]
) -> None:
    """Write the store of one corpus into an empty folder. Raises DataError: nothing is left of it."""
    report, seen = CleaningReport(), SeenHashes()
    with StoreWriter(draft, sizes=sizes, text=config.tokenizer.sampling > 0) as writer:
        for chunk in chunks(read_pairs(corpus, config.data), _CHUNK):
            clean = cleaner.clean(chunk, seen)
            writer.add(clean.pairs, clean.sources, clean.targets)
            report += clean.report
        writer.finish(report, fingerprint)
    if not report.kept:
        raise DataError(f"{describe(corpus)}: no pair to learn from ({report}); check the corpus and data's limits")


def _reusable(place: Path, fingerprint: Any) -> PairStore | None:
    """The store that an earlier run wrote, when it was made from the same."""
    if not (place / DESCRIPTION).is_file():
        return None
    try:
        store = PairStore(place)
    except DataError:
        return None
    return store if store.fingerprint == fingerprint else None


def _shared_fingerprint(config: Config, tokenizers: Tokenizers) -> dict[str, Any]:
    data = config.data
    apart = (*data.valid, *data.held_out) if data.drop_overlap else ()
    return {
        "format": _FORMAT,
        "tokenizers": _tokenizer_checksums(tokenizers),
        "text": config.tokenizer.sampling > 0,
        "languages": [data.source_language, data.target_language],
        "tags": [data.target_tags, *data.tags],
        "limits": [data.max_length, data.max_ratio, data.drop_duplicates],
        "apart": [_corpus_fingerprint(corpus, data) for corpus in apart],
    }


def _corpus_fingerprint(corpus: CorpusConfig, data: DataConfig) -> dict[str, Any]:
    """What a corpus is read from: its settings, and its files with sizes and times; none for a dataset on the hub."""
    settings = {key: value for key, value in asdict(corpus).items() if key != "weight"}
    return {**settings, "files": [file_version(file) for file in corpus_files(corpus, data)]}


def _tokenizer_checksums(tokenizers: Tokenizers) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizers(tokenizers, Path(folder))
        return {file.name: checksum(file) for file in sorted(Path(folder).iterdir())}
