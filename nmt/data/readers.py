"""Readers of sentence pairs from corpora, which are files in any supported format or Hugging Face datasets."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from nmt.config.schema import CorpusConfig, DataConfig
from nmt.data.formats import FORMATS, Columns, Sides, find_format, read_aligned, select_sides
from nmt.data.huggingface import dataset_files, dataset_parts, dataset_rows
from nmt.data.pair import Pair
from nmt.data.text_files import COMPRESSIONS, File, find_file
from nmt.errors import DataError

_APPENDED = f"(nor with {', '.join(COMPRESSIONS[1:-1])} or {COMPRESSIONS[-1]} appended)"


def read_corpora(corpora: Sequence[CorpusConfig], data: DataConfig) -> Iterator[Pair]:
    """Read the pairs of several corpora, one corpus after the other. Raises DataError as `read_pairs` does."""
    return itertools.chain.from_iterable(read_pairs(corpus, data) for corpus in corpora)


def read_round_robin(corpora: Sequence[CorpusConfig], data: DataConfig) -> Iterator[Pair]:
    """Read the pairs of several corpora round-robin until every corpus has ended.

    Raises:
        DataError: as in `read_pairs`.
    """
    unfinished = [read_pairs(corpus, data) for corpus in corpora]
    while unfinished:
        for pairs in list(unfinished):
            if (pair := next(pairs, None)) is None:
                unfinished.remove(pairs)
            else:
                yield pair


def read_pairs(corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
    """Read all pairs of a corpus in order, including empty pairs, and add the tags of the corpus.

    Raises:
        DataError: a file is missing or cannot be read, or its lines do not form pairs.
        MachineError: the package that reads .zst files is needed but not installed.
    """
    columns = _columns(corpus, data)
    if corpus.dataset is not None:
        rows = enumerate(dataset_rows(corpus, (columns.source, columns.target)), start=1)
        return _add_tags(
            (select_sides(row, columns, f"{describe(corpus)}, row {number}") for number, row in rows), corpus, data
        )
    files = corpus_files(corpus, data)
    read = find_format(files[0]) if len(files) == 1 else None
    return _add_tags(read(files[0], columns) if read else read_aligned(*files), corpus, data)


def read_parts(corpus: CorpusConfig, data: DataConfig) -> list[Callable[[int], Iterator[Pair]]]:
    """List the parts of a corpus, which can be read in any order.

    The parts of a dataset are its files or shards. Every other corpus is a single part.

    Returns:
        A function for each part. The function takes a number of pairs to skip and returns the pairs that follow.

    Raises:
        DataError: as in `read_pairs`.
    """
    if corpus.dataset is None:
        corpus_files(corpus, data)  # report a missing file now, not when the part is read
        return [lambda skip: itertools.islice(read_pairs(corpus, data), skip, None)]
    columns = _columns(corpus, data)
    parts = dataset_parts(corpus, (columns.source, columns.target))
    return [partial(_read_part, rows, columns, corpus, data) for rows in parts]


def _read_part(
    rows: Callable[[int], Iterator[Mapping[str, Any]]],
    columns: Columns,
    corpus: CorpusConfig,
    data: DataConfig,
    skip: int,
) -> Iterator[Pair]:
    name, numbered = describe(corpus), enumerate(rows(skip), start=skip + 1)
    sides = (select_sides(row, columns, f"{name}, row {number} of a part") for number, row in numbered)
    return _add_tags(sides, corpus, data)


def _add_tags(sides: Iterator[Sides], corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
    tags = data.tags_before(data.languages(corpus)[1], corpus.tag)
    return (Pair(source, target, tags) for source, target in sides)


def _columns(corpus: CorpusConfig, data: DataConfig) -> Columns:
    source, target = data.languages(corpus)
    return Columns(source=corpus.source_column or source, target=corpus.target_column or target)


def describe(corpus: CorpusConfig) -> str:
    """Describe a corpus for messages by its files or its dataset, its languages and its tag."""
    if corpus.dataset is not None:
        name = " ".join(part for part in (corpus.dataset, corpus.name, corpus.split) if part)
    else:
        name = corpus.path if corpus.path is not None else f"{corpus.source} with {corpus.target}"
    details = {"from": corpus.source_language, "to": corpus.target_language, "with tag": corpus.tag}
    return " ".join([name, *(f"{word} {value}" for word, value in details.items() if value)])


def corpus_files(corpus: CorpusConfig, data: DataConfig) -> list[File]:
    """List the files of a corpus.

    Returns:
        The source and the target file, or one file that contains both sides, or the local files of a dataset.

    Raises:
        DataError: a file is missing.
    """
    if corpus.dataset is not None:
        return [*dataset_files(corpus.dataset)]
    if corpus.path is None:
        return [_find(str(corpus.source)), _find(str(corpus.target))]
    if find_format(corpus.path):
        return [_find(corpus.path)]
    sides = [f"{corpus.path}.{language}" for language in data.languages(corpus)]
    found = [find_file(side) for side in sides]
    missing = [side for side, file in zip(sides, found, strict=True) if file is None]
    if missing:
        raise DataError(
            f"{corpus.path}: found no {' and no '.join(missing)} {_APPENDED}; check the path and the languages; "
            f"a file that holds both sides must end in {' or '.join(FORMATS)}, compressed or not"
        )
    return [file for file in found if file is not None]


def _find(path: str) -> File:
    file = find_file(path)
    if file is None:
        raise DataError(f"{path}: no such file {_APPENDED}; check the path")
    return file
