"""What becomes of a job: its status, the verification of its output, and its output as one file."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from nmt.corpus.claims import CLAIMS
from nmt.corpus.folders import Folder, copy_stream, open_folder
from nmt.corpus.job import JOB, Job, Shard, read_job
from nmt.corpus.ledger import Ledger, Marker, check_complete, sum_markers
from nmt.corpus.run import describe_time
from nmt.corpus.shard import HashingWriter
from nmt.corpus.tables import join_tables
from nmt.data.text_files import explain_errors, is_url
from nmt.errors import DataError

_RECENT = 600.0  # the throughput is that of the last seconds of work
_BLOCK = 1 << 20


def open_job(url: str) -> Ledger:
    """Open the folder of a job. Raises DataError: the folder has no job."""
    folder = open_folder(url)
    job = read_job(folder)
    if job is None:
        raise DataError(f"{url}: contains no {JOB}; name the folder of a job of nmt-corpus")
    return Ledger(folder, open_folder(job.output), job)


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a job is."""

    shards: int
    done: int
    claimed: int
    """The number of shards that workers have claimed. Processes with a share of the shards do not claim them."""
    lines: int
    failed: int
    replaced: int
    input_bytes: int
    output_bytes: int
    lines_per_second: float
    """The throughput of all workers together, when the job was last worked on."""
    seconds_left: float | None
    """The time until the job is done at this throughput, or None if it is unknown."""
    cpu_seconds: float

    def describe(self) -> str:
        """Describe the status in a few lines."""
        left = (
            f"about {describe_time(self.seconds_left)} left" if self.seconds_left is not None else "time left unknown"
        )
        state = "done" if self.done == self.shards else f"{self.claimed:,} claimed, {left}"
        return "\n".join(
            (
                f"{self.done:,} of {self.shards:,} shards done ({state})",
                f"{self.lines:,} lines, {self.failed:,} failed, {self.replaced:,} not UTF-8",
                f"{self.input_bytes:,} bytes read, {self.output_bytes:,} bytes written",
                f"{self.lines_per_second:,.0f} lines/s, {self.cpu_seconds:,.0f} s of CPU time",
            )
        )


def read_status(ledger: Ledger) -> Status:
    """Read how far a job is."""
    done, job = ledger.read_done(), ledger.job
    totals = sum_markers(done.values())
    latest = max((marker.ended for marker in done.values()), default=0.0)
    recent = [marker for marker in done.values() if marker.ended >= latest - _RECENT]
    seconds = max(latest - min((marker.began for marker in recent), default=0.0), 1e-3)
    left = sum(shard.size for shard in job.shards if shard.number not in done)
    rate = sum(job.shards[marker.shard].size for marker in recent) / seconds
    return Status(
        shards=len(job.shards),
        done=len(done),
        claimed=len(ledger.folder.sizes(CLAIMS)),
        **totals,
        lines_per_second=sum(marker.lines for marker in recent) / seconds,
        seconds_left=left / rate if rate else None,
        cpu_seconds=sum(marker.cpu_seconds for marker in done.values()),
    )


def verify_job(ledger: Ledger) -> Iterator[str]:
    """Check the whole output of a job against its markers. Yield a line for each fault.

    Raises:
        DataError: a shard is not done.
    """
    for shard, marker in check_complete(ledger.job, ledger.read_done()):
        digest = hashlib.sha256()
        name = ledger.job.output_name(shard)
        with ledger.output.open(name) as stream, explain_errors(f"{ledger.output.url}/{name}"):
            for block in iter(partial(stream.read, _BLOCK), b""):
                digest.update(block)
        if digest.hexdigest() != marker.output_sha256:
            yield _describe_change(ledger.output, name)


def merge_job(ledger: Ledger, target: str) -> int:
    """Write the output of a job to one file, in the order of the input. The file appears whole. Return its lines.

    See `write_merged` for the errors. In addition, MachineError is raised if the file cannot be written.
    """
    parent, name = (target.rstrip("/").rpartition("/")[::2]) if is_url(target) else os.path.split(target)
    folder = open_folder(parent or ".")
    check_complete(ledger.job, ledger.read_done())
    with folder.writing(name) as stream:
        lines = write_merged(ledger, stream)
    folder.remove_drafts()
    return lines


def write_merged(ledger: Ledger, stream: BinaryIO) -> int:
    """Write the output of a job to a stream, in the order of the input. Return the number of lines.

    The checksums of the output are checked. Compressed files become one file with several members, which all programs
    read as one.

    Raises:
        DataError: a shard is not done, or its output is damaged.
    """
    parts = check_complete(ledger.job, ledger.read_done())
    if ledger.job.format == "parquet":
        for fault in verify_job(ledger):
            raise DataError(fault)
        names = [ledger.job.output_name(shard) for shard, _ in parts]
        with explain_errors(ledger.output.url):
            join_tables((partial(ledger.output.open, name) for name in names), stream)
    else:
        for shard, marker in parts:
            _append(ledger.output, ledger.job, shard, marker, stream)
    return sum(marker.lines for _, marker in parts)


def _append(output: Folder, job: Job, shard: Shard, marker: Marker, stream: BinaryIO) -> None:
    name = job.output_name(shard)
    target = HashingWriter(stream)
    with output.open(name) as source:
        copy_stream(source, target)  # type: ignore[arg-type]
    if target.digest.hexdigest() != marker.output_sha256:
        raise DataError(_describe_change(output, name))


def _describe_change(output: Folder, name: str) -> str:
    return f"{output.url}/{name}: has changed since it was written; delete it, and run the command of the job again"
