"""Jobs in an object store: moto's server, on this machine, takes the place of S3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from corpus_kills import run_with_kills
from corpus_tools import TEXT, Deadly, copy_model, make_lines

from nmt.corpus.claims import Claims
from nmt.corpus.folders import open_folder
from nmt.corpus.inputs import find_inputs, look_up, open_input
from nmt.corpus.job import Job, start_or_continue
from nmt.corpus.ledger import Ledger
from nmt.corpus.local import run_local
from nmt.corpus.results import merge_job, read_status, verify_job
from nmt.errors import DataError, MachineError
from nmt.translation.translator import Translator

moto_server = pytest.importorskip("moto.server")
pytest.importorskip("s3fs")

LINES = make_lines(200)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of the server."""
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A file system with an empty bucket `b`. Child processes use the same server."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": server,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    files = fsspec.filesystem("s3")
    files.mkdir("bucket")
    yield files
    files.rm("bucket", recursive=True)
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def put_lines(files: Any, path: str, lines: list[str]) -> None:
    files.pipe_file(path, "".join(f"{line}\n" for line in lines).encode())


def start(*inputs: str, shard_bytes: int = 1000) -> Ledger:
    job = Job(
        task="translate",
        models=(),
        settings={},
        format="text",
        compression="",
        output="s3://bucket/out",
        shard_bytes=shard_bytes,
        files=tuple(find_inputs(inputs)),
    )
    ledger = Ledger(open_folder("s3://bucket/job"), open_folder(job.output), job)
    start_or_continue(ledger.folder, ledger.output, job)
    return ledger


def test_a_job_in_a_bucket(bucket: Any, tmp_path: Path) -> None:
    put_lines(bucket, "bucket/in/a.txt", LINES[:120])
    put_lines(bucket, "bucket/in/b.txt", LINES[120:])
    ledger = start("s3://bucket/in/*.txt")
    assert len(ledger.job.files[0].version) == 32  # the ETag
    run_local(ledger, Deadly(name="translate", columns=TEXT, folder=tmp_path), workers=2)
    assert read_status(ledger).done == len(ledger.job.shards) == 5
    assert list(verify_job(ledger)) == []
    assert merge_job(ledger, "s3://bucket/merged.txt") == 200
    assert bucket.cat_file("bucket/merged.txt").decode().splitlines() == [line.upper() for line in LINES]
    assert bucket.ls("bucket/job/claims") == [] if bucket.exists("bucket/job/claims") else True


def test_a_range_is_read_with_one_small_request(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256)) * 4000
    bucket.pipe_file("bucket/file", content)
    ranges = []
    cat_file = bucket.cat_file

    def count(path: str, start: int, end: int) -> Any:
        ranges.append((start, end))
        return cat_file(path, start=start, end=end)

    monkeypatch.setattr(bucket, "cat_file", count)
    with open_input(look_up("s3://bucket/file"), 1000, 300_000) as stream:
        assert stream.read(299_000) == content[1000:300_000]
    assert ranges == [(1000, 300_000 + (1 << 16))]
    with open_input(look_up("s3://bucket/file"), 1_000_000) as stream:
        assert stream.read() == content[1_000_000:]


def test_only_one_process_gets_a_claim(bucket: Any) -> None:
    folder = open_folder("s3://bucket/job")
    first, second = Claims(folder), Claims(folder)
    assert first.take(1)
    assert not second.take(1)
    first.release_all()
    assert second.take(1)


def test_changed_and_missing_objects_are_one_line(bucket: Any, tmp_path: Path) -> None:
    put_lines(bucket, "bucket/in/a.txt", LINES)
    put_lines(bucket, "bucket/in/b.txt", LINES)
    ledger = start("s3://bucket/in/*.txt", shard_bytes=1 << 20)
    put_lines(bucket, "bucket/in/a.txt", [line.upper() for line in LINES])
    with pytest.raises(
        DataError, match=r"s3://bucket/in/a\.txt: has changed since the job was planned \(its version differs"
    ):
        run_local(ledger, Deadly(name="translate", columns=TEXT, folder=tmp_path), workers=1)
    assert ledger.read_done().keys() == {1}
    with pytest.raises(DataError, match=r"s3://bucket/none: no such file"):
        find_inputs(["s3://bucket/none"])
    with pytest.raises(DataError, match=r"s3://bucket/\*\.none: no such file"):
        find_inputs(["s3://bucket/*.none"])
    with pytest.raises(MachineError, match=r"s3://missing/job/job\.json: cannot be written"):
        start_or_continue(open_folder("s3://missing/job"), open_folder("s3://bucket/other"), ledger.job)


@pytest.mark.slow
def test_kills_change_no_byte(bucket: Any, tmp_path: Path) -> None:
    model = copy_model(tmp_path)
    lines = make_lines(4000)
    put_lines(bucket, "bucket/in/a.txt", lines)
    arguments = ["translate", "s3://bucket/job", "--model", str(model), "--input", "s3://bucket/in/*.txt"]
    arguments += ["--shard-mib", "0.004", "--workers", "2"]

    def count_done() -> int:
        bucket.invalidate_cache()
        return len(bucket.ls("bucket/job/done")) if bucket.exists("bucket/job/done") else 0

    outcome = run_with_kills(arguments, count_done, 20, kills=6, seed=2, delay=0.2)
    assert outcome.kills.total() == 6
    bucket.invalidate_cache()
    found = b"".join(bucket.cat_file(path) for path in sorted(bucket.ls("bucket/job/output")))
    assert found.decode() == "".join(f"{line}\n" for line in Translator.load(model).translate(lines))
