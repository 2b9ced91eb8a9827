"""The work on one shard: read, process, write the output, and mark the shard as done."""

import json
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass

from nmt.corpus.job import Job, Shard, describe_file
from nmt.corpus.records import Block, Result, open_writer, read_blocks
from nmt.corpus.storage import Storage
from nmt.corpus.tasks import load_task
from nmt.errors import DataError, NmtError
from nmt.system.files import checksum, reason
from nmt.system.memory import is_shortage

DONE, FAILED = "done", "failed"
"""The folders of a job with the markers of shards that are done, and with the records that could not be processed."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """What is known of a shard that is done."""

    shard: int
    records: int
    failed: int
    """The number of records that could not be processed. Their results are empty."""
    input_bytes: int
    output: str
    """The name of the output file."""
    output_bytes: int
    checksum: str
    """The SHA-256 of the output file."""
    began: float
    """Seconds since 1970."""
    ended: float

    def to_json(self) -> bytes:
        """Return the content of the file of the marker."""
        return (json.dumps(asdict(self)) + "\n").encode()


def read_marker(storage: Storage, shard: Shard) -> Marker | None:
    """Read the marker of a shard. Return None if the shard is not done. A damaged marker counts as missing."""
    content = storage.read(f"{DONE}/{shard.name}.json")
    try:
        marker = None if content is None else Marker(**json.loads(content))
    except (ValueError, TypeError):
        return None
    return marker if marker and (marker.shard, marker.output) == (shard.number, shard.output) else None


class Worker:
    """Processes shards of a job."""

    def __init__(self, url: str, job: Job, *, threads: int = 1) -> None:
        """Load the models of a job.

        Args:
            url: the folder of the job.
            job: the job.
            threads: the number of threads that translate a shard.

        Raises:
            UserError: a model is missing, damaged, or has changed.
        """
        self.storage, self.job, self._output = Storage(url), job, Storage(job.output)
        self._run = load_task(job, threads=threads)

    def process(
        self, shard: Shard, *, poison: Collection[int] = (), announce: Callable[[int], None] | None = None
    ) -> Marker:
        """Process a shard, unless it is done already.

        Args:
            shard: the shard.
            poison: the numbers of records, from 1, that have ended a worker. They are not processed.
            announce: if it is given, records are processed one by one, and this function is called with the number of
                each record beforehand.

        Raises:
            DataError: the input is missing, cannot be read, or has changed since the job began.
            MachineError: the output cannot be written.
        """
        if marker := read_marker(self.storage, shard):
            return marker
        began, records = time.time(), 0
        failed: list[dict[str, object]] = []
        check_unchanged(shard)
        with self._output.create(shard.output) as draft:
            with open_writer(self.job, shard, draft) as writer:
                for block in read_blocks(self.job, shard):
                    for index in range(len(block.texts)):
                        if block.first + index in poison:
                            block.texts[index], block.faults[index] = None, "ends the process that translates it"
                    writer.write(block, self._process_block(block, announce))
                    records += len(block.texts)
                    places = ((block.first + index, fault) for index, fault in sorted(block.faults.items()))
                    failed += [{"record": place, "fault": fault} for place, fault in places]
            check_unchanged(shard)
            size, digest = draft.stat().st_size, checksum(draft)
        if failed:
            lines = "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in failed)
            self.storage.write(f"{FAILED}/{shard.name}.jsonl", lines.encode("utf-8", errors="replace"))
        marker = Marker(
            shard=shard.number,
            records=records,
            failed=len(failed),
            input_bytes=shard.end - shard.start,
            output=shard.output,
            output_bytes=size,
            checksum=digest,
            began=round(began, 3),
            ended=round(time.time(), 3),
        )
        self.storage.write(f"{DONE}/{shard.name}.json", marker.to_json())
        return marker

    def _process_block(self, block: Block, announce: Callable[[int], None] | None) -> list[Result]:
        """Return the results for a block. A record whose processing fails becomes a fault."""
        sound = [index for index, texts in enumerate(block.texts) if texts is not None]
        results: list[Result] = [None] * len(block.texts)
        if announce is None:
            try:
                found = self._run([texts for texts in block.texts if texts is not None]) if sound else []
                for index, result in zip(sound, found, strict=True):
                    results[index] = result
                return results
            except Exception as error:  # a record may find a bug, which must not stop a corpus
                if isinstance(error, NmtError) or is_shortage(error):
                    raise
        for index in sound:
            if announce:
                announce(block.first + index)
            texts = block.texts[index]
            try:
                (results[index],) = self._run([texts] if texts else [])
            except Exception as error:
                if isinstance(error, NmtError) or is_shortage(error):
                    raise
                block.faults[index] = f"{type(error).__name__}: {reason(error)}"
        return results


def check_unchanged(shard: Shard) -> None:
    """Check the file of a shard. Raises DataError: it is missing, or has changed since the job began."""
    if describe_file(shard.file.name) != shard.file:
        raise DataError(f"{shard.file.name}: has changed since the job began; restore the file, or begin another job")
