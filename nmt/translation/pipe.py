"""Lines through a pipe: as many out as in, in order, at once when the input pauses, in batches when it flows.

bytes -> thread that splits lines -> bounded queue -> window of lines -> translations -> bytes
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from nmt.data.text_files import BYTE_ORDER_MARK, decode_line
from nmt.errors import DataError, MachineError
from nmt.system.files import reason

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK = 1 << 16  # bytes read at once
MOST_BYTES = 1 << 20  # of a line; what is behind them is cut off
AHEAD_BYTES = 1 << 23  # read ahead at most
PAUSE = 0.01  # seconds without a new line that count as a pause of the input
PATIENCE = 0.2  # seconds that a line may wait for others, however steadily they come


class Source(Protocol):
    """Where bytes come from: `read` returns what there is, at least one byte, or none at the end. No buffered reader, which
    would wait for more and lock."""

    def read(self, size: int, /) -> bytes | None: ...


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...


def split_lines(source: Source) -> Iterator[bytes]:
    """Lines without their line feed, each as soon as it is complete; the last one needs no line feed. A byte order mark
    before the first is left out.

    A line with more than MOST_BYTES is cut there, with a warning that names it.
    """
    number, rest, cutting = 1, b"", False
    while chunk := source.read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not cutting:
                yield _shown(line, number)
            number, cutting = number + 1, False
        if cutting:
            rest = b""
        elif len(rest) > MOST_BYTES:
            yield _shown(rest, number)
            rest, cutting = b"", True
    if rest and not cutting:
        yield _shown(rest, number)


def _shown(line: bytes, number: int) -> bytes:
    if number == 1:
        line = line.removeprefix(BYTE_ORDER_MARK)
    if len(line) > MOST_BYTES:
        logger.warning("line %d: longer than %d bytes, cut there", number, MOST_BYTES)
    return line[:MOST_BYTES]


class ReadAhead:
    """Lines of a source, read by a thread into a queue that is bounded in lines and bytes."""

    def __init__(self, source: Source, most_lines: int) -> None:
        self.most_lines = most_lines
        self.queue: deque[bytes] = deque()
        self.bytes = 0
        self.ended = False
        self.failure: BaseException | None = None
        self.changed = threading.Condition()
        # A daemon: blocked in a read, it must not keep the process from ending.
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: Source) -> None:
        try:
            for line in split_lines(source):
                with self.changed:
                    self.changed.wait_for(lambda: len(self.queue) < self.most_lines and self.bytes < AHEAD_BYTES)
                    self.queue.append(line)
                    self.bytes += len(line)
                    self.changed.notify_all()
        except BaseException as error:  # the main thread raises it
            self.failure = error
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def windows(self) -> Iterator[list[str]]:
        """The lines, as many at a time as have come when the input pauses, `most_lines` at most."""
        while window := self._take():
            yield [decode_line(line) for line in window]
        if isinstance(self.failure, OSError):
            raise DataError(f"the input cannot be read ({reason(self.failure)}); give text on standard input")
        if self.failure:
            raise self.failure

    def _take(self) -> list[bytes]:
        with self.changed:
            self.changed.wait_for(lambda: self.queue or self.ended)
            latest = time.monotonic() + PATIENCE
            while not self._full() and not self.ended and time.monotonic() < latest and self.changed.wait(PAUSE):
                pass
            window = list(self.queue)
            self.queue.clear()
            self.bytes = 0
            self.changed.notify_all()
            return window

    def _full(self) -> bool:
        return len(self.queue) >= self.most_lines or self.bytes >= AHEAD_BYTES


def run_pipe(
    source: Source,
    sink: Sink,
    *,
    translate: Callable[[Sequence[str], Sequence[int]], Sequence[T]],
    show: Callable[[T, int], str],
    most_lines: int = 1024,
) -> None:
    """Translate every line of `source` into `sink`.

    Args:
        source, sink: bytes.
        translate: translations of some lines, no two of them the same, given with their numbers from 1.
        show: what to write for a translation and the number of its line; a line feed is added.
        most_lines: the largest window.

    Raises:
        DataError: the source cannot be read.
        MachineError: the sink cannot be written, a full disk say.
        BrokenPipeError: nobody reads the sink any more.
    """
    done = 0
    for window in ReadAhead(source, most_lines).windows():
        first: dict[str, int] = {}
        for number, line in enumerate(window, start=done + 1):
            first.setdefault(line, number)  # the same line twice is translated once
        found = dict(zip(first, translate(list(first), list(first.values())), strict=True))
        text = "".join(f"{show(found[line], number)}\n" for number, line in enumerate(window, start=done + 1))
        _write(sink, text.encode("utf-8", errors="replace"))
        done += len(window)


def _write(sink: Sink, data: bytes) -> None:
    try:
        sink.write(data)
        sink.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MachineError(f"the output cannot be written ({reason(error)}); translate to another place") from error
