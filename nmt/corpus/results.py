"""The state and the output of a job: what is done, whether it is sound, and all of it in one file."""

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nmt.corpus.job import Job, Shard
from nmt.corpus.storage import Storage
from nmt.corpus.work import DONE, Marker, read_marker
from nmt.errors import DataError

_RECENT = 20  # the number of shards from which the speed is estimated
_READERS = 16  # markers in an object store are read in this many threads


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is."""

    shards: int
    done: int
    records: int
    failed: int
    share: float
    """The share of the input that is done, from 0 to 1."""
    seconds_left: float | None
    """The estimated time until the end, or None if too little is done."""
    speed: float
    """Records per second in the latest shards, of all workers together."""


def read_markers(storage: Storage, shards: Sequence[Shard]) -> dict[int, Marker]:
    """Read the markers of all shards that are done, by the number of the shard."""
    names = storage.list(DONE)
    done = [shard for shard in shards if f"{shard.name}.json" in names]
    with ThreadPoolExecutor(_READERS) as pool:
        markers = pool.map(lambda shard: read_marker(storage, shard), done)
        return {marker.shard: marker for marker in markers if marker}


def measure_progress(shards: Sequence[Shard], markers: Sequence[Marker]) -> Progress:
    """Measure the progress of shards of a job by the markers of those that are done."""
    total = sum(shard.end - shard.start for shard in shards)
    done = sum(marker.input_bytes for marker in markers)
    recent = sorted(markers, key=lambda marker: marker.ended)[-_RECENT:]
    speed, seconds = 0.0, None
    if recent:
        began, ended = min(marker.began for marker in recent), max(marker.ended for marker in recent)
        span = max(ended - began, 1e-3)
        speed = sum(marker.records for marker in recent) / span
        seconds = (total - done) / max(1.0, sum(marker.input_bytes for marker in recent)) * span
    return Progress(
        shards=len(shards),
        done=len(markers),
        records=sum(marker.records for marker in markers),
        failed=sum(marker.failed for marker in markers),
        share=done / total if total else 1.0,
        seconds_left=seconds,
        speed=speed,
    )


def describe_progress(progress: Progress) -> str:
    """Describe the progress of a job in one line."""
    parts = [
        f"{progress.done:,} of {progress.shards:,} shards ({progress.share:.0%})",
        f"{progress.records:,} records, {progress.failed:,} failed",
    ]
    if progress.done < progress.shards and progress.seconds_left is not None:
        left = time.strftime("%H:%M:%S", time.gmtime(progress.seconds_left % 86_400))
        days = f"{progress.seconds_left // 86_400:.0f} days and " if progress.seconds_left >= 86_400 else ""
        parts += [f"{progress.speed:,.0f} records/s", f"{days}{left} left"]
    return "; ".join(parts)


def verify(storage: Storage, job: Job) -> list[str]:
    """Read all output. Return a line for each fault: a shard that is not done, or an output that is not as written."""
    markers, output, faults = read_markers(storage, job.shards), Storage(job.output), list[str]()
    for shard in job.shards:
        marker = markers.get(shard.number)
        if marker is None:
            faults.append(f"shard {shard.name} is not done; start the job again")
            continue
        digest = hashlib.sha256()
        try:
            with output.open(shard.output) as stream:
                while part := stream.read(1 << 20):
                    digest.update(part)
        except FileNotFoundError:
            faults.append(_advise(output, storage, shard, "is missing"))
            continue
        if digest.hexdigest() != marker.checksum:
            faults.append(_advise(output, storage, shard, "is damaged"))
    return faults


def _advise(output: Storage, storage: Storage, shard: Shard, fault: str) -> str:
    marker = storage.path(f"{DONE}/{shard.name}.json")
    return f"{output.path(shard.output)} {fault}; delete {marker}, and start the job again"


def merge(storage: Storage, job: Job, target: BinaryIO | Path) -> int:
    """Join the output of all shards, in the order of the corpus. Return the number of records.

    Compressed parts are joined as they are, which all these compressions allow.

    Raises:
        DataError: a shard is not done, or its output is missing or damaged.
    """
    markers = read_markers(storage, job.shards)
    if missing := next((shard for shard in job.shards if shard.number not in markers), None):
        raise DataError(f"{storage.url}: shard {missing.name} is not done; start the job again, then merge")
    kinds = {(shard.file.kind, shard.file.compression) for shard in job.shards}
    if len(kinds) > 1:
        raise DataError(
            f"{storage.url}: the input has several formats, which cannot be joined; use the files in {job.output}"
        )
    try:
        if kinds and next(iter(kinds))[0] == "parquet":
            _merge_tables(job, target)
        else:
            _join(job, markers, target)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename or job.output}: is missing; `nmt-corpus verify` says what to do") from error
    return sum(marker.records for marker in markers.values())


def _join(job: Job, markers: dict[int, Marker], target: BinaryIO | Path) -> None:
    output = Storage(job.output)
    if isinstance(target, Path):
        with Storage(str(target.parent)).create(target.name) as draft, open(draft, "wb") as stream:
            _join(job, markers, stream)
        return
    for shard in job.shards:
        digest = hashlib.sha256()
        with output.open(shard.output) as stream:
            while part := stream.read(1 << 20):
                target.write(part)
                digest.update(part)
        if digest.hexdigest() != markers[shard.number].checksum:
            raise DataError(f"{output.path(shard.output)}: is damaged; `nmt-corpus verify` says what to do")


def _merge_tables(job: Job, target: BinaryIO | Path) -> None:
    if not isinstance(target, Path):
        raise DataError("tables in .parquet cannot be written to standard output; name a file")
    import pyarrow.parquet  # slow to import

    output, writer = Storage(job.output), None
    with Storage(str(target.parent)).create(target.name) as draft:
        for shard in job.shards:
            with output.open(shard.output) as stream:
                file = pyarrow.parquet.ParquetFile(stream)
                writer = writer or pyarrow.parquet.ParquetWriter(draft, file.schema_arrow)
                for batch in file.iter_batches():
                    writer.write_batch(batch)
        if writer:
            writer.close()
