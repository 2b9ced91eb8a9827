"""Functions that find, open and read text files. The files may be compressed or remote."""

import bz2
import contextlib
import glob
import gzip
import io
import itertools
import lzma
import os
import stat
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from nmt.data.encodings import BYTE_ORDER_MARK, LineDecoder, find_other_kind
from nmt.errors import DataError, MachineError, NmtError
from nmt.system.files import reason

File = str | Path  # a path on this machine, or a URL, which is always a str

STANDARD_INPUT = "-"  # as the name of a file

COMPRESSIONS = ("", ".gz", ".zst", ".xz", ".bz2")
MAX_SIDE_CHARACTERS = 1 << 17  # the limit of one side of a pair in characters; only damaged files have longer lines
MAX_ROW_CHARACTERS = 1 << 20  # the limit in characters of a line that contains both sides and perhaps other columns


def read_lines(path: File) -> Iterator[str]:
    """Read the lines of a local or remote text file, which may be compressed (.gz, .zst, .xz, .bz2).

    The text is split at line feeds only. U+2028, form feeds and lone carriage returns do not end a line. Line numbers
    therefore agree with `wc -l`, and the lines of parallel files stay aligned. In lines that are not UTF-8, U+FFFD
    replaces the invalid bytes. One warning counts these lines.

    Raises:
        DataError: the file is missing, cannot be read, is truncated, is not text in UTF-8 or an 8-bit encoding, or has
            a line of more than MAX_ROW_CHARACTERS.
        MachineError: the package that reads .zst files is needed but not installed.
    """
    for number, line in enumerate(scan_lines(path, MAX_ROW_CHARACTERS), start=1):
        if line is None:
            raise DataError(
                f"{path}:{number}: has more than {MAX_ROW_CHARACTERS:,} characters; split the line or remove it"
            )
        yield line


def scan_lines(path: File, limit: int) -> Iterator[str | None]:
    """Read the lines of a text file as `read_lines` does. A line of more than `limit` characters becomes None.

    A longer line is never held in memory as a whole, so a damaged or malicious file cannot fill the memory.

    Raises:
        DataError: the file is missing, cannot be read, is truncated, or is not text in UTF-8 or an 8-bit encoding.
        MachineError: the package that reads .zst files is needed but not installed.
    """
    with explain_errors(path), open_binary(path) as stream:
        # A BufferedReader splits lines faster than the decompressing classes of the standard library.
        lines = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(Any, stream), 1 << 16)
        read = partial(lines.readline, 4 * limit + 1)  # a UTF-8 character has at most 4 bytes, and a line feed has 1
        decoder = LineDecoder(name=str(path))
        try:
            head = [part for part in (read().removeprefix(BYTE_ORDER_MARK), read()) if part]
            if kind := find_other_kind(b"".join(head)):
                raise DataError(f"{path}: {kind}")
            yield from _decode_lines(itertools.chain(head, iter(read, b"")), decoder, limit)
        except GeneratorExit:
            if decoder.lines > 1:  # callers that test whether a corpus is empty read only one line
                decoder.warn(once=True)
            raise
        finally:
            if lines is not stream:
                lines.detach()  # `open_binary` closes the stream
        decoder.warn(once=True)


def _decode_lines(parts: Iterator[bytes], decoder: LineDecoder, limit: int) -> Iterator[str | None]:
    """Decode lines of at most `limit` characters. Longer lines become None, even if they consist of several parts."""
    for part in parts:
        if len(part) <= limit:
            yield decoder.decode(part)
            continue
        first, last = part, part
        while not last.endswith(b"\n") and (part := next(parts, b"")):
            last = part
        if last is first:
            text = decoder.decode(first)
            yield text if len(text) <= limit else None
        else:
            decoder.lines += 1
            yield None


@contextlib.contextmanager
def open_binary(path: File) -> Iterator[BinaryIO]:
    """Open a local or remote file, or standard input (-), to read its bytes.

    The bytes are decompressed according to the file name extension, in any case.

    Raises:
        DataError: the file is an endless device, such as /dev/zero. Only a terminal and the null device are read.
    """
    with contextlib.ExitStack() as stack:
        stream: Any
        if is_url(path):
            import fsspec  # slow to import, and most files are local

            stream = stack.enter_context(fsspec.open(path, "rb"))
        elif path == STANDARD_INPUT:
            stream = stack.enter_context(open(0, "rb", closefd=False))
        else:
            stream = stack.enter_context(open(path, "rb"))
            state = os.fstat(stream.fileno())
            null = state.st_rdev == os.stat(os.devnull).st_rdev
            if stat.S_ISCHR(state.st_mode) and not null and not stream.isatty():
                raise DataError(f"{path}: is a device, not a file; check the path")
        name = inner_name(path).lower()
        if name.endswith(".gz"):
            stream = stack.enter_context(gzip.open(stream))
        elif name.endswith(".xz"):
            stream = stack.enter_context(lzma.open(stream))
        elif name.endswith(".bz2"):
            stream = stack.enter_context(bz2.open(stream))
        elif name.endswith(".zst"):
            stream = stack.enter_context(import_zstd(path).open(stream))
        yield cast(BinaryIO, stream)


def inner_name(path: File) -> str:
    """Return the first part of a chained URL, which ends with the file name. Return other paths and URLs unchanged.

    >>> inner_name("zip://a.de::b.zip"), inner_name("data/a.de")
    ('zip://a.de', 'data/a.de')
    """
    return str(path).partition("::")[0] if is_url(path) else str(path)


def import_zstd(path: File) -> Any:
    """Import the zstd module of the standard library or its backport.

    Both modules report a truncated file. The zstandard package does not.
    """
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise MachineError(f"{path}: .zst files need the extra: pip install 'nmt[zstd]'") from error
    return zstd


def is_url(path: File) -> bool:
    """Return whether a path is a URL such as s3://bucket/file, which fsspec opens."""
    return "://" in str(path)


def find_file(path: File) -> File | None:
    """Find the file at `path`, or at `path` with .gz, .zst, .xz or .bz2 appended. Return None if no file exists.

    Raises:
        DataError: a URL cannot be looked up.
    """
    candidates = [f"{path}{ending}" for ending in COMPRESSIONS]
    if not is_url(path):
        return next((Path(candidate) for candidate in candidates if Path(candidate).is_file()), None)
    with explain_errors(path):
        import fsspec

        file_system, _ = fsspec.url_to_fs(str(path))
        return next((candidate for candidate in candidates if file_system.isfile(candidate)), None)


def match_files(pattern: str) -> list[str]:
    """Find the files whose names match a pattern.

    `*` matches any part of a name, `?` a character, `[...]` one of several characters, and `**` any number of folders.
    A name that exists is not a pattern, whatever characters it contains.

    Returns:
        The paths or URLs in alphabetical order.

    Raises:
        DataError: a URL cannot be looked up.
    """
    if not is_url(pattern):
        found = [pattern] if os.path.lexists(pattern) else glob.glob(pattern, recursive=True)
        return sorted(path for path in found if os.path.isfile(path))
    with explain_errors(pattern):
        import fsspec

        system: Any
        system, path = fsspec.url_to_fs(pattern)
        system.invalidate_cache()
        try:
            entries = {path: system.info(path)}
        except FileNotFoundError:
            entries = system.glob(path, detail=True) if glob.has_magic(path) else {}
        return sorted(system.unstrip_protocol(name) for name, entry in entries.items() if entry["type"] == "file")


def is_pattern(path: str) -> bool:
    """Return whether a path or a URL contains characters that have a meaning in patterns (see `match_files`)."""
    return glob.has_magic(path)


def find_files(pattern: str) -> list[str]:
    """Find the files whose names match a pattern, with or without .gz, .zst, .xz or .bz2 appended.

    If a file with this very name exists, it is the only one.

    Returns:
        The paths or URLs in alphabetical order, without the endings of compressions. `find_file` finds the files.

    Raises:
        DataError: a URL cannot be looked up.
    """
    if find_file(pattern):
        return [pattern]
    names = ((name, ending) for ending in COMPRESSIONS for name in match_files(f"{pattern}{ending}"))
    return sorted({name.removesuffix(ending) for name, ending in names})


def file_version(path: File) -> list[str | int]:
    """Return values that identify the content of a file. At least one of them changes when the file changes.

    The values are the path, the size and the modification time of a local file. For a remote file, they are the URL and
    the key that fsspec computes.
    """
    if isinstance(path, Path):
        state = path.stat()
        return [str(path.resolve()), state.st_size, state.st_mtime_ns]
    with explain_errors(path):
        import fsspec

        file_system, name = fsspec.url_to_fs(path)
        return [path, str(file_system.ukey(name))]


@contextlib.contextmanager
def explain_errors(path: File) -> Iterator[None]:
    """Convert each error of the block to a DataError. Its message is one line that names the file."""
    try:
        yield
    except NmtError:
        raise
    except Exception as error:  # each compression and each remote file system raises different errors
        lines = reason(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{path}: cannot be read ({lines[0]}); check the path and the file") from error
