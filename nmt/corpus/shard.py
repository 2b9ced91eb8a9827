"""One shard from its input to its output, which appears whole, and to its marker, which is written last."""

import bz2
import contextlib
import gzip
import hashlib
import lzma
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from nmt.corpus.inputs import check_unchanged, open_input
from nmt.corpus.items import Columns, Item, Work, failed_item
from nmt.corpus.job import Shard
from nmt.corpus.ledger import FailedLine, Ledger, Marker
from nmt.corpus.lines import BATCH, read_lines, read_objects, write_lines, write_objects
from nmt.corpus.owners import name_owner
from nmt.corpus.tables import Table
from nmt.data.text_files import explain_errors, import_zstd
from nmt.errors import MachineError, UserError
from nmt.system.memory import is_shortage


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt at a shard, and what earlier attempts have shown, in which a worker was killed."""

    shard: Shard
    careful: tuple[int, int] = (0, 0)
    """The range of lines during which a worker was killed. These lines are processed one by one. Lines are counted
    from 0."""
    skip: frozenset[int] = frozenset()
    """The lines at which workers were killed again and again. They fail."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """The lines that a worker is about to process."""

    shard: int
    first: int
    last: int
    """The index after the last line."""


Report = Callable[[Position], None]


def process_shard(ledger: Ledger, attempt: Attempt, work: Work, columns: Columns, report: Report) -> Marker:
    """Process a shard, write its output, and record it.

    Args:
        ledger: the record of the job.
        attempt: the shard.
        work: the function that does the work.
        columns: the columns that are read and written.
        report: is called before lines are processed.

    Raises:
        DataError: the input is missing, has changed, or cannot be read.
        MachineError: the output or its marker cannot be written, or there is too little memory.
    """
    job, shard = ledger.job, attempt.shard
    began, cpu = time.time(), time.process_time()
    check_unchanged(shard.file)
    processor = _Processor(attempt, work, report)
    with contextlib.ExitStack() as stack:
        target = HashingWriter(stack.enter_context(ledger.output.writing(job.output_name(shard))))
        start = max(0, shard.start - 1)
        source = stack.enter_context(open_input(shard.file, start, shard.stop))
        if job.format == "parquet":
            table = Table(shard.file.path, source, cast(BinaryIO, target), columns)
            for items in table.batches():
                table.write(items, processor.process(items))
            table.close()
            replaced, read = 0, shard.file.size
            digest = hashlib.sha256()
            source.seek(0)
            while block := source.read(1 << 20):
                digest.update(block)
        else:
            read_batches, write = (read_lines, write_lines) if job.format == "text" else (read_objects, write_objects)
            with _decompress(source, shard, job.compression) as plain, _compress(target, job.compression) as output:
                reader, batches = read_batches(shard, plain, columns)
                for items in _explain(batches, shard):
                    write(output, items, processor.process(items), columns)
            replaced, read, digest = reader.replaced, reader.size, reader.digest
        check_unchanged(shard.file)  # before the output appears
    marker = Marker(
        shard=shard.number,
        lines=processor.lines,
        failed=len(processor.failed),
        replaced=replaced,
        input_bytes=read,
        input_sha256=digest.hexdigest(),
        output_bytes=target.bytes,
        output_sha256=target.digest.hexdigest(),
        began=began,
        ended=time.time(),
        cpu_seconds=time.process_time() - cpu,
        owner=name_owner(),
    )
    ledger.record(shard, marker, processor.failed)
    return marker


class _Processor:
    """Processes the items of a shard. It reports its position, and isolates lines that raise an error."""

    def __init__(self, attempt: Attempt, work: Work, report: Report) -> None:
        self._attempt, self._work, self._report = attempt, work, report
        self.lines = 0
        self.failed: list[FailedLine] = []

    def process(self, items: Sequence[Item]) -> list[str]:
        """Return the result of each item. A line that fails has an empty result."""
        results: list[str] = []
        for first, last in self._split(len(items)):
            position = self.lines + first
            window = [
                failed_item(_show(item), "workers were killed at this line", row=item.row)
                if position + index in self._attempt.skip
                else item
                for index, item in enumerate(items[first:last])
            ]
            self._report(Position(shard=self._attempt.shard.number, first=position, last=self.lines + last))
            results += self._process_window(window, position)
        self.lines += len(items)
        return results

    def _split(self, count: int) -> Iterator[tuple[int, int]]:
        """Split lines into windows of at most BATCH. The lines of `attempt.careful` are alone."""
        first = 0
        low, high = (max(0, line - self.lines) for line in self._attempt.careful)
        while first < count:
            limit = first + 1 if low <= first < high else low if first < low else count
            last = min(limit, first + BATCH, count)
            yield first, last
            first = last

    def _process_window(self, items: Sequence[Item], first: int) -> list[str]:
        results = [""] * len(items)
        asked = []
        for index, item in enumerate(items):
            if item.fault:
                self._fail(first + index, item.fault, item.shown)
            elif item.text is not None:
                asked.append(index)
        for index, result in zip(asked, self._work_apart([items[index] for index in asked]), strict=True):
            if isinstance(result, Exception):
                reason = f"{type(result).__name__}: {result}".partition("\n")[0]
                self._fail(first + index, reason, _show(items[index]))
            else:
                results[index] = result
        return results

    def _work_apart(self, items: Sequence[Item]) -> Sequence[str | Exception]:
        """Process items. If an error is raised, halve the items until the line is found that raises it."""
        if not items:
            return []
        try:
            return self._work(items)
        except UserError:
            raise
        except Exception as error:
            if is_shortage(error):
                raise MachineError("there is too little memory; lower --workers") from error
            if len(items) == 1:
                return [error]
        half = len(items) // 2
        return [*self._work_apart(items[:half]), *self._work_apart(items[half:])]

    def _fail(self, line: int, reason: str, text: str) -> None:
        self.failed.append(FailedLine(line=line + 1, reason=reason, text=text))


def _show(item: Item) -> str:
    return f"{item.text}\t{item.target}" if item.target else item.text or ""


class HashingWriter:
    """A stream that counts what is written, and computes its checksum."""

    closed = False  # pyarrow asks

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.bytes = 0
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.bytes += memoryview(data).nbytes
        self.digest.update(data)
        return self._stream.write(data)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing. The owner of the stream closes it."""


@contextlib.contextmanager
def _decompress(source: BinaryIO, shard: Shard, compression: str) -> Iterator[BinaryIO]:
    if not compression:
        yield source
        return
    module: Any = {".gz": gzip, ".xz": lzma, ".bz2": bz2}.get(compression) or import_zstd(shard.file.path)
    with module.open(source) as stream:
        yield stream


@contextlib.contextmanager
def _compress(target: HashingWriter, compression: str) -> Iterator[BinaryIO]:
    """Compress what is written. Equal contents become equal bytes: no name and no time is stored."""
    stream: Any
    if not compression:
        yield cast(BinaryIO, target)
        return
    if compression == ".gz":
        stream = gzip.GzipFile("", "wb", 6, cast(BinaryIO, target), mtime=0)
    else:
        module: Any = {".xz": lzma, ".bz2": bz2}.get(compression) or import_zstd("the output")
        stream = module.open(cast(Any, target), "wb")
    with stream:
        yield stream


def _explain(batches: Iterator[list[Item]], shard: Shard) -> Iterator[list[Item]]:
    """Turn the errors of reading into a DataError. Only reading is meant, so the block of the loop is not inside."""
    while True:
        with explain_errors(shard.file.path):
            items = next(batches, None)
        if items is None:
            return
        yield items
