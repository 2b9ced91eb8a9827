"""Parquet files: a column more, all others and the row groups kept."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_tools import TEXT, shout, start_job

from nmt.corpus.items import Columns
from nmt.corpus.results import merge_job
from nmt.corpus.shard import Attempt, process_shard
from nmt.errors import DataError

TEXTS = ["a", None, "b\nc", "", "é"] * 100
TABLE = pa.table({"id": range(500), "text": TEXTS, "list": [[1.5, None]] * 500})


def run(folder: Path, columns: Columns = TEXT) -> "pa.Table":
    ledger = start_job(folder / "job", str(folder / "*.parquet"))
    for shard in ledger.job.shards:
        process_shard(ledger, Attempt(shard=shard), shout, columns, lambda _: None)
    merge_job(ledger, str(folder / "merged"))
    return pq.read_table(folder / "merged")


def test_a_column_is_added_and_all_others_are_kept(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=120)
    pq.write_table(TABLE, tmp_path / "b.parquet")
    found = run(tmp_path)
    expected = [text.upper() if text is not None else None for text in TEXTS]
    both = pa.concat_tables([TABLE, TABLE])
    assert found == both.append_column("translation", pa.array(expected * 2, pa.string()))
    file = pq.ParquetFile(tmp_path / "job" / "output" / "000000.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [120] * 4 + [20]


def test_large_row_groups_are_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.corpus.tables.ROWS", 64)
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=150)
    assert run(tmp_path).drop(["translation"]) == TABLE
    file = pq.ParquetFile(tmp_path / "job" / "output" / "000000.parquet")
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert sizes == [64, 64, 22] * 3 + [50]


def test_an_existing_column_is_replaced(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    found = run(tmp_path, Columns(source="text", target=None, result="id"))
    assert found.column_names == TABLE.column_names
    assert found["id"].to_pylist()[:3] == ["A", None, "B\nC"]


def test_an_empty_file_has_the_new_column(tmp_path: Path) -> None:
    pq.write_table(TABLE.slice(0, 0), tmp_path / "a.parquet")
    assert run(tmp_path).column_names == [*TABLE.column_names, "translation"]


def test_a_missing_column_or_one_without_text_is_an_error(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"has no column 'words', only 'id', 'text', 'list'; name one with --column"):
        run(tmp_path, Columns(source="words", target=None, result="x"))
    with pytest.raises(DataError, match=r"column 'id' is int64, not text"):
        run(tmp_path, Columns(source="id", target=None, result="x"))
