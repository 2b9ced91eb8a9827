"""The files that a job reads: how they are found, how a change is noticed, and how a range of bytes is read."""

import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from nmt.data.text_files import explain_errors, is_url, match_files
from nmt.errors import DataError

_BLOCK = 8 << 20  # the maximum number of bytes of a remote file that one request reads
_TAIL = 1 << 16  # what one request reads beyond the end of a range, where the last line of the range ends


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file of the input, and what identifies its content."""

    path: str
    """A path or a URL."""
    size: int
    """Its size in bytes."""
    version: str
    """The ETag of an object, or the modification time of a file in nanoseconds."""


def find_inputs(patterns: Sequence[str]) -> list[InputFile]:
    """Find the files of a job. The files of a pattern are in alphabetical order.

    Args:
        patterns: paths or URLs, or patterns as in `match_files`.

    Raises:
        DataError: a pattern matches no file, a file matches two patterns, or a file cannot be looked up.
    """
    paths: list[str] = []
    for pattern in patterns:
        found = match_files(pattern)
        if not found and os.path.isdir(pattern):
            raise DataError(f"{pattern}: is a folder; name its files, for example '{pattern.rstrip('/')}/*.txt'")
        if not found:
            raise DataError(f"{pattern}: no such file; name files, or a pattern such as 'data/*.txt' in quotes")
        paths += found if is_url(pattern) else map(os.path.abspath, found)
    if repeated := next((path for path, count in Counter(paths).items() if count > 1), None):
        raise DataError(f"{repeated}: matches several of the patterns; name each file once")
    return [look_up(path) for path in paths]


def look_up(path: str) -> InputFile:
    """Look up the size and the version of a file. Raises DataError: the file is missing."""
    with explain_errors(path):
        if not is_url(path):
            state = os.stat(path)
            return InputFile(path=path, size=state.st_size, version=str(state.st_mtime_ns))
        import fsspec

        system: Any
        system, name = fsspec.url_to_fs(path)
        system.invalidate_cache()
        entry = system.info(name)
        return InputFile(path=path, size=entry["size"], version=str(entry.get("ETag") or system.ukey(name)).strip('"'))


def check_unchanged(file: InputFile) -> None:
    """Check that a file has not changed since the job was planned. Raises DataError: it is missing or has changed."""
    now = look_up(file.path)
    if now != file:
        what = f"{file.size:,} bytes then, {now.size:,} now" if now.size != file.size else "its version differs"
        raise DataError(
            f"{file.path}: has changed since the job was planned ({what}); restore the file, or start a new job"
        )


def open_input(file: InputFile, start: int = 0, stop: int | None = None) -> BinaryIO:
    """Open a file to read it from an offset in bytes.

    Args:
        file: the file.
        start: the offset.
        stop: where the caller will probably stop reading. It can read on to the end of the file.

    Raises:
        DataError: the file cannot be read.
    """
    with explain_errors(file.path):
        if is_url(file.path):
            block = min(_BLOCK, (file.size if stop is None else stop) - start + _TAIL)
            return cast(BinaryIO, io.BufferedReader(_RemoteFile(file, start, block), _TAIL))
        stream = open(file.path, "rb")  # noqa: SIM115 - the caller closes it
        stream.seek(start)
        return stream


class _RemoteFile(io.RawIOBase):
    """A remote file. Each request reads a block, so memory does not depend on the caches of fsspec."""

    def __init__(self, file: InputFile, start: int, block: int) -> None:
        import fsspec

        self._system: Any
        self._system, self._name = fsspec.url_to_fs(file.path)
        self._size, self._position = file.size, start
        self._block, self._block_start, self._block_size = b"", start, block

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        start = self._position - self._block_start
        if not 0 <= start < len(self._block):
            if self._position >= self._size:
                return 0
            end = min(self._size, self._position + self._block_size)
            self._block = self._system.cat_file(self._name, start=self._position, end=end)
            self._block_start, start = self._position, 0
        piece = self._block[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
