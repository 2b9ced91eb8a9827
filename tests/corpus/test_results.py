"""Status, verification and merging of jobs, and resuming after files were lost."""

import gzip
from pathlib import Path

import pytest
from corpus_tools import TEXT, Deadly, make_lines, read_output, start_job, write_lines

from nmt.corpus.ledger import Ledger
from nmt.corpus.local import run_local
from nmt.corpus.results import merge_job, open_job, read_status, verify_job
from nmt.errors import DataError

LINES = make_lines(50)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A job that is not done."""
    return start_job(tmp_path / "job", write_lines(tmp_path / "in", LINES), shard_bytes=300)


def finish(ledger: Ledger, folder: Path) -> None:
    run_local(ledger, Deadly(name="translate", columns=TEXT, folder=folder), workers=1)


def test_status_counts_what_is_done(tmp_path: Path, ledger: Ledger) -> None:
    before = read_status(ledger)
    assert (before.done, before.shards, before.lines, before.seconds_left) == (0, len(ledger.job.shards), 0, None)
    assert "time left unknown" in before.describe()
    finish(ledger, tmp_path)
    after = read_status(open_job(str(tmp_path / "job")))
    assert (after.done, after.lines, after.failed) == (after.shards, 50, 0)
    assert after.input_bytes == after.output_bytes == (tmp_path / "in").stat().st_size
    assert after.lines_per_second > 0
    (tmp_path / "job" / "done" / "000000.json").unlink()
    half = read_status(ledger)
    assert half.done == half.shards - 1
    assert half.seconds_left is not None
    assert "left)" in half.describe()


def test_merge_joins_the_shards_in_order(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(DataError, match=r"shards are not done, the first is 0; run the command of the job again"):
        merge_job(ledger, str(tmp_path / "merged"))
    finish(ledger, tmp_path)
    assert merge_job(ledger, str(tmp_path / "merged")) == 50
    assert (tmp_path / "merged").read_text(encoding="utf-8").splitlines() == [line.upper() for line in LINES]
    assert merge_job(ledger, "memory://merged/file") == 50
    (tmp_path / "job" / "output" / "000001.txt").write_bytes(b"x" * ledger.output.sizes("")["000001.txt"])
    (tmp_path / "merged").unlink()
    with pytest.raises(DataError, match=r"000001\.txt: has changed since it was written; delete it"):
        merge_job(ledger, str(tmp_path / "merged"))
    assert not (tmp_path / "merged").exists()


def test_compressed_shards_merge_to_one_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(f"{name}\n".encode()))
    ledger = start_job(tmp_path / "job", tmp_path / "*.gz")
    finish(ledger, tmp_path)
    merge_job(ledger, str(tmp_path / "merged.gz"))
    assert gzip.decompress((tmp_path / "merged.gz").read_bytes()) == b"A\nB\n"


def test_verify_names_changed_shards_and_a_rerun_repairs_them(tmp_path: Path, ledger: Ledger) -> None:
    finish(ledger, tmp_path)
    assert list(verify_job(ledger)) == []
    expected = read_output(ledger)
    changed = tmp_path / "job" / "output" / "000001.txt"
    changed.write_bytes(changed.read_bytes().swapcase())
    (fault,) = verify_job(ledger)
    assert f"{changed}: has changed since it was written" in fault
    changed.unlink()
    (tmp_path / "job" / "output" / "000002.txt").write_bytes(b"short\n")
    (tmp_path / "job" / "done" / "000003.json").write_text("{")
    assert ledger.read_done().keys() == {shard.number for shard in ledger.job.shards} - {1, 2, 3}
    finish(ledger, tmp_path)
    assert read_output(ledger) == expected
    assert list(verify_job(ledger)) == []


def test_a_folder_without_a_job_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"contains no job\.json; name the folder of a job"):
        open_job(str(tmp_path))
