"""Functions that read sentence pairs from corpora. A corpus consists of files, or is a Hugging Face dataset."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import DataConfig
from nmt.data.formats import FORMATS, find_format
from nmt.data.formats.aligned import read_aligned
from nmt.data.formats.selection import Selection, SideColumn, Sides, select_sides
from nmt.data.huggingface import Rows, Table, dataset_files, dataset_parts, dataset_rows, text_tables
from nmt.data.pair import Pair
from nmt.data.text_files import COMPRESSIONS, File, find_file, find_files, is_pattern
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
    return interleave([read_pairs(corpus, data) for corpus in corpora])


def interleave(sequences: Sequence[Iterator[Pair]]) -> Iterator[Pair]:
    """Yield pairs from several iterators round-robin until every iterator has ended."""
    unfinished = list(sequences)
    while unfinished:
        for pairs in list(unfinished):
            if (pair := next(pairs, None)) is None:
                unfinished.remove(pairs)
            else:
                yield pair


def read_pairs(corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
    """Read all pairs of a corpus in order, and add the tags of the corpus. Empty pairs are included.

    Raises:
        DataError: a file is missing or cannot be read, or its lines do not form pairs.
        MachineError: the package that reads .zst files is needed but not installed.
    """
    selection = make_selection(corpus, data)
    if corpus.dataset is not None:
        if (tables := text_tables(corpus, selection)) is not None:
            return _add_tags(itertools.chain.from_iterable(read(0) for read in tables), corpus, data)
        rows = enumerate(dataset_rows(corpus, selection), start=1)
        return _add_tags(
            (select_sides(row, selection, f"{describe_corpus(corpus)}, row {number}") for number, row in rows),
            corpus,
            data,
        )
    parts = [_read_files(part, data, selection) for part in expand_path(corpus, data)]
    return _add_tags(itertools.chain.from_iterable(parts), corpus, data)


def _read_files(corpus: CorpusConfig, data: DataConfig, selection: Selection) -> Iterator[Sides | None]:
    """Read a corpus that is one file with both sides, or two aligned files."""
    files = _find_files(corpus, data)
    found = find_format(files[0]) if len(files) == 1 else None
    return found.read(files[0], selection) if found else read_aligned(*files)


def read_parts(corpus: CorpusConfig, data: DataConfig) -> list[Callable[[int], Iterator[Pair]]]:
    """List the parts of a corpus. The parts can be read in any order.

    The parts of a dataset are its files or shards. The parts of a pattern are the files that it matches. Every
    other corpus is a single part.

    Returns:
        A function for each part. The function takes the number of pairs to skip and returns the pairs that follow.

    Raises:
        DataError: as in `read_pairs`.
    """
    selection, name = make_selection(corpus, data), describe_corpus(corpus)

    def read_part(part: CorpusConfig, skip: int) -> Iterator[Pair]:
        return _add_tags(itertools.islice(_read_files(part, data, selection), skip, None), corpus, data)

    def read_table(read: Table, skip: int) -> Iterator[Pair]:
        return _add_tags(read(skip), corpus, data)

    def read_rows(read: Rows, skip: int) -> Iterator[Pair]:
        numbered = enumerate(read(skip), start=skip + 1)
        sides = (select_sides(row, selection, f"{name}, row {number} of a part") for number, row in numbered)
        return _add_tags(sides, corpus, data)

    if corpus.dataset is None:
        corpus_files(corpus, data)  # report a missing file now, not when the part is read
        return [partial(read_part, part) for part in expand_path(corpus, data)]
    if (tables := text_tables(corpus, selection)) is not None:
        return [partial(read_table, read) for read in tables]
    return [partial(read_rows, read) for read in dataset_parts(corpus, selection)]


def expand_path(corpus: CorpusConfig, data: DataConfig) -> list[CorpusConfig]:
    """List the corpora that match if the path of a corpus is a pattern, in the alphabetical order of their names.

    Any other corpus is returned as it is.

    Raises:
        DataError: the pattern matches no file.
    """
    path = corpus.path
    if path is None or not is_pattern(path):
        return [corpus]
    found_format = find_format(path)
    endings = [f".{data.languages(corpus)[0]}"] if not found_format or found_format.may_be_prefix else []
    for ending in [*endings, *([""] if found_format else [])]:
        if found := find_files(f"{path}{ending}"):
            return [dataclasses.replace(corpus, path=name.removesuffix(ending)) for name in found]
    raise DataError(f"{path}: matches no file; check the path and the languages")


def _add_tags(sides: Iterator[Sides | None], corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
    tags = data.tags_before(data.languages(corpus)[1], corpus.tag)
    return (Pair(*each, tags) if each else Pair("", "", tags, oversized=True) for each in sides)


def make_selection(corpus: CorpusConfig, data: DataConfig) -> Selection:
    """Return the languages and columns that readers look for in the files of a corpus."""
    source, target = data.languages(corpus)
    return Selection(
        source=SideColumn(role="source", language=source, column=corpus.source_column),
        target=SideColumn(role="target", language=target, column=corpus.target_column),
    )


def describe_corpus(corpus: CorpusConfig) -> str:
    """Describe a corpus for messages. The description names the files or the dataset, the languages and the tag."""
    if corpus.dataset is not None:
        name = " ".join(part for part in (corpus.dataset, corpus.name, corpus.split) if part)
    else:
        name = corpus.path if corpus.path is not None else f"{corpus.source} with {corpus.target}"
    details = {"from": corpus.source_language, "to": corpus.target_language, "with tag": corpus.tag}
    return " ".join([name, *(f"{word} {value}" for word, value in details.items() if value)])


def corpus_files(corpus: CorpusConfig, data: DataConfig) -> list[File]:
    """List the files of a corpus.

    Returns:
        The source file and the target file, or one file that contains both sides, or the local files of a dataset. If
        the path is a pattern, these are the files of all corpora that match.

    Raises:
        DataError: a file is missing.
    """
    if corpus.dataset is not None:
        return [*dataset_files(corpus.dataset)]
    return [file for part in expand_path(corpus, data) for file in _find_files(part, data)]


def _find_files(corpus: CorpusConfig, data: DataConfig) -> list[File]:
    """Find the files of a corpus that is one file with both sides, or two aligned files."""
    if corpus.path is None:
        return [_find(str(corpus.source)), _find(str(corpus.target))]
    found_format = find_format(corpus.path)
    if not (found_format and found_format.has_columns) and (corpus.source_column or corpus.target_column):
        raise DataError(
            f"{describe_corpus(corpus)}: source_column and target_column are only for datasets and for files in "
            f"{', '.join(ending for ending, each in FORMATS.items() if each.has_columns)}; remove them"
        )
    if found_format and not found_format.may_be_prefix:
        return [_find(corpus.path)]
    sides = [f"{corpus.path}.{language}" for language in data.languages(corpus)]
    found = [find_file(side) for side in sides]
    missing = [side for side, file in zip(sides, found, strict=True) if file is None]
    if missing and found_format:
        return [_find(corpus.path)]
    if missing:
        raise DataError(
            f"{corpus.path}: found no {' and no '.join(missing)} {_APPENDED}; check the path and the languages; "
            f"a file that holds both sides must end in {', '.join(FORMATS)}, compressed or not"
        )
    return [file for file in found if file is not None]


def _find(path: str) -> File:
    file = find_file(path)
    if file is None:
        raise DataError(f"{path}: no such file {_APPENDED}; check the path")
    return file
