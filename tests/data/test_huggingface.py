"""nmt/data/huggingface.py: datasets on this machine in each format, and one-line errors; nothing is downloaded."""

import errno
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # read when `datasets` is first imported

import datasets
import pytest

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import DataConfig
from nmt.data.readers import corpus_files, read_pairs, read_parts
from nmt.errors import DataError, MachineError

DATA = DataConfig(source_language="en", target_language="de")
ROWS = [{"en": "one", "de": "eins", "id": 1}, {"en": "NA", "de": "null", "id": 2}, {"en": "a\nb", "de": "", "id": 3}]
PAIRS = [("one", "eins"), ("NA", "null"), ("a b", "")]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def read(dataset: object, **corpus: Any) -> list[tuple[str, str]]:
    return [pair.sides for pair in read_pairs(CorpusConfig(dataset=str(dataset), **corpus), DATA)]


def fault(dataset: object, **corpus: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(dataset, **corpus)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(rows: list[dict[str, object]], path: object) -> str:
    table = datasets.Dataset.from_list(rows)
    ending = str(path).rpartition(".")[2]
    writers = {"parquet": table.to_parquet, "csv": table.to_csv, "json": table.to_json, "jsonl": table.to_json}
    writers.get(ending, table.save_to_disk)(str(path))
    return str(path)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.json", "t.jsonl", "saved"])
def test_local_formats(name: str, streaming: bool, tmp_path: Path) -> None:
    assert read(written(ROWS, tmp_path / name), streaming=streaming) == PAIRS


@pytest.mark.parametrize("streaming", [False, True])
def test_folder_of_files_by_split(streaming: bool, tmp_path: Path) -> None:
    written(ROWS, tmp_path / "train-0.parquet")
    written(ROWS[:1], tmp_path / "test-0.parquet")
    assert read(tmp_path, streaming=streaming) == PAIRS
    assert read(tmp_path, split="test", streaming=streaming) == PAIRS[:1]


def test_saved_splits(tmp_path: Path) -> None:
    table = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict(train=table, test=table.select([2])).save_to_disk(str(tmp_path))
    assert read(tmp_path) == PAIRS
    assert read(tmp_path, split="test") == PAIRS[2:]
    assert "Unknown split" in fault(tmp_path, split="valid")


@pytest.mark.parametrize("name", ["t.parquet", "saved"])
@pytest.mark.parametrize(
    ("split", "kept"), [("train[:1]", slice(1)), ("train[1:]", slice(1, None)), ("train[-2:-1]", slice(-2, -1))]
)
def test_slices(name: str, split: str, kept: slice, tmp_path: Path) -> None:
    assert read(written(ROWS, tmp_path / name), split=split) == PAIRS[kept]


def test_translation_column(tmp_path: Path) -> None:
    rows = [{"translation": {"en": "a", "de": "b", "fr": "c"}, "id": 1}]
    path = written(rows, tmp_path / "t.parquet")
    assert read(path) == [("a", "b")]
    assert read(path, target_column="fr") == [("a", "c")]
    assert "has no 'cs', only 'en', 'de', 'fr'" in fault(path, target_column="cs")


def test_columns(tmp_path: Path) -> None:
    path = written([{"question": "a", "answer": "b", "id": 1}], tmp_path / "t.parquet")
    assert read(path, source_column="question", target_column="answer") == [("a", "b")]
    message = fault(path)
    assert message.startswith(f"{path} train, row 1: has no 'en', only 'question', 'answer', 'id'")
    assert "source_column" in message
    assert "'id' must be text, not 1; correct it" in fault(path, source_column="id", target_column="answer")


def test_missing_values_are_empty_sides(tmp_path: Path) -> None:
    assert read(written([{"en": "a", "de": None}, {"en": None, "de": "b"}], tmp_path / "t.parquet")) == [
        ("a", ""),
        ("", "b"),
    ]


def test_dataset_on_the_hub_without_connection() -> None:
    for streaming in (False, True):
        message = fault("nobody/no_such_dataset", streaming=streaming)
        assert "nobody/no_such_dataset" in message
        assert "connection" in message


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    assert "t.parquet" in fault(tmp_path / "t.parquet")
    assert "none.parquet" in fault(tmp_path / "none.parquet")
    (tmp_path / "t.txt").write_text("a\n")
    assert "must end in one of .parquet" in fault(tmp_path / "t.txt")
    assert "Unknown split" in fault(written(ROWS, tmp_path / "u.parquet"), split="valid")


def test_a_full_disk_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise ValueError("An error occurred while generating the dataset") from error

    path = written(ROWS, tmp_path / "train.parquet")
    monkeypatch.setattr("datasets.load_dataset", fail)
    with pytest.raises(MachineError, match=r"the disk of the cache is full; free some space, or set HF_HOME"):
        read(path)


@pytest.mark.parametrize("shown", [True, False])
def test_progress_bars_are_restored(shown: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = written(ROWS, tmp_path / "t.parquet")
    (datasets.enable_progress_bars if shown else datasets.disable_progress_bars)()
    capfd.readouterr()
    read(path)
    assert capfd.readouterr() == ("", "")
    assert datasets.are_progress_bars_disabled() != shown


def test_files_of_a_dataset(tmp_path: Path) -> None:
    path = written(ROWS, tmp_path / "t.parquet")
    for dataset in (path, str(tmp_path)):
        assert corpus_files(CorpusConfig(dataset=dataset), DATA) == [tmp_path / "t.parquet"]
    assert corpus_files(CorpusConfig(dataset="nobody/no_such_dataset"), DATA) == []


@pytest.mark.parametrize("streaming", [False, True])
def test_na_and_null_are_text_in_folders(streaming: bool, tmp_path: Path) -> None:
    written(ROWS, tmp_path / "train-0.csv")
    assert read(tmp_path, streaming=streaming) == PAIRS


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("name", ["train.tsv", "train-00001.csv", "data.jsonl", "train.json"])
def test_text_tables_of_folders(name: str, ending: str, streaming: bool, tmp_path: Path) -> None:
    """Quotes in .tsv, the words of missing values, blank lines and null objects."""
    rows = {
        ".tsv": 'de\ten\n"eins\tone\n\nnull\tNA\n',
        ".csv": 'de,en\n"""eins",one\n\nnull,NA\n',
        ".jsonl": '{"de": "\\"eins", "en": "one"}\nnull\n{"translation": {"en": "NA", "de": "null"}}\n',
        ".json": '[{"de": "\\"eins", "en": "one"}, null, {"en": "NA", "de": "null"}]',
    }
    content = rows[Path(name).suffix].encode()
    (tmp_path / f"{name}{ending}").write_bytes(gzip.compress(content) if ending else content)
    pairs = [("one", '"eins'), ("", ""), ("NA", "null")]
    for dataset in (tmp_path, tmp_path / f"{name}{ending}"):
        assert read(dataset, streaming=streaming) == pairs
        assert read(dataset, split="train[1:]", streaming=streaming) == pairs[1:]
    assert "Unknown split" in fault(tmp_path, split="valid", streaming=streaming)


def test_text_tables_by_split_and_part(tmp_path: Path) -> None:
    for name in ("train-0", "train-1", "test"):
        (tmp_path / f"{name}.tsv").write_text(f"en\tde\n{name}\tx\n{name}\ty\n")
    corpus = CorpusConfig(dataset=str(tmp_path), streaming=True)
    assert [[pair.target for pair in part(1)] for part in read_parts(corpus, DATA)] == [["y"], ["y"]]
    assert read(tmp_path, split="test") == [("test", "x"), ("test", "y")]
    assert read(tmp_path, split="train[3:]+test[:1]") == [("train-1", "y"), ("test", "x")]
