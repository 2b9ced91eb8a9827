"""From corpora to stores: read, clean, tokenise and write, or reuse what an earlier run wrote."""

import itertools
import logging
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config import Config, CorpusConfig, DataConfig
from nmt.data.cleaning import CleaningReport, SeenHashes, contains, pair_hashes
from nmt.data.readers import corpus_files, describe, read_corpora, read_pairs
from nmt.data.store import DESCRIPTION, PairStore, StoreWriter
from nmt.errors import DataError
from nmt.files import checksum, remove_leftovers, whole_folder
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import save_tokenizers

logger = logging.getLogger(__name__)

_FORMAT = 1  # raised whenever stores of older versions must not be reused
_CHUNK = 10_000  # pairs cleaned and tokenised at once

Pairs = list[tuple[str, str]]


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
    preparation = _Preparation(data, tokenizers, text=config.tokenizer.sampling > 0)
    stores = []
    for index, corpus in enumerate(data.train):
        fingerprint = {**shared, "corpus": _corpus_fingerprint(corpus, data)}
        place = folder / f"corpus-{index}"
        store = _reusable(place, fingerprint)
        if store is None:
            with whole_folder(place) as draft:
                preparation.write(corpus, draft, fingerprint)
            store = PairStore(place)
        logger.info("%s: %s", describe(corpus), store.report)
        stores.append(store)
    return stores


def open_stores(data: DataConfig, folder: Path) -> list[PairStore]:
    """The stores that `prepare` has made, by this process or another. Raises DataError: one is missing or damaged."""
    return [PairStore(folder / f"corpus-{index}") for index in range(len(data.train))]


class _Preparation:
    """What is the same for all corpora."""

    def __init__(self, data: DataConfig, tokenizers: Tokenizers, *, text: bool) -> None:
        self._data, self._tokenizers, self._text = data, tokenizers, text
        self._apart: NDArray[np.uint64] | None = None

    def write(self, corpus: CorpusConfig, draft: Path, fingerprint: Any) -> None:
        """Write the store of one corpus into an empty folder. Raises DataError: nothing is left of it."""
        sizes = (self._tokenizers.source.size, self._tokenizers.target.size)
        report, seen = CleaningReport(), SeenHashes()
        with StoreWriter(draft, sizes=sizes, text=self._text) as writer:
            for chunk in _chunks(read_pairs(corpus, self._data)):
                report += self._add(chunk, seen, writer)
            writer.finish(report, fingerprint)
        if not report.kept:
            raise DataError(f"{describe(corpus)}: no pair to learn from ({report}); check the corpus and data's limits")

    def _add(self, pairs: Pairs, seen: SeenHashes, writer: StoreWriter) -> CleaningReport:
        """Clean and store a chunk."""
        counts = {"read": len(pairs)}
        pairs = [pair for pair in pairs if pair[0].strip() and pair[1].strip()]
        counts["empty"] = counts["read"] - len(pairs)
        pairs = self._without_known(pairs, seen, counts)
        sources = self._tokenizers.source.encode_lines([source for source, _ in pairs])
        targets = self._tokenizers.target.encode_lines([target for _, target in pairs])
        kept = self._fitting(sources, targets, counts)
        writer.add([pairs[i] for i in kept], [sources[i] for i in kept], [targets[i] for i in kept])
        return CleaningReport(kept=len(kept), **counts)

    def _without_known(self, pairs: Pairs, seen: SeenHashes, counts: dict[str, int]) -> Pairs:
        """Pairs that are neither duplicates nor in the validation and held-out corpora."""
        hashes = pair_hashes(pairs)
        fresh = seen.add(hashes) if self._data.drop_duplicates else np.ones(len(pairs), dtype=np.bool_)
        overlap = fresh & contains(self._hashes_apart(), hashes)
        counts["duplicates"] = int((~fresh).sum())
        counts["overlap"] = int(overlap.sum())
        return list(itertools.compress(pairs, fresh & ~overlap))

    def _hashes_apart(self) -> NDArray[np.uint64]:
        """Sorted hashes of the validation and held-out pairs; none when they may be learned from."""
        if self._apart is None:
            corpora = (*self._data.valid, *self._data.held_out) if self._data.drop_overlap else ()
            chunks = _chunks(read_corpora(corpora, self._data))
            hashes = [pair_hashes(chunk) for chunk in chunks]
            self._apart = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *hashes]))
        return self._apart

    def _fitting(self, sources: list[list[int]], targets: list[list[int]], counts: dict[str, int]) -> list[int]:
        """Indices of the pairs whose numbers of pieces are within the limits."""
        lengths = np.array([[len(ids) for ids in sources], [len(ids) for ids in targets]], dtype=np.int64)
        shorter, longer = lengths.min(axis=0), lengths.max(axis=0)
        empty = shorter == 0  # a SentencePiece model from elsewhere may make nothing of some characters
        long = ~empty & (longer > self._data.max_length)
        ratio = ~empty & ~long & (longer > self._data.max_ratio * shorter)
        counts["empty"] += int(empty.sum())
        counts["long"] = int(long.sum())
        counts["ratio"] = int(ratio.sum())
        kept: list[int] = np.flatnonzero(~(empty | long | ratio)).tolist()
        return kept


def _chunks(pairs: Iterable[tuple[str, str]]) -> Iterator[Pairs]:
    iterator = iter(pairs)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        yield chunk


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
        "limits": [data.max_length, data.max_ratio, data.drop_duplicates],
        "apart": [_corpus_fingerprint(corpus, data) for corpus in apart],
    }


def _corpus_fingerprint(corpus: CorpusConfig, data: DataConfig) -> dict[str, Any]:
    """What a corpus is read from: its settings, and its files with sizes and times; none for a dataset on the hub."""
    settings = {key: value for key, value in asdict(corpus).items() if key != "weight"}
    states = [(file, file.stat()) for file in corpus_files(corpus, data)]
    return {**settings, "files": [[str(file.resolve()), state.st_size, state.st_mtime_ns] for file, state in states]}


def _tokenizer_checksums(tokenizers: Tokenizers) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizers(tokenizers, Path(folder))
        return {file.name: checksum(file) for file in sorted(Path(folder).iterdir())}
