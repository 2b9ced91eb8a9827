"""nmt/corpus and nmt-corpus: the same output as nmt-translate, in any number of shards, whatever dies."""

import bz2
import gzip
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt.commands.corpus import main
from nmt.corpus import tasks, work
from nmt.corpus.job import Job, checksum_model, describe_file, find_inputs, open_job, read_job
from nmt.corpus.local import run_local
from nmt.corpus.records import BLOCK, read_blocks
from nmt.corpus.storage import Storage
from nmt.corpus.work import Marker, Worker
from nmt.errors import DataError, ModelError
from nmt.system.processes import Child
from nmt.translation.translator import Translator

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
SHORT = [line for line in (MODELS / "source.txt").read_text(encoding="utf-8").splitlines() if len(line) < 200]
LINES = [*SHORT, *(" ".join(reversed(line.split())) for line in SHORT)][:40]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "parallel"
    shutil.copytree(MODELS / "parallel", folder)
    return folder


@pytest.fixture(scope="module")
def expected(model: Path) -> list[str]:
    return Translator.load(model).translate(LINES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the corpus as two files."""
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "a.txt", LINES[:25])
    write_lines(tmp_path / "b.txt", LINES[25:])
    return tmp_path


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_output(job: Path) -> list[str]:
    return [line for file in sorted((job / "output").iterdir()) for line in file.read_text().splitlines()]


def make_job(folder: Path, model: Path, *, shard_bytes: int, names: Sequence[str] = ("a.txt", "b.txt")) -> Job:
    return Job(
        task="translate",
        inputs=find_inputs([str(folder / name) for name in names]),
        output=str(folder / "job" / "output"),
        models=(str(model),),
        checksums=(checksum_model(str(model)),),
        columns=("text",),
        result="translation",
        shard_bytes=shard_bytes,
    )


def test_a_job_from_start_to_end(
    folder: Path, model: Path, expected: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    given = ["translate", "job", "--model", str(model), "--input", "*.txt", "--workers", "1"]
    assert main(given) == 0
    assert "2 of 2 shards (100%); 40 records, 0 failed" in capfd.readouterr().err
    assert read_output(folder / "job") == expected
    assert main(["status", "job"]) == 0
    assert capfd.readouterr().out == "2 of 2 shards (100%); 40 records, 0 failed\n"
    assert main(["verify", "job"]) == 0
    assert capfd.readouterr().out == "2 shards are complete and undamaged\n"
    assert main(["merge", "job", "all.de"]) == 0
    assert (folder / "all.de").read_text().splitlines() == expected
    assert main(["merge", "job", "-"]) == 0
    assert capfd.readouterr().out.splitlines() == expected
    before = {file: file.stat().st_mtime_ns for file in (folder / "job").rglob("*") if file.is_file()}
    assert main(given) == 0  # nothing is left to do
    assert {file: file.stat().st_mtime_ns for file in (folder / "job").rglob("*") if file.is_file()} == before


def test_options_reach_the_search(folder: Path, model: Path) -> None:
    given = ["--model", str(model), "--input", "a.txt", "--workers", "1", "--max-length-factor", "0"]
    assert main(["translate", "job", *given, "--max-length-extra", "1", "--no-guard"]) == 0
    short = read_output(folder / "job")
    assert max(len(line.split()) for line in short) == 1


def test_shares_of_several_processes_are_the_whole(folder: Path, model: Path, expected: list[str]) -> None:
    job = make_job(folder, model, shard_bytes=200)
    storage = Storage(str(folder / "job"))
    open_job(storage, job)
    assert len(job.shards) == 7
    for share in range(3):
        worker = Worker(storage.url, job)
        for shard in job.shards[share::3]:
            worker.process(shard)
    assert read_output(folder / "job") == expected


def test_a_share_is_part_of_the_command(folder: Path, model: Path) -> None:
    given = ["translate", "job", "--model", str(model), "--input", "a.txt", "b.txt", "--workers", "1"]
    assert main([*given, "--shard", "1/2"]) == 0
    assert sorted(os.listdir("job/output")) == ["000001.txt"]
    assert main([*given, "--shard", "0/2"]) == 0
    assert sorted(os.listdir("job/output")) == ["000000.txt", "000001.txt"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n\r\ufeff", exclude_categories=["Cs"])), max_size=30),
    shard_bytes=st.integers(1, 200),
    ends=st.booleans(),
)
def test_each_line_is_in_one_shard(folder: Path, lines: list[str], shard_bytes: int, ends: bool) -> None:
    text = "\n".join(lines) + "\n" * (ends and bool(lines))
    if "\0" in text:
        return  # such files are refused
    (folder / "c.txt").write_bytes(text.encode())
    job = Job(task="translate", inputs=(describe_file("c.txt"),), output="", shard_bytes=shard_bytes)
    found = [record for shard in job.shards for block in read_blocks(job, shard) for record in block.texts]
    wanted = text.split("\n") if text else []
    assert found == [(line,) for line in (wanted[:-1] if text.endswith("\n") else wanted)]


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": zstd.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_compressed_files(ending: str, folder: Path, model: Path, expected: list[str]) -> None:
    for name in ("a", "b"):
        content = (folder / f"{name}.txt").read_bytes()
        (folder / f"{name}.txt{ending}").write_bytes(COMPRESSIONS[ending](content))
    assert main(["translate", "job", "--model", str(model), "--input", f"*.txt{ending}", "--workers", "1"]) == 0
    assert main(["merge", "job", f"all.txt{ending}"]) == 0
    opens: dict[str, Any] = {".gz": gzip.open, ".zst": zstd.open, ".xz": lzma.open, ".bz2": bz2.open}
    with opens[ending](folder / f"all.txt{ending}", "rt", encoding="utf-8") as stream:
        assert stream.read().splitlines() == expected


def test_objects_keep_their_other_keys(folder: Path, model: Path, expected: list[str]) -> None:
    rows = [{"id": number, "en": line, "x": [1]} for number, line in enumerate(LINES)]
    write_lines(folder / "c.jsonl", [json.dumps(row) for row in rows])
    given = ["--model", str(model), "--input", "c.jsonl", "--column", "en", "--result", "de", "--workers", "1"]
    assert main(["translate", "job", *given]) == 0
    found = [json.loads(line) for line in read_output(folder / "job")]
    assert found == [{**row, "de": text} for row, text in zip(rows, expected, strict=True)]


def test_tables_keep_their_other_columns(folder: Path, model: Path, expected: list[str]) -> None:
    table = pyarrow.table({"id": range(len(LINES)), "text": LINES, "n": [None, 1.5] * (len(LINES) // 2)})
    for part in range(2):
        pyarrow.parquet.write_table(table.slice(part * 20, 20), folder / f"part-{part}.parquet")
    assert main(["translate", "job", "--model", str(model), "--input", "*.parquet", "--workers", "1"]) == 0
    assert main(["merge", "job", "all.parquet"]) == 0
    assert pyarrow.parquet.read_table(folder / "all.parquet") == table.append_column(
        "translation", pyarrow.array(expected)
    )


def test_scores_and_faults_of_pairs(folder: Path, model: Path, expected: list[str]) -> None:
    write_lines(folder / "c.tsv", ["\t".join(pair) for pair in zip(LINES, expected, strict=True)])
    given = ["score", "job", "--model", str(model), "--precision", "fp32", "--input", "c.tsv", "--workers", "1"]
    assert main(given) == 0
    scores = Translator.load(model, precision="fp32", shortlist=False).score(LINES, expected)
    assert list(map(float, read_output(folder / "job"))) == pytest.approx(
        [one.log_probability for one in scores], abs=1e-4
    )
    pairs = ["good\tgut", "two  spaces\tx", "\tempty", "the very same long text\tthe very same long text"]
    write_lines(folder / "d.tsv", pairs)
    assert main(["check", "checked", "--input", "d.tsv", "--from", "en", "--to", "de", "--workers", "1"]) == 0
    assert read_output(folder / "checked") == ["", "spaces", "empty", "untranslated"]


def test_records_that_cannot_be_read_are_kept_apart(folder: Path, model: Path, expected: list[str]) -> None:
    lines = [json.dumps({"text": LINES[0]}), "no JSON", '{"text": 1}', "[" * 100_000, json.dumps({"text": LINES[1]})]
    write_lines(folder / "c.jsonl", lines)
    assert main(["translate", "job", "--model", str(model), "--input", "c.jsonl", "--workers", "1"]) == 0
    found = [json.loads(line)["translation"] for line in read_output(folder / "job")]
    assert found == [expected[0], None, None, None, expected[1]]
    failed = [json.loads(line) for line in (folder / "job/failed/000000.jsonl").read_text().splitlines()]
    assert [one["record"] for one in failed] == [2, 3, 4]
    assert failed[1]["fault"] == "has no text 'text'"


def test_a_long_line_is_a_fault(folder: Path, model: Path, expected: list[str]) -> None:
    write_lines(folder / "c.txt", [LINES[0], "x" * (3 << 20), LINES[1]])
    assert main(["translate", "job", "--model", str(model), "--input", "c.txt", "--workers", "1"]) == 0
    assert read_output(folder / "job") == [expected[0], "", expected[1]]


def test_a_record_that_finds_a_bug_is_left_out(
    folder: Path, model: Path, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(folder, model, shard_bytes=1 << 20)
    storage = Storage(str(folder / "job"))
    open_job(storage, job)
    worker = Worker(storage.url, job)
    run = worker._run

    def fail(records: Sequence[tuple[str, ...]]) -> Any:
        if (LINES[3],) in records:
            raise ZeroDivisionError
        return run(records)

    monkeypatch.setattr(worker, "_run", fail)
    marker = worker.process(job.shards[0])
    assert (marker.records, marker.failed) == (25, 1)
    assert read_output(folder / "job") == [*expected[:3], "", *expected[4:25]]


def kill_at(line: str) -> Callable[..., Any]:
    """Make a task that kills its process at a line."""

    def load(job: Job, *, threads: int) -> tasks.Run:
        run = tasks.load_task(job, threads=threads)

        def kill(records: Sequence[tuple[str, ...]]) -> Any:
            if (line,) in records:
                os.kill(os.getpid(), signal.SIGKILL)
            return run(records)

        return kill

    return load


class ForkedChild(Child):
    """A worker process that shares what a test has patched."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "method": "fork"})


def test_a_record_that_kills_workers_is_found(
    folder: Path, model: Path, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "load_task", kill_at(LINES[30]))
    monkeypatch.setattr("nmt.corpus.local.Child", ForkedChild)
    job = make_job(folder, model, shard_bytes=1 << 20)
    storage = Storage(str(folder / "job"))
    open_job(storage, job)
    markers: list[Marker] = []
    run_local(storage.url, job, job.shards, workers=1, watch=markers.append)
    assert sorted((marker.shard, marker.failed) for marker in markers) == [(0, 0), (1, 1)]
    assert read_output(folder / "job") == [*expected[:30], "", *expected[31:]]


def test_remote_folders(folder: Path, model: Path, expected: list[str]) -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/corpus/a.txt", (folder / "a.txt").read_bytes())
    job = Job(
        task="translate",
        inputs=find_inputs(["memory://corpus/*.txt"]),
        output="memory://job/output",
        models=(str(model),),
        checksums=(checksum_model(str(model)),),
        shard_bytes=300,
    )
    storage = Storage("memory://job")
    assert open_job(storage, job) == job
    assert read_job(storage) == job
    worker = Worker(storage.url, job)
    markers = [worker.process(shard) for shard in job.shards]
    assert len(markers) == 3
    text = b"".join(files.cat_file(f"/job/output/{marker.output}") for marker in markers)
    assert text.decode().splitlines() == expected[:25]
    files.rm("/", recursive=True)


def change_input(folder: Path) -> None:
    write_lines(folder / "a.txt", LINES[:24])


def remove_input(folder: Path) -> None:
    (folder / "b.txt").unlink()


def add_input(folder: Path) -> None:
    write_lines(folder / "c.txt", LINES)


def damage_job(folder: Path) -> None:
    (folder / "job/job.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (change_input, [], "a.txt has changed since the job began"),
        (remove_input, [], "b.txt was part of the input when the job began"),
        (add_input, [], "c.txt was not part of the input when the job began"),
        (damage_job, [], "job.json: is damaged"),
        (None, ["--beam", "2"], "has a job that differs in an option"),
        (None, ["--shard-mib", "5"], "has a job that differs in --shard-mib"),
        (None, ["--output", "elsewhere"], "has a job that differs in --output"),
        (None, ["--input", "none.txt"], "none.txt: no such file"),
        (None, ["--input", "*.tsv"], "*.tsv: matches no file"),
        (None, ["--model", "none"], "none: no such folder"),
        (None, ["--shard", "2/2"], "--shard: must be I/N"),
        (None, ["--address", "auto"], "--address: only with --engine ray"),
        (None, ["--to", "xx"], "does not translate into xx; choose de"),
    ],
)
def test_misuse_is_one_line(
    folder: Path,
    model: Path,
    change: Callable[[Path], None] | None,
    options: list[str],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = ["translate", "job", "--model", str(model), "--input", "*.txt", "--workers", "1"]
    assert main(given) == 0
    before = read_output(folder / "job")
    capfd.readouterr()
    if change:
        change(folder)
    try:
        status = main([*given, *options])
    except SystemExit as ended:
        status = int(ended.code or 0)
    error = capfd.readouterr().err
    assert status == 2
    assert error.startswith("nmt-corpus")
    assert message in error
    assert error.count("\n") == 1
    assert read_output(folder / "job") == before


def test_a_changed_model_or_input_stops_workers(folder: Path, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(MODELS / "parallel", other)
    job = make_job(folder, other, shard_bytes=1 << 20)
    worker = Worker(str(folder / "job"), job)
    write_lines(folder / "a.txt", LINES)
    with pytest.raises(DataError, match=r"a\.txt: has changed since the job began"):
        worker.process(job.shards[0])
    assert not (folder / "job").exists() or not any((folder / "job" / "output").iterdir())
    (other / "checksums.sha256").write_text("")
    with pytest.raises(ModelError, match="has changed since the job began"):
        Worker(str(folder / "job"), job)


def test_verify_and_merge_find_damage(folder: Path, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "job", "--model", str(model), "--input", "*.txt", "--workers", "1"]) == 0
    (folder / "job/output/000000.txt").write_text("changed\n")
    (folder / "job/output/000001.txt").unlink()
    capfd.readouterr()
    assert main(["verify", "job"]) == 2
    damaged, missing = capfd.readouterr().err.splitlines()
    assert "000000.txt is damaged; delete" in damaged
    assert "000001.txt is missing; delete" in missing
    assert main(["merge", "job", "all.txt"]) == 2
    assert "000000.txt: is damaged" in capfd.readouterr().err
    assert not (folder / "all.txt").exists()
    (folder / "job/done/000000.json").unlink()
    assert main(["merge", "job", "all.txt"]) == 2
    assert "shard 000000 is not done" in capfd.readouterr().err
    assert main(["status", "nowhere"]) == 2
    assert "nowhere: has no job" in capfd.readouterr().err


def test_blocks_do_not_change_the_output(folder: Path, model: Path) -> None:
    write_lines(folder / "c.txt", LINES * (2 * BLOCK // len(LINES) + 1))
    job = make_job(folder, model, shard_bytes=1 << 20, names=["c.txt"])
    Worker(str(folder / "job"), job).process(job.shards[0])
    found = read_output(folder / "job")
    assert found == (found[: len(LINES)] * len(found))[: len(found)]


@pytest.mark.slow
def test_ray_writes_the_same(folder: Path, model: Path, expected: list[str]) -> None:
    """In a new process, because Ray leaves threads and sockets to the end of the process."""
    pytest.importorskip("ray")
    command = [sys.executable, "-W", "ignore", "-m", "nmt.commands.corpus", "translate", "job", "--model", str(model)]
    given = ["--input", "a.txt", "b.txt", "--workers", "2", "--engine", "ray"]
    done = subprocess.run([*command, *given], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 shards (100%); 40 records, 0 failed" in done.stderr
    assert read_output(folder / "job") == expected
