"""The record of a job: which shards are done, what their counts and checksums are, and which lines failed.

A shard is done when its output is complete and its marker `done/NNNNNN.json` exists. The marker is written last.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from nmt.corpus.folders import Folder
from nmt.corpus.job import Job, Shard
from nmt.errors import DataError

DONE, FAILED = "done", "failed"


@dataclass(frozen=True, kw_only=True)
class FailedLine:
    """A line without a result. The output has an empty line in its place."""

    line: int
    """The number of the line within its shard, from 1."""
    reason: str
    text: str
    """The line. Of a line that is too long, only the beginning."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """What is known of a shard that is done."""

    shard: int
    lines: int
    failed: int
    """The number of lines without a result."""
    replaced: int
    """The number of lines with bytes that are not UTF-8. They were read as U+FFFD."""
    input_bytes: int
    input_sha256: str
    output_bytes: int
    output_sha256: str
    began: float
    """The time at which work on the shard began, in seconds since 1970."""
    ended: float
    cpu_seconds: float
    """The CPU time of the worker."""
    owner: str = field(default="")
    """The process that did it."""


class Ledger:
    """The record of a job in its folder."""

    def __init__(self, folder: Folder, output: Folder, job: Job) -> None:
        self.folder, self.output, self.job = folder, output, job

    def read_done(self) -> dict[int, Marker]:
        """Read the markers of all shards whose output exists and has the recorded size, by the number of the shard.

        Raises:
            DataError: the folder cannot be read.
        """
        shards = {shard.number: shard for shard in self.job.shards}
        sizes = self.output.sizes("")
        markers = (parse_marker(content) for content in self.folder.read_all(DONE).values())
        return {
            marker.shard: marker
            for marker in markers
            if marker
            and marker.shard in shards
            and sizes.get(self.job.output_name(shards[marker.shard])) == marker.output_bytes
        }

    def is_done(self, shard: Shard) -> bool:
        """Return whether a shard has a marker, and an output of the recorded size."""
        content = self.folder.read(marker_name(shard.number))
        marker = parse_marker(content) if content is not None else None
        return marker is not None and self.output.size(self.job.output_name(shard)) == marker.output_bytes

    def record(self, shard: Shard, marker: Marker, failed: Sequence[FailedLine]) -> None:
        """Record that a shard is done. Its output is complete."""
        name = f"{FAILED}/{shard.number:06d}.jsonl"
        if failed:
            place = {"file": shard.file.path, "shard": shard.number}
            lines = (json.dumps(place | asdict(line), ensure_ascii=False) + "\n" for line in failed)
            self.folder.write(name, "".join(lines).encode("utf-8", errors="replace"))
        else:
            self.folder.delete(name)  # of an attempt whose marker was lost or deleted
        self.folder.write(marker_name(shard.number), (json.dumps(asdict(marker), indent=1) + "\n").encode())

    def remove_drafts(self) -> None:
        """Delete the unfinished files of processes of this machine that have ended."""
        self.folder.remove_drafts()
        self.output.remove_drafts()


def marker_name(number: int) -> str:
    """Return the name of the marker of a shard in the folder of the job."""
    return f"{DONE}/{number:06d}.json"


def parse_marker(content: bytes) -> Marker | None:
    """Parse a marker. Return None if it is damaged: its shard is then not done."""
    try:
        return Marker(**json.loads(content))
    except (ValueError, TypeError):
        return None


def sum_markers(markers: Iterable[Marker]) -> Mapping[str, int]:
    """Add up the counts of markers."""
    totals = {"lines": 0, "failed": 0, "replaced": 0, "input_bytes": 0, "output_bytes": 0}
    for marker in markers:
        for name in totals:
            totals[name] += getattr(marker, name)
    return totals


def check_complete(job: Job, done: Mapping[int, Marker]) -> list[tuple[Shard, Marker]]:
    """Return all shards with their markers, in order. Raises DataError: a shard is not done."""
    shards = job.shards
    missing = [shard.number for shard in shards if shard.number not in done]
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(shards):,} shards are not done, the first is {missing[0]}; "
            "run the command of the job again"
        )
    return [(shard, done[shard.number]) for shard in shards]
