"""Preparation of training corpora. Each corpus is read, cleaned, tokenized and stored, or an old store is reused."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import Config, DataConfig
from nmt.data.cleaning import Cleaner, CleaningReport, SeenHashes, split_chunks
from nmt.data.readers import corpus_files, describe_corpus, read_pairs
from nmt.data.store import DESCRIPTION, PairStore, StoreWriter
from nmt.data.text_files import file_version
from nmt.errors import DataError, ModelError
from nmt.system.files import (
    CHECKSUMS,
    checksum,
    remove_leftovers,
    temporary_folder,
    verify_checksums,
    whole_folder,
)
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.files import save_tokenizers

logger = logging.getLogger(__name__)

_FORMAT = 3  # the version of the format; increase it when older stores can no longer be reused
_CHUNK = 10_000  # the number of pairs that are cleaned and tokenized at once


def prepare(config: Config, tokenizers: Tokenizers, folder: Path) -> list[PairStore]:
    """Store each training corpus under `folder`, and log its cleaning report.

    A store of an earlier run is reused if its checksums are right and its inputs have not changed. The inputs are the
    settings, the tokenizers, and the path, size and modification time of each file. No other process may use `folder`,
    because this function removes all unfinished stores, which killed processes leave in the folder.

    Raises:
        DataError: no corpus is configured, a corpus cannot be read, or cleaning leaves no pair of a corpus.
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
        fingerprint = {**shared, "corpus": fingerprint_corpus(corpus, data)}
        path = folder / f"corpus-{index}"
        store = _open_reusable(path, fingerprint)
        if store is None:
            with whole_folder(path) as draft:
                _write(corpus, cleaner, draft, fingerprint, config, sizes)
            store = PairStore(path)
        logger.info("%s: %s", describe_corpus(corpus), store.report)
        stores.append(store)
    return stores


def _write(
    corpus: CorpusConfig, cleaner: Cleaner, draft: Path, fingerprint: Any, config: Config, sizes: tuple[int, int]
) -> None:
    """Write the store of one corpus into an empty folder. Raises DataError: cleaning leaves no pair of the corpus."""
    report, seen = CleaningReport(), SeenHashes()
    with StoreWriter(draft, sizes=sizes, text=config.needs_text) as writer:
        for chunk in split_chunks(read_pairs(corpus, config.data), _CHUNK):
            clean = cleaner.clean(chunk, seen)
            writer.add(clean.pairs, clean.sources, clean.targets)
            report += clean.report
        writer.finish(report, fingerprint)
    if not report.kept:
        raise DataError(
            f"{describe_corpus(corpus)}: no pair to learn from ({report}); check the corpus and data's limits"
        )


def _open_reusable(path: Path, fingerprint: Any) -> PairStore | None:
    """Open the store of an earlier run if it is whole and has this fingerprint. Otherwise return None."""
    if not (path / DESCRIPTION).is_file():
        return None
    try:
        store = PairStore(path)
        if store.fingerprint != fingerprint:
            return None
        unlisted = {file.name for file in path.iterdir()} - verify_checksums(path) - {CHECKSUMS}
    except (DataError, ModelError) as error:
        logger.warning("%s is damaged and is prepared again (%s)", path, str(error).partition(";")[0])
        return None
    if unlisted:
        logger.warning("%s has files without checksums (%s) and is prepared again", path, ", ".join(sorted(unlisted)))
        return None
    return store


def _shared_fingerprint(config: Config, tokenizers: Tokenizers) -> dict[str, Any]:
    data = config.data
    with temporary_folder() as folder:
        save_tokenizers(tokenizers, folder)
        checksums = {file.name: checksum(file) for file in sorted(folder.iterdir())}
    held_out = (*data.valid, *data.held_out) if data.drop_overlap else ()
    return {
        "format": _FORMAT,
        "tokenizers": checksums,
        "text": config.needs_text,
        "languages": [data.source_language, data.target_language],
        "tags": [data.target_tags, *data.tags],
        "limits": [data.max_length, data.max_ratio, data.drop_duplicates],
        "apart": [fingerprint_corpus(corpus, data) for corpus in held_out],
    }


def fingerprint_corpus(corpus: CorpusConfig, data: DataConfig) -> dict[str, Any]:
    """Return everything that determines the content of a corpus: its settings and the versions of its files."""
    settings = {key: value for key, value in asdict(corpus).items() if key != "weight"}
    return {**settings, "files": [file_version(file) for file in corpus_files(corpus, data)]}
