"""Hugging Face datasets, from the hub or from this machine, as rows."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.config import CorpusConfig
from nmt.errors import DataError

# What `datasets` calls the reader of a file with this ending.
_FORMATS = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json", ".arrow": "arrow"}


def dataset_files(dataset: str) -> list[Path]:
    """The files of a local dataset, sorted; none for a dataset on the hub."""
    path = Path(dataset)
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []


def dataset_rows(corpus: CorpusConfig, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Rows of `corpus.dataset`, cut down to the named columns, or to `translation`, where the dataset has them.

    Raises:
        DataError: there is no such dataset or split, or it cannot be read or downloaded.
    """
    try:
        with _quiet():
            rows = _load(corpus)
        present = set(rows.column_names or ())  # unknown in some streams
        names = next((list(names) for names in (columns, ["translation"]) if present.issuperset(names)), None)
        yield from rows.select_columns(names) if names else rows  # other columns may be images or the like
    except Exception as error:  # `datasets` raises errors of many libraries
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"dataset {corpus.dataset}: split {corpus.split} cannot be read ({lines[0].strip()}); "
            "check dataset, name and split, or the connection"
        ) from error


def _load(corpus: CorpusConfig) -> Any:
    import datasets  # takes a second, and most trainings read plain files

    path = Path(str(corpus.dataset))
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        return _load_saved(path, corpus)
    options: dict[str, Any] = {"split": corpus.split, "streaming": corpus.streaming}
    if path.is_file():
        if path.suffix not in _FORMATS:
            raise ValueError(f"a dataset file must end in one of {', '.join(_FORMATS)}")
        if path.suffix == ".csv":
            options["keep_default_na"] = False  # the words NA, None and null are text
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
