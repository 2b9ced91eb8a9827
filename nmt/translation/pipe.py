"""Translation as a pipe: as many lines out as in, in order, at once when the input pauses and in batches when it does not.

bytes -> thread that splits lines -> bounded queue -> windows of lines -> requests -> translations -> bytes
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
from nmt.translation.request import Request

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK = 1 << 16  # bytes read at once
MAX_LINE_BYTES = 1 << 20  # the rest of a longer line is dropped
MAX_AHEAD_BYTES = 1 << 23  # read ahead at most
PAUSE = 0.01  # seconds without a new line that count as a pause of the input
PATIENCE = 0.2  # seconds that a line waits for others at most, even if they keep coming


class Source(Protocol):
    """Where bytes come from. `read` returns what is available, at least one byte, or nothing at the end. It must not be
    buffered: a buffered reader waits for a full buffer, and holds a lock meanwhile."""

    def read(self, size: int, /) -> bytes | None: ...


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...


def run_pipe(
    source: Source,
    sink: Sink,
    *,
    translate: Callable[[list[Request]], Sequence[T]],
    show: Callable[[T, int], str],
    max_lines: int = 1024,
) -> None:
    """Translate every line of `source` into `sink`.

    Args:
        source: of bytes.
        sink: for bytes.
        translate: returns a translation for each request. Requests have only a text, and the number of the line as a name.
        show: the text to write for a translation and the number of its line, from 1; a line feed is added.
        max_lines: the largest window, the number of lines that are translated together.

    Raises:
        DataError: the source cannot be read.
        MachineError: the sink cannot be written, because a disk is full for example.
        BrokenPipeError: the reader of the sink has closed it.
    """
    done = 0
    for window in ReadAhead(source, max_lines).windows():
        requests = [Request(line, name=f"line {number}") for number, line in enumerate(window, start=done + 1)]
        translations = translate(requests)
        text = "".join(f"{show(translation, number)}\n" for number, translation in enumerate(translations, done + 1))
        try:
            sink.write(text.encode("utf-8", errors="replace"))
            sink.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise MachineError(f"the output cannot be written ({reason(error)}); write to another place") from error
        done += len(window)


class ReadAhead:
    """Lines of a source, read by a thread into a queue that is bounded in lines and bytes."""

    def __init__(self, source: Source, max_lines: int) -> None:
        self.max_lines = max_lines
        self.queue: deque[bytes] = deque()
        self.bytes = 0
        self.ended = False
        self.failure: BaseException | None = None
        self.changed = threading.Condition()
        # A daemon, because a thread that is blocked in a read would keep the process from ending.
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def windows(self) -> Iterator[list[str]]:
        """The lines in windows of at most `max_lines`. A window ends when the input pauses, or after PATIENCE."""
        while window := self._take():
            yield [decode_line(line) for line in window]
        if isinstance(self.failure, OSError):
            raise DataError(f"the input cannot be read ({reason(self.failure)}); give text on standard input")
        if self.failure:
            raise self.failure

    def _read(self, source: Source) -> None:
        try:
            for line in split_lines(source):
                with self.changed:
                    self.changed.wait_for(lambda: len(self.queue) < self.max_lines and self.bytes < MAX_AHEAD_BYTES)
                    self.queue.append(line)
                    self.bytes += len(line)
                    self.changed.notify_all()
        except BaseException as error:  # raised again by `windows`, in the main thread
            self.failure = error
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def _take(self) -> list[bytes]:
        """The lines of the next window; none at the end of the source."""
        with self.changed:
            self.changed.wait_for(lambda: self.queue or self.ended)
            latest = time.monotonic() + PATIENCE
            while not self._is_full() and not self.ended and time.monotonic() < latest and self.changed.wait(PAUSE):
                pass
            window = list(self.queue)
            self.queue.clear()
            self.bytes = 0
            self.changed.notify_all()
            return window

    def _is_full(self) -> bool:
        return len(self.queue) >= self.max_lines or self.bytes >= MAX_AHEAD_BYTES


def split_lines(source: Source) -> Iterator[bytes]:
    """The lines of a source without their line feeds, each as soon as it is complete. The last line needs no line feed.

    A byte order mark before the first line is dropped. Lines are cut at MAX_LINE_BYTES, with a warning.
    """
    number, rest, cutting = 1, b"", False
    while chunk := source.read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not cutting:
                yield _clean(line, number)
            number, cutting = number + 1, False
        if cutting:
            rest = b""
        elif len(rest) > MAX_LINE_BYTES:
            yield _clean(rest, number)
            rest, cutting = b"", True
    if rest and not cutting:
        yield _clean(rest, number)


def _clean(line: bytes, number: int) -> bytes:
    if number == 1:
        line = line.removeprefix(BYTE_ORDER_MARK)
    if len(line) > MAX_LINE_BYTES:
        logger.warning("line %d: longer than %d bytes, cut there", number, MAX_LINE_BYTES)
    return line[:MAX_LINE_BYTES]
