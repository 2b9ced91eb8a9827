"""Functions that write files and folders atomically, and functions that verify the checksums of folders."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from nmt.errors import DataError, MachineError, ModelError
from nmt.system.opening import open_file, read_file

CHECKSUMS = "checksums.sha256"
DRAFT = ".nmt-draft-"  # the names of unfinished files and folders start with this prefix

_LINE = re.compile("([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9_.+-]{0,99})")
_MAX_CHECKSUMS_BYTES = 1 << 20  # the largest size of the file of checksums, in bytes
_ANY_SIZE = 1 << 62


def reason(error: BaseException) -> str:
    """Describe the cause of an error in a few words, for an error message."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether a full disk or an exhausted quota is the cause of an error. Chained errors are examined, too."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def saving(what: str | Path) -> Iterator[None]:
    """Turn an OSError in the block into a MachineError with a message of one line.

    Args:
        what: the file or folder that the block writes. The message starts with this name.

    Raises:
        MachineError: the disk is full, or `what` cannot be written.
    """
    try:
        yield
    except OSError as error:
        full = is_disk_full(error)
        advice = (
            "free some space; what was saved before is untouched" if full else "choose a folder that can be written"
        )
        raise MachineError(f"{what}: cannot be written ({reason(error)}); {advice}") from error


def write_whole(path: str | Path, content: bytes | memoryview | str) -> None:
    """Write a file atomically: flush a temporary file in the same folder to disk, and then rename the temporary file.

    If `path` is a symbolic link, the function keeps the link and replaces the file to which it points. If `path` is a
    pipe or a device, the content is written directly.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    with saving(path):
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        path = path.resolve()
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=DRAFT)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Create a temporary folder, and remove the folder at the end of the block.

    A process that is forked within the block does not remove the folder.

    Args:
        parent: the folder in which to create the new folder. The default is the system's folder of temporary files.

    Raises:
        MachineError: the folder cannot be created.
    """
    owner = os.getpid()
    with saving(parent or "the folder of temporary files"):
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=DRAFT))
    try:
        yield folder
    finally:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)


def check_new(folder: Path) -> None:
    """Check that a path can be used for a new folder. Raises DataError: something exists at this path."""
    if folder.exists() or folder.is_symlink():
        raise DataError(f"{folder}: exists already; name a new folder")


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Write a folder of files atomically, as `whole_tree` does, and add a file of checksums.

    Raises:
        MachineError: the disk is full, or the folder cannot be written.
    """
    with whole_tree(path) as draft:
        yield draft
        sums = {file.name: checksum(file) for file in draft.iterdir()}
        (draft / CHECKSUMS).write_text(format_checksums(sums), encoding="utf-8")
        for file in draft.iterdir():
            os.chmod(file, 0o644)  # the files that safetensors writes are readable only for their owner
            _flush(file)


@contextlib.contextmanager
def whole_tree(path: Path) -> Iterator[Path]:
    """Write a folder, which can contain other folders, atomically.

    The function yields a temporary folder, which the block fills. At the end of the block, the function renames the
    temporary folder to `path`. An older folder at `path` is replaced. If the block raises an error, the temporary
    folder is removed. If the process is killed, a hidden temporary folder may remain. `remove_leftovers` deletes such
    folders.

    Raises:
        MachineError: the disk is full, or the folder cannot be written.
    """
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=DRAFT))
        try:
            yield draft
            os.chmod(draft, 0o755)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(draft, path)
            _flush(path.parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def remove_leftovers(parent: Path) -> None:
    """Delete the temporary files and folders that killed processes left in a folder.

    While this function runs, no other process may write into the folder.
    """
    for draft in parent.glob(f"{DRAFT}*") if parent.is_dir() else ():
        if draft.is_dir() and not draft.is_symlink():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checksum(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def add_file(folder: Path, name: str, content: bytes | memoryview) -> None:
    """Add or replace a file in a folder that `whole_folder` wrote.

    The folder passes `verify_checksums` at any time, even if the process is killed while this function runs.

    Raises:
        ModelError: the file of checksums is missing or damaged.
        MachineError: the disk is full, or the folder cannot be written.
    """
    with _exclusive(folder):
        listed, sealed = _read_checksums(folder)
        if listed.pop(name, None) is not None or not sealed:  # the old checksum would not match the new file
            write_whole(folder / CHECKSUMS, format_checksums(listed))
        write_whole(folder / name, content)
        write_whole(folder / CHECKSUMS, format_checksums({**listed, name: checksum(folder / name)}))


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Wait until no other process adds a file to the folder, so that no process loses the entry of another one."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_checksums(folder: Path) -> dict[str, str]:
    """Read the checksums of a folder by file name. The files are not checked. See `verify_checksums` for the errors."""
    return _read_checksums(folder)[0]


def format_checksums(sums: Mapping[str, str]) -> str:
    """Format the checksums of files in the format of `sha256sum -c`. The keys of `sums` are file names.

    The last line is a comment with the number of files and the checksum of all other lines. With this line,
    `verify_checksums` detects a list that was cut short or changed.
    """
    lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    return f"{lines}# {len(sums)} files: {hashlib.sha256(lines.encode()).hexdigest()}\n"


def _read_checksums(folder: Path) -> tuple[dict[str, str], bool]:
    """Read the list of checksums of a folder.

    Returns:
        The checksums by file name, and whether the list ends with the comment that `format_checksums` writes. Versions
        before 0.3.0 did not write this comment.

    Raises:
        ModelError: the list is missing or damaged, or contains a path instead of a plain file name.
    """
    try:
        text = read_file(folder / CHECKSUMS, _MAX_CHECKSUMS_BYTES).decode()
        *lines, rest = text.split("\n")
        sealed = bool(lines) and lines[-1].startswith("#")
        found = [_LINE.fullmatch(line) for line in (lines[:-1] if sealed else lines)]
        sums = {match[2]: match[1] for match in found if match}
        if rest or not sums or len(sums) != len(found) or (sealed and format_checksums(sums) != text):
            raise ValueError("it is damaged or cut short")
        return sums, sealed
    except (ModelError, ValueError) as error:
        why = str(error).partition(": ")[2].partition(";")[0] if isinstance(error, ModelError) else "it is damaged"
        raise ModelError(f"{folder}: no readable {CHECKSUMS} ({why}); copy the whole folder again") from error


def verify_checksums(folder: Path, unread: Collection[str] = (), limits: Mapping[str, int] | None = None) -> set[str]:
    """Check the files of a folder that `whole_folder` wrote.

    Args:
        folder: the folder.
        unread: the names of files that the caller does not read. These files are not checked.
        limits: the names of the files that the caller reads, and the largest allowed size of each file in bytes. All
            other files are ignored. If `limits` is None, all files with a checksum are checked, whatever their sizes.

    Returns:
        The names of the files that have a checksum. If `limits` is given, only names in `limits` are returned. The
        caller should ignore all other files in the folder.

    Raises:
        ModelError: a file is missing, cut short, changed, too large, or not a regular file. The error is also raised if
            the list of checksums is damaged. A list that was written before 0.3.0 is refused if the folder contains a
            file of `limits` that the list lacks.
    """
    listed, sealed = _read_checksums(folder)
    if limits is not None:
        lacking = [name for name in limits if name not in listed and name not in unread]
        if not sealed and (surplus := next((name for name in lacking if os.path.lexists(folder / name)), None)):
            raise ModelError(f"{folder}: {CHECKSUMS} does not list {surplus}; copy the whole folder again")
        listed = {name: expected for name, expected in listed.items() if name in limits}
    for name, expected in listed.items():
        if name in unread:
            continue
        if not os.path.lexists(folder / name):
            raise ModelError(f"{folder}: {name} is missing; copy the whole folder again")
        with open_file(folder / name, _ANY_SIZE if limits is None else limits[name]) as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != expected:
                raise ModelError(
                    f"{folder / name}: damaged or cut short (its checksum differs); copy the whole folder again"
                )
    return set(listed)
