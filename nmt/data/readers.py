"""Corpora as pairs of lines: two aligned files, a .tsv or .jsonl file, or a Hugging Face dataset."""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nmt.config.schema import CorpusConfig, DataConfig
from nmt.data.huggingface import dataset_files, dataset_parts, dataset_rows
from nmt.data.pair import Pair
from nmt.data.text_files import existing, read_lines
from nmt.errors import DataError
from nmt.tokenizers.base import without_surrogates

_LINE_BREAK = re.compile(r"\r?\n")


def read_corpora(corpora: Sequence[CorpusConfig], data: DataConfig) -> Iterator[Pair]:
    """The pairs of several corpora, one after another. Raises DataError as `read_pairs` does."""
    return itertools.chain.from_iterable(read_pairs(corpus, data) for corpus in corpora)


def read_in_turn(corpora: Sequence[CorpusConfig], data: DataConfig) -> Iterator[Pair]:
    """The pairs of several corpora, one of each in turn as long as it has any. Raises DataError as `read_pairs` does."""
    reading = [read_pairs(corpus, data) for corpus in corpora]
    while reading:
        remaining = []
        for pairs in reading:
            if (pair := next(pairs, None)) is not None:
                remaining.append(pairs)
                yield pair
        reading = remaining


def read_pairs(corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
    """All pairs of a corpus in order, empty ones too, with the tags of the corpus.

    Raises:
        DataError: a file is missing, cannot be read, or its lines do not pair up.
        MachineError: a .zst file, and zstandard is not installed.
    """
    return _add_tags(_read_sides(corpus, data), corpus, data)


def _add_tags(sides: Iterator[tuple[str, str]], corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
    tags = data.tags_before(data.languages(corpus)[1], corpus.tag)
    return (Pair(source, target, tags) for source, target in sides)


def _read_sides(corpus: CorpusConfig, data: DataConfig) -> Iterator[tuple[str, str]]:
    if corpus.dataset is not None:
        return _read_dataset(corpus, data)
    files = corpus_files(corpus, data)
    if len(files) == 2:
        return _read_aligned(*files)
    return _read_jsonl(files[0], corpus, data) if _kind(files[0]) == ".jsonl" else _read_tsv(files[0])


def read_parts(corpus: CorpusConfig, data: DataConfig) -> list[Callable[[int], Iterator[Pair]]]:
    """The parts that a corpus can be read in, in any order: the files of a dataset, or all of it as one. Each is a function of
    the number of pairs to skip, which gives the pairs after them.

    Raises:
        DataError: as `read_pairs` does.
    """
    if corpus.dataset is None:
        corpus_files(corpus, data)  # a missing file is told now
        return [lambda skip: itertools.islice(read_pairs(corpus, data), skip, None)]
    return [partial(_read_part, rows, corpus, data) for rows in dataset_parts(corpus, _columns(corpus, data))]


def _read_part(
    rows: Callable[[int], Iterator[Mapping[str, Any]]], corpus: CorpusConfig, data: DataConfig, skip: int
) -> Iterator[Pair]:
    where = f"{describe(corpus)}, row {{}} of a part"
    sides = (_pair(row, corpus, data, where.format(number)) for number, row in enumerate(rows(skip), start=skip + 1))
    return _add_tags(sides, corpus, data)


def describe(corpus: CorpusConfig) -> str:
    """The corpus in a few words, for messages: where it is, and what it has of its own."""
    own = {"from": corpus.source_language, "to": corpus.target_language, "with tag": corpus.tag}
    return " ".join([_place(corpus), *(f"{word} {value}" for word, value in own.items() if value)])


def _place(corpus: CorpusConfig) -> str:
    if corpus.dataset is not None:
        return " ".join(part for part in (corpus.dataset, corpus.name, corpus.split) if part)
    return corpus.path if corpus.path is not None else f"{corpus.source} with {corpus.target}"


def corpus_files(corpus: CorpusConfig, data: DataConfig) -> list[Path]:
    """The files that a corpus is read from: source and target, or one that holds both, or what is local of a dataset.

    Raises:
        DataError: a file is missing.
    """
    if corpus.dataset is not None:
        return dataset_files(corpus.dataset)
    if corpus.path is None:
        return [_found(str(corpus.source)), _found(str(corpus.target))]
    if _kind(corpus.path):
        return [_found(corpus.path)]
    sides = [f"{corpus.path}.{language}" for language in data.languages(corpus)]
    found = [existing(side) for side in sides]
    missing = [side for side, file in zip(sides, found, strict=True) if file is None]
    if missing:
        raise DataError(
            f"{corpus.path}: found no {' and no '.join(missing)} (nor with .gz or .zst behind it); check the path and "
            "the languages; a file that holds both sides must end in .tsv or .jsonl, or in .gz or .zst behind that"
        )
    return [file for file in found if file is not None]


def _kind(path: str | Path) -> str | None:
    """`.tsv` or `.jsonl` by the ending of a name, compressed or not; None for anything else."""
    name = re.sub(r"\.(gz|zst)$", "", str(path))
    return next((ending for ending in (".tsv", ".jsonl") if name.endswith(ending)), None)


def _found(path: str) -> Path:
    file = existing(path)
    if file is None:
        raise DataError(f"{path}: no such file (nor with .gz or .zst behind it); check the path")
    return file


def _read_aligned(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    sources, targets = read_lines(source), read_lines(target)
    for number, (left, right) in enumerate(itertools.zip_longest(sources, targets)):
        if left is None or right is None:
            longer = number + 1 + sum(1 for _ in (targets if left is None else sources))
            counts = (number, longer) if left is None else (longer, number)
            raise DataError(
                f"{source} has {counts[0]} lines but {target} has {counts[1]}; "
                "line N of one must be the translation of line N of the other: mend the files"
            )
        yield left, right


def _read_tsv(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(path), start=1):
        columns = line.split("\t")
        if len(columns) < 2:
            raise DataError(f"{path}:{number}: has no tab; a line must hold source, tab, target: mend or remove it")
        yield columns[0], columns[1]


def _read_jsonl(path: Path, corpus: CorpusConfig, data: DataConfig) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not valid JSON ({error}); a line must hold one object") from error
        if not isinstance(row, dict):
            raise DataError(f"{where}: must hold an object, not {json.dumps(row)[:40]}")
        yield _pair(row, corpus, data, where)


def _read_dataset(corpus: CorpusConfig, data: DataConfig) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(dataset_rows(corpus, _columns(corpus, data)), start=1):
        yield _pair(row, corpus, data, f"{describe(corpus)}, row {number}")


def _columns(corpus: CorpusConfig, data: DataConfig) -> tuple[str, str]:
    source, target = data.languages(corpus)
    return corpus.source_column or source, corpus.target_column or target


def _pair(row: Mapping[str, Any], corpus: CorpusConfig, data: DataConfig, where: str) -> tuple[str, str]:
    """Both sides of a row, from its own columns or from those of its `translation`."""
    source, target = _columns(corpus, data)
    return _text(row, source, where), _text(row, target, where)


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    inner = row.get("translation")
    holder = inner if column not in row and isinstance(inner, Mapping) else row
    if column not in holder:
        raise DataError(
            f"{where}: has no {column!r}, only {', '.join(map(repr, holder)) or 'nothing'}; "
            "set source_column and target_column of the corpus, or the languages"
        )
    value = holder[column]
    if value is None:  # a gap in a table; cleaning leaves the pair out as one with an empty side
        return ""
    if not isinstance(value, str):
        raise DataError(f"{where}: {column!r} must be text, not {json.dumps(value, default=str)[:40]}; mend it")
    return _LINE_BREAK.sub(" ", without_surrogates(value))
