"""Text files: one way to split lines, and one way to open compressed text."""

import contextlib
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from nmt.errors import DataError, MachineError
from nmt.system.files import reason

COMPRESSIONS = ("", ".gz", ".zst")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # which some programs write before the first line
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def decode_line(line: bytes) -> str:
    """Text of one line: without its line feed and one carriage return before it; invalid UTF-8 becomes U+FFFD."""
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", errors="replace")


def read_lines(path: str | Path) -> Iterator[str]:
    """Lines of a text file, plain, .gz or .zst, split at line feeds only.

    U+2028, form feeds and lone carriage returns stay inside their line, so line numbers agree with `wc -l` and
    alignment holds.

    Raises:
        DataError: the file is missing, cannot be read, or is UTF-16.
    """
    try:
        with open_binary(path) as stream:
            first = stream.readline().removeprefix(BYTE_ORDER_MARK)
            if first.startswith(UTF_16):
                raise DataError(f"{path}: is UTF-16; convert it to UTF-8: iconv -f utf-16 -t utf-8")
            if first:
                yield decode_line(first)
            for line in stream:
                yield decode_line(line)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({reason(error)}); check the path and the file") from error


@contextlib.contextmanager
def open_binary(path: str | Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed by the ending of its name."""
    if str(path).endswith(".gz"):
        with gzip.open(path, "rb") as unzipped:
            yield cast(BinaryIO, unzipped)
    elif str(path).endswith(".zst"):
        with _open_zstd(path) as stream:
            yield stream
    else:
        with open(path, "rb") as plain:
            yield plain


@contextlib.contextmanager
def _open_zstd(path: str | Path) -> Iterator[BinaryIO]:
    try:
        import zstandard
    except ImportError as error:
        raise MachineError(f"{path}: .zst files need the extra: pip install 'nmt[zstd]'") from error
    try:
        with open(path, "rb") as compressed:
            frames = _ZstdFrames(compressed, lambda: zstandard.ZstdDecompressor().decompressobj())
            yield io.BufferedReader(frames, 1 << 17)
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from error


class _ZstdFrames(io.RawIOBase):
    """The bytes in a .zst file. Unlike zstandard's own reader it notices when the file is cut short."""

    def __init__(self, compressed: BinaryIO, decompressor: Callable[[], Any]) -> None:
        self._compressed, self._decompressor = compressed, decompressor
        self._frame: Any = None  # decompresses one frame; a file may hold several
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._advance():
            pass
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _advance(self) -> bool:
        """Decompress some more. False at the end of the file."""
        rest: bytes = self._frame.unused_data if self._frame and self._frame.eof else b""
        block = rest or self._compressed.read(1 << 15)
        if not block:
            if self._frame and not self._frame.eof:
                raise EOFError("the file is cut short")
            return False
        if self._frame is None or self._frame.eof:
            self._frame = self._decompressor()
        self._ready = memoryview(self._frame.decompress(block))
        return True


def existing(path: str | Path) -> Path | None:
    """The file at `path`, or at `path` with .gz or .zst behind it; None where there is none."""
    candidates = (Path(f"{path}{ending}") for ending in COMPRESSIONS)
    return next((candidate for candidate in candidates if candidate.is_file()), None)
