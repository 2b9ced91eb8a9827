"""Functions that read Hugging Face datasets from the hub or from local files."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nmt.config.corpus import CorpusConfig
from nmt.data.formats import find_format
from nmt.data.formats.selection import Selection, Sides, find_name
from nmt.data.text_files import COMPRESSIONS
from nmt.errors import DataError, MachineError
from nmt.system.files import is_disk_full

_BLOCK = 1000  # the number of rows that are read at once

# The name of the builder in the package `datasets` for each file name extension.
_BUILDERS = {".parquet": "parquet", ".arrow": "arrow"}
# nmt/data/formats reads these files, because `datasets` would read words such as null and NA as missing values.
_TEXT = (".tsv", ".csv", ".jsonl", ".json")

Rows = Callable[[int], Iterator[Mapping[str, Any]]]
"""A function that reads the rows of a part. Its argument is the number of rows to skip at the start."""
Table = Callable[[int], Iterator[Sides | None]]
"""A function that reads the pairs of a file. Its argument is the number of pairs to skip at the start."""


def dataset_files(dataset: str) -> list[Path]:
    """List the files of a local dataset in sorted order. The list is empty for a dataset on the hub.

    Raises:
        DataError: the name starts like a path, but the path does not exist.
    """
    path = Path(dataset)
    if dataset.startswith(("/", "./", "../")) and not path.exists():
        raise DataError(f"{dataset}: no such file or folder; check the path of the dataset")
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []


def text_tables(corpus: CorpusConfig, selection: Selection) -> list[Table] | None:
    """List the parts of a split that consists of local text tables. nmt/data/formats reads these files.

    Returns:
        A function for each part, or None if the package `datasets` must read the dataset.

    Raises:
        DataError: the dataset or the split does not exist, or a file cannot be read.
    """
    path = Path(str(corpus.dataset))
    files = [str(file) for file in dataset_files(str(path))]
    if not any(map(_is_text, files)) or _is_saved(path):
        return None
    with _explain_errors(corpus), _quiet():
        import datasets  # slow to import, and not needed for plain files

        splits = {"train": files}
        if path.is_dir():
            found = datasets.load_dataset_builder(str(path), corpus.name).config.data_files or {}
            splits = {str(split): [str(file) for file in names] for split, names in found.items()}
        if not all(map(_is_text, itertools.chain.from_iterable(splits.values()))):
            return None
        if corpus.split in splits:
            return [partial(_read_slice, [file], selection, 0, None) for file in splits[corpus.split]]
        # The split is a slice such as train[:1000], or a sum such as train+test.
        instruction = datasets.ReadInstruction.from_spec(corpus.split)
        sizes = {
            split: sum(1 for _ in _read_slice(names, selection, 0, None, 0)) if split in corpus.split else 0
            for split, names in splits.items()
        }
        parts = instruction.to_absolute(sizes)
        return [partial(_read_slice, splits[part.splitname], selection, part.from_ or 0, part.to) for part in parts]


def _is_text(file: str) -> bool:
    return file.lower().endswith(tuple(ending + compression for ending in _TEXT for compression in COMPRESSIONS))


def _read_slice(
    files: Sequence[str], selection: Selection, begin: int, end: int | None, skip: int
) -> Iterator[Sides | None]:
    formats = ((file, find_format(file)) for file in files)
    pairs = itertools.chain.from_iterable(found.read(file, selection) for file, found in formats if found)
    return itertools.islice(pairs, begin + skip, end)


def dataset_rows(corpus: CorpusConfig, selection: Selection) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of `corpus.dataset`.

    If the dataset has the columns of `selection`, the rows contain only these columns. Otherwise, if it has a column
    `translation`, the rows contain only that column.

    Raises:
        DataError: the dataset or split does not exist, or cannot be read or downloaded.
    """
    with _explain_errors(corpus):
        yield from _open(corpus, selection)


def dataset_parts(corpus: CorpusConfig, selection: Selection) -> list[Rows]:
    """List the parts of a dataset. Each part is a file or a shard.

    Raises:
        DataError: as in `dataset_rows`.
    """

    def read(part: Any, skip: int) -> Iterator[Mapping[str, Any]]:
        with _explain_errors(corpus):
            # Reading in blocks is faster than plain iteration. In addition, plain iteration may divide the rows among
            # processes.
            for block in (part.skip(skip) if skip else part).iter(batch_size=_BLOCK):
                for row in zip(*block.values(), strict=True):
                    yield dict(zip(block, row, strict=True))

    with _explain_errors(corpus):
        rows = _open(corpus, selection)
        stream = rows.to_iterable_dataset() if hasattr(rows, "to_iterable_dataset") else rows
        count = stream.num_shards
        return [partial(read, stream.shard(count, part)) for part in range(count)]


@contextlib.contextmanager
def _explain_errors(corpus: CorpusConfig) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # `datasets` raises errors of many libraries
        if is_disk_full(error):
            raise MachineError(
                f"dataset {corpus.dataset}: the disk of the cache is full; free some space, or set HF_HOME to a folder "
                "on another disk"
            ) from error
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"dataset {corpus.dataset}: split {corpus.split} cannot be read ({lines[0].strip()}); "
            "check dataset, name and split, or the connection"
        ) from error


def _open(corpus: CorpusConfig, selection: Selection) -> Any:
    """Open the dataset. If its columns are known, keep only the columns of both sides, or else `translation`."""
    with _quiet():
        rows = _load(corpus)
    present = rows.column_names or ()  # some streams have None as column names
    names = [name for side in selection.sides if (name := find_name(present, side))]
    if len(names) < 2:
        names = ["translation"] if "translation" in present else []
    return rows.select_columns(list(dict.fromkeys(names))) if names else rows  # others may be large, images for example


def _load(corpus: CorpusConfig) -> Any:
    import datasets  # slow to import, and not needed for plain files

    path = Path(str(corpus.dataset))
    if _is_saved(path):
        return _load_saved(path, corpus)
    options: dict[str, Any] = {"split": corpus.split, "streaming": corpus.streaming}
    if path.is_file():
        if path.suffix not in _BUILDERS:
            raise ValueError(f"a dataset file must end in one of {', '.join((*_BUILDERS, *_TEXT))}")
        return datasets.load_dataset(_BUILDERS[path.suffix], data_files=str(path), **options)
    return datasets.load_dataset(str(corpus.dataset), corpus.name, **options)


def _is_saved(path: Path) -> bool:
    """Return whether a folder was written by `save_to_disk`."""
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def _load_saved(path: Path, corpus: CorpusConfig) -> Any:
    """Load the split of a folder that `save_to_disk` wrote. A dataset without splits counts as the split `train`."""
    import datasets

    saved = datasets.load_from_disk(str(path))
    splits = saved if isinstance(saved, datasets.DatasetDict) else {"train": saved}
    # load_from_disk does not support slices such as train[:100]
    instruction = datasets.ReadInstruction.from_spec(corpus.split)
    parts = instruction.to_absolute({name: len(split) for name, split in splits.items()})
    slices = []
    for part in parts:
        split = splits[part.splitname]
        slices.append(split.select(range(part.from_ or 0, len(split) if part.to is None else part.to)))
    return datasets.concatenate_datasets(slices)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the progress bars of `datasets` within the block. The bars would disturb the log."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
