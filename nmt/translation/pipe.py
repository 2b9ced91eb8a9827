"""Translation of a stream of lines. The output has one line for each input line, in the same order.

If lines arrive faster than they can be translated, they are translated in batches. When the input pauses, all lines
that have been read are translated immediately.

bytes -> thread that splits lines -> bounded queue -> windows of lines -> requests -> translations -> bytes
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from nmt.data.encodings import BYTE_ORDER_MARK, LineDecoder, find_other_kind
from nmt.errors import DataError, MachineError
from nmt.system.files import reason
from nmt.translation.request import Request

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK_BYTES = 1 << 16  # the number of bytes that are read at once
MAX_LINE_BYTES = 1 << 20  # the limit of a line; the rest of a longer line is dropped
MAX_AHEAD_BYTES = 1 << 23  # the reader waits while the queue contains this many bytes
PAUSE = 0.01  # the input pauses if no line arrives for this many seconds
PATIENCE = 0.2  # the maximum number of seconds that a line waits for more lines while the input does not pause


class Source(Protocol):
    """An unbuffered source of bytes.

    `read` waits for at least one byte and returns all bytes that are available. At the end of the input, it returns
    b"". The source must not be buffered. A buffered reader waits until its buffer is full, and holds a lock meanwhile.
    """

    def read(self, size: int, /) -> bytes | None: ...


class Sink(Protocol):
    """A destination for bytes."""

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
    """Translate every line of a source, and write the translations to a sink.

    Args:
        source: the lines to translate.
        sink: the destination for the translations.
        translate: a function that returns a translation for each request. Each request has the text of a line and the
            name "line N".
        show: a function that returns the text to write. It receives a translation and the number of its line, counted
            from 1. A line feed is added to the text.
        max_lines: the maximum number of lines that are translated together.

    Raises:
        DataError: the source cannot be read, or is not text in UTF-8 or an 8-bit encoding.
        MachineError: the sink cannot be written, for example because a disk is full.
        BrokenPipeError: the program that reads the sink has closed it.
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
    """A reader of lines. A thread reads the lines into a queue, whose lines and bytes are limited."""

    def __init__(self, source: Source, max_lines: int) -> None:
        self.max_lines = max_lines
        self.queue: deque[bytes] = deque()
        self.bytes = 0
        self.ended = False
        self.failure: BaseException | None = None
        self.changed = threading.Condition()
        # The thread is a daemon, because otherwise the process could not exit while the thread waits for input.
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def windows(self) -> Iterator[list[str]]:
        """Yield windows of at most `max_lines` lines.

        A window ends if no line arrives for PAUSE seconds, or PATIENCE seconds after its first line.
        """
        decoder = LineDecoder(name="the input")
        while window := self._take():
            yield [decoder.decode(line) for line in window]
        decoder.warn()
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
        except BaseException as error:  # `windows` raises this error again in the main thread
            self.failure = error
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def _take(self) -> list[bytes]:
        """Wait for the next window and return its lines. At the end of the source, the window is empty."""
        with self.changed:
            self.changed.wait_for(lambda: self.queue or self.ended)
            latest = time.monotonic() + PATIENCE
            while len(self.queue) < self.max_lines and self.bytes < MAX_AHEAD_BYTES and not self.ended:
                if time.monotonic() >= latest or not self.changed.wait(PAUSE):
                    break
            window = list(self.queue)
            self.queue.clear()
            self.bytes = 0
            self.changed.notify_all()
            return window


def split_lines(source: Source) -> Iterator[bytes]:
    """Yield each line of a source, without its line feed, as soon as it is complete. The last line needs no line feed.

    A byte order mark before the first line is dropped. A line of more than MAX_LINE_BYTES is cut, with a warning.

    Raises:
        DataError: the source is not text in UTF-8 or an 8-bit encoding. It may be compressed data, for example.
    """
    number, rest, cutting = 1, b"", False
    while chunk := source.read(CHUNK_BYTES):
        if number == 1 and (kind := find_other_kind(rest + chunk)):
            raise DataError(f"the input {kind}")
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
