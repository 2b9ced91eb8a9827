"""Text files: how lines are split, and how compressed and remote files are opened."""

import contextlib
import gzip
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from nmt.errors import DataError, MachineError, NmtError
from nmt.system.files import reason

File = str | Path  # on this machine, or a URL, which is never a Path

COMPRESSIONS = ("", ".gz", ".zst", ".xz")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some programs write it before the first line
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def decode_line(line: bytes) -> str:
    """Text of one line without its line feed and one carriage return before it. Invalid UTF-8 becomes U+FFFD."""
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", errors="replace")


def read_lines(path: File) -> Iterator[str]:
    """Lines of a local or remote text file, plain or compressed (.gz, .zst, .xz), split at line feeds only.

    U+2028, form feeds and lone carriage returns stay inside their line, so line numbers agree with `wc -l` and aligned
    files stay aligned.

    Raises:
        DataError: the file is missing, cannot be read, is truncated, or is UTF-16.
        MachineError: a .zst file, and the package for it is not installed.
    """
    with _explain_errors(path), open_binary(path) as stream:
        first = stream.readline().removeprefix(BYTE_ORDER_MARK)
        if first.startswith(UTF_16):
            raise DataError(f"{path}: is UTF-16; convert it to UTF-8: iconv -f utf-16 -t utf-8")
        if first:
            yield decode_line(first)
        for line in stream:
            yield decode_line(line)


@contextlib.contextmanager
def open_binary(path: File) -> Iterator[BinaryIO]:
    """The bytes of a local or remote file, decompressed according to the ending of its name."""
    with contextlib.ExitStack() as stack:
        stream: Any
        if is_url(path):
            import fsspec  # slow to import, and most files are local

            stream = stack.enter_context(fsspec.open(path, "rb"))
        else:
            stream = stack.enter_context(open(path, "rb"))
        if str(path).endswith(".gz"):
            stream = stack.enter_context(gzip.open(stream))
        elif str(path).endswith(".xz"):
            stream = stack.enter_context(lzma.open(stream))
        elif str(path).endswith(".zst"):
            stream = stack.enter_context(import_zstd(path).open(stream))
        yield cast(BinaryIO, stream)


def import_zstd(path: File) -> Any:
    """The standard library's module, or its backport. Unlike the zstandard package they notice a truncated file."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise MachineError(f"{path}: .zst files need the extra: pip install 'nmt[zstd]'") from error
    return zstd


def is_url(path: File) -> bool:
    """Whether a path is a URL such as s3://bucket/file, which fsspec opens."""
    return "://" in str(path)


def find_file(path: File) -> File | None:
    """The file at `path`, or at `path` with the ending of a compression; None if there is none.

    Raises:
        DataError: a URL cannot be looked up.
    """
    candidates = [f"{path}{ending}" for ending in COMPRESSIONS]
    if not is_url(path):
        return next((Path(candidate) for candidate in candidates if Path(candidate).is_file()), None)
    with _explain_errors(path):
        import fsspec

        file_system, _ = fsspec.url_to_fs(str(path))
        return next((candidate for candidate in candidates if file_system.isfile(candidate)), None)


def file_version(path: File) -> list[str | int]:
    """Values that change when a file changes: place, size and time of a local file, fsspec's key of a remote one."""
    if isinstance(path, Path):
        state = path.stat()
        return [str(path.resolve()), state.st_size, state.st_mtime_ns]
    with _explain_errors(path):
        import fsspec

        file_system, name = fsspec.url_to_fs(path)
        return [path, str(file_system.ukey(name))]


@contextlib.contextmanager
def _explain_errors(path: File) -> Iterator[None]:
    try:
        yield
    except NmtError:
        raise
    except Exception as error:  # every compression and every remote file system has its own errors
        lines = reason(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{path}: cannot be read ({lines[0]}); check the path and the file") from error
