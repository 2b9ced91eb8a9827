"""Jobs: shards, formats, the identity of models, and what must be equal to continue."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from corpus_tools import copy_model, make_lines, start_job, write_lines

from nmt.corpus.folders import open_folder
from nmt.corpus.inputs import find_inputs
from nmt.corpus.job import Job, identify_model, read_job, recognize_format, start_or_continue
from nmt.errors import DataError
from nmt.translation.translator import Translator


@pytest.fixture
def job(tmp_path: Path) -> Job:
    for name in ("b.txt", "a.txt"):
        write_lines(tmp_path / name, make_lines(20))
    return start_job(tmp_path / "job", tmp_path / "*.txt", shard_bytes=100).job


def restart(folder: Path, job: Job) -> None:
    start_or_continue(open_folder(str(folder / "job")), open_folder(job.output), job)


def test_shards_cover_the_files_in_order(tmp_path: Path, job: Job) -> None:
    assert [file.path for file in job.files] == [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    assert [shard.number for shard in job.shards] == list(range(len(job.shards)))
    for file in job.files:
        ranges = [(shard.start, shard.stop) for shard in job.shards if shard.file == file]
        assert ranges[0][0] == 0
        assert ranges[-1][1] == file.size
        assert [stop for _, stop in ranges[:-1]] == [start for start, _ in ranges[1:]]
        assert sum(shard.size for shard in job.shards if shard.file == file) == file.size


def test_the_same_job_continues(tmp_path: Path, job: Job) -> None:
    before = (tmp_path / "job" / "job.json").read_bytes()
    restart(tmp_path, job)
    assert (tmp_path / "job" / "job.json").read_bytes() == before
    assert read_job(open_folder(str(tmp_path / "job"))) == job


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "score"}, "the task of its job is 'translate', not 'score'"),
        ({"version": "0.0"}, "the version of its job is "),
        ({"shard_bytes": 7}, "the shard bytes of its job is 100, not 7"),
        ({"models": ("x",)}, "its job has another model"),
        ({"settings": {"beam": 2}}, "its job has beam = its default, not 2"),
        ({"files": ()}, "a.txt, which the command does not name, or which is missing"),
    ],
)
def test_another_job_is_refused(tmp_path: Path, job: Job, change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        restart(tmp_path, replace(job, **change))  # type: ignore[arg-type]


def test_changed_and_surplus_and_reordered_files_are_refused(tmp_path: Path, job: Job) -> None:
    with pytest.raises(DataError, match="its job reads the files in another order"):
        restart(tmp_path, replace(job, files=job.files[::-1]))
    os.utime(tmp_path / "a.txt", ns=(1, 1))
    with pytest.raises(DataError, match=r"a\.txt has changed since the job was planned"):
        restart(tmp_path, replace(job, files=tuple(find_inputs([str(tmp_path / "*.txt")]))))
    extra = find_inputs([str(write_lines(tmp_path / "c.txt", ["x"]))])
    with pytest.raises(DataError, match=r"its job does not read .*c\.txt"):
        restart(tmp_path, replace(job, files=(*job.files, *extra)))


def test_output_of_another_job_is_not_overwritten(tmp_path: Path, job: Job) -> None:
    write_lines(tmp_path / "full" / "000000.txt", ["precious"])
    other = replace(job, output=str(tmp_path / "full"))
    with pytest.raises(DataError, match="full: contains files that are not of this job; name an empty folder"):
        start_or_continue(open_folder(str(tmp_path / "other")), open_folder(other.output), other)
    assert not (tmp_path / "other").exists()


def test_a_damaged_job_is_an_error(tmp_path: Path, job: Job) -> None:
    (tmp_path / "job" / "job.json").write_text("{}")
    with pytest.raises(DataError, match=r"job\.json: is not a job of this version of nmt"):
        restart(tmp_path, job)


def test_inputs_must_exist_once(tmp_path: Path) -> None:
    path = str(write_lines(tmp_path / "a[1].txt", ["x"]))
    assert [file.path for file in find_inputs([path])] == [path]
    with pytest.raises(DataError, match="nothing: no such file; name files, or a pattern"):
        find_inputs([str(tmp_path / "nothing")])
    with pytest.raises(DataError, match="is a folder; name its files"):
        find_inputs([str(tmp_path)])
    with pytest.raises(DataError, match="matches several of the patterns"):
        find_inputs([path, str(tmp_path / "*")])


def test_formats_are_not_mixed(tmp_path: Path) -> None:
    for name in ("a.txt", "b", "c.jsonl.gz", "d.parquet", "e.zip", "f.parquet.gz", "G.TXT.GZ"):
        write_lines(tmp_path / name, [])

    def recognize(*names: str) -> tuple[str, str]:
        return recognize_format(find_inputs([str(tmp_path / name) for name in names]))

    assert recognize("a.txt", "b") == ("text", "")
    assert recognize("c.jsonl.gz") == ("jsonl", ".gz")
    assert recognize("d.parquet") == ("parquet", "")
    assert recognize("G.TXT.GZ") == ("text", ".gz")
    with pytest.raises(DataError, match="have different formats"):
        recognize("a.txt", "c.jsonl.gz")
    with pytest.raises(DataError, match=r"e\.zip: is an archive; unpack it"):
        recognize("e.zip")
    with pytest.raises(DataError, match=r"f\.parquet\.gz: decompress it"):
        recognize("f.parquet.gz")


def test_a_model_is_identified_by_its_content(tmp_path: Path) -> None:
    folder = copy_model(tmp_path)
    before = identify_model(str(folder))
    Translator.load(folder)  # packs the model, which adds a file
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert identify_model(str(folder)) == identify_model(str(copy)) == before
    assert identify_model(str(folder.parent / "model")) == before
