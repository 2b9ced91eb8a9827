"""Functions that write files and folders atomically, and verify folders with checksums."""

import contextlib
import errno
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
DRAFT = ".nmt-draft-"  # prefix of the names of unfinished files and folders

_LINE = re.compile("([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9_.+-]{0,99})")
_MOST_LISTED = 1 << 20  # bytes of a list of checksums
_ANY_SIZE = 1 << 62


def reason(error: BaseException) -> str:
    """Return the reason of an error in a few words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether an error, or the error that caused it, says that a disk or a quota is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def saving(what: str | Path) -> Iterator[None]:
    """Report a failed write in the block as a MachineError with a message of one line, whose subject is `what`.

    Raises:
        MachineError: The disk is full, or `what` cannot be written.
    """
    try:
        yield
    except OSError as error:
        full = is_disk_full(error)
        advice = (
            "free some space; what was saved before is untouched" if full else "choose a folder that can be written"
        )
        raise MachineError(f"{what}: cannot be written ({reason(error)}); {advice}") from error


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Write a file atomically. A temporary file in the same folder is flushed to disk and then renamed.

    If `path` is a symbolic link, its target is replaced, and the link is kept. A pipe or a device is written directly.
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
    """Create a folder for the block and remove it afterwards. A process that is forked within the block keeps it.

    Args:
        parent: Where to create the folder; by default, among the temporary files of the system.

    Raises:
        MachineError: The folder cannot be created.
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
    """Check that nothing exists at the path of a new folder. Raises DataError: the path exists already."""
    if folder.exists() or folder.is_symlink():
        raise DataError(f"{folder}: exists already; name a new folder")


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Write a folder atomically. The block fills a temporary folder, which then gets checksums and the name `path`.

    An older folder at `path` is replaced. If the block raises an error, the temporary folder is removed. A process that
    is killed leaves at most a hidden temporary folder, which `remove_leftovers` deletes.

    Raises:
        MachineError: The disk is full, or the folder cannot be written.
    """
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=DRAFT))
        try:
            yield draft
            sums = {file.name: checksum(file) for file in draft.iterdir()}
            (draft / CHECKSUMS).write_text(format_checksums(sums), encoding="utf-8")
            for file in draft.iterdir():
                os.chmod(file, 0o644)  # safetensors makes files that only their owner can read
                _flush(file)
            os.chmod(draft, 0o755)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(draft, path)
            _flush(path.parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def remove_leftovers(parent: Path) -> None:
    """Delete the temporary files that killed processes left in a folder. No other process may write there."""
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


def add_file(folder: Path, name: str, content: bytes) -> None:
    """Add or replace a file in a folder that `whole_folder` wrote.

    The folder passes `verify_checksums` at any time, even if the process is killed while it writes the file.

    Raises:
        ModelError: The folder has no readable checksums.
        MachineError: The disk is full, or the folder cannot be written.
    """
    listed, sealed = _read_checksums(folder)
    if listed.pop(name, None) is not None or not sealed:  # the checksum of the old file does not fit the new one
        write_whole(folder / CHECKSUMS, format_checksums(listed))
    write_whole(folder / name, content)
    write_whole(folder / CHECKSUMS, format_checksums({**listed, name: checksum(folder / name)}))


def format_checksums(sums: Mapping[str, str]) -> str:
    """Format checksums, given by file name, as `sha256sum -c` reads them.

    The last line, a comment, has the number of files and the checksum of the other lines, so that a list that was cut
    short or changed is noticed.
    """
    lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    return f"{lines}# {len(sums)} files: {hashlib.sha256(lines.encode()).hexdigest()}\n"


def _read_checksums(folder: Path) -> tuple[dict[str, str], bool]:
    """Read the checksum of each file of a folder.

    Returns:
        The checksums by file name, and whether the list has the last line of `format_checksums`. Versions before 0.3.0
        did not write this line.

    Raises:
        ModelError: the list is missing or damaged, or names a file that is not directly in the folder.
    """
    try:
        text = read_file(folder / CHECKSUMS, _MOST_LISTED).decode()
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
        folder: The folder.
        unread: Names of files that need not be checked, because the caller does not read them.
        limits: The names of the files that the caller reads, with the limit of the size of each file in bytes. All
            other files are ignored. By default, all listed files are checked, whatever their sizes.

    Returns:
        The names of all files that have a checksum, of those in `limits`. The caller should ignore any other file in
        the folder.

    Raises:
        ModelError: A file is missing, cut short, changed, too large, or not a regular file. Or the list is damaged, or
            was written before 0.3.0 and lacks a file of `limits` that the folder has.
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
