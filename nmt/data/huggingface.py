"""Hugging Face datasets, from the hub or from this machine, as rows."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nmt.config.schema import CorpusConfig
from nmt.errors import DataError

_BLOCK = 1000  # rows that are read at once

# What `datasets` calls the reader of a file with this ending.
_FORMATS = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json", ".arrow": "arrow"}


def dataset_files(dataset: str) -> list[Path]:
    """The files of a local dataset, sorted; none for a dataset on the hub.

    Raises:
        DataError: it begins as a path does, and nothing is there.
    """
    path = Path(dataset)
    if dataset.startswith(("/", "./", "../")) and not path.exists():
        raise DataError(f"{dataset}: no such file or folder; check the path of the dataset")
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []


def dataset_rows(corpus: CorpusConfig, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Rows of `corpus.dataset`, cut down to the named columns, or to `translation`, where the dataset has them.

    Raises:
        DataError: there is no such dataset or split, or it cannot be read or downloaded.
    """
    with _explained(corpus):
        yield from _open(corpus, columns)


def dataset_parts(corpus: CorpusConfig, columns: Sequence[str]) -> list[Callable[[int], Iterator[Mapping[str, Any]]]]:
    """The files or shards of a dataset, each a function of the number of rows to skip that gives the rows after them.

    Raises:
        DataError: as `dataset_rows` does.
    """
    with _explained(corpus):
        rows = _open(corpus, columns)
        stream = rows.to_iterable_dataset() if hasattr(rows, "to_iterable_dataset") else rows
        count = stream.num_shards
        return [partial(_part_rows, corpus, stream.shard(count, part)) for part in range(count)]


def _part_rows(corpus: CorpusConfig, part: Any, skip: int) -> Iterator[Mapping[str, Any]]:
    with _explained(corpus):
        # In blocks: quicker than row by row, and not taken for a dataset that DataLoader's workers have to share out.
        for block in (part.skip(skip) if skip else part).iter(batch_size=_BLOCK):
            for row in zip(*block.values(), strict=True):
                yield dict(zip(block, row, strict=True))


@contextlib.contextmanager
def _explained(corpus: CorpusConfig) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # `datasets` raises errors of many libraries
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"dataset {corpus.dataset}: split {corpus.split} cannot be read ({lines[0].strip()}); "
            "check dataset, name and split, or the connection"
        ) from error


def _open(corpus: CorpusConfig, columns: Sequence[str]) -> Any:
    """The dataset with the columns that are wanted, as far as they are known."""
    with _quiet():
        rows = _load(corpus)
    present = set(rows.column_names or ())  # unknown in some streams
    names = next((list(names) for names in (columns, ["translation"]) if present.issuperset(names)), None)
    return rows.select_columns(names) if names else rows  # other columns may be images or the like


def _load(corpus: CorpusConfig) -> Any:
    import datasets  # takes a second, and most trainings read plain files

    path = Path(str(corpus.dataset))
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        return _load_saved(path, corpus)
    options: dict[str, Any] = {"split": corpus.split, "streaming": corpus.streaming}
    kinds = {file.suffix for file in dataset_files(str(path))} & _FORMATS.keys()
    if kinds == {".csv"}:
        options["keep_default_na"] = False  # the words NA, None and null are text
    if path.is_file():
        if path.suffix not in _FORMATS:
            raise ValueError(f"a dataset file must end in one of {', '.join(_FORMATS)}")
        return datasets.load_dataset(_FORMATS[path.suffix], data_files=str(path), **options)
    return datasets.load_dataset(str(corpus.dataset), corpus.name, **options)


def _load_saved(path: Path, corpus: CorpusConfig) -> Any:
    """A folder that `save_to_disk` wrote, a lone table of which counts as its train split."""
    import datasets

    saved = datasets.load_from_disk(str(path))
    splits = saved if isinstance(saved, datasets.DatasetDict) else {"train": saved}
    # load_from_disk knows no slices such as train[:100], so they are cut here
    instruction = datasets.ReadInstruction.from_spec(corpus.split)
    parts = instruction.to_absolute({name: len(split) for name, split in splits.items()})
    return datasets.concatenate_datasets(
        [splits[part.splitname].select(range(part.from_ or 0, _end(part.to, splits[part.splitname]))) for part in parts]
    )


def _end(stop: int | None, split: Any) -> int:
    return len(split) if stop is None else stop


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of `datasets`, which would break up the log."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
