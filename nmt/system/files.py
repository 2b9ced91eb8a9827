"""Files and folders that are written whole or not at all, with checksums."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from nmt.errors import DataError, MachineError, ModelError

CHECKSUMS = "checksums.sha256"
DRAFT = ".nmt-draft-"  # how the names of files and folders begin that are not whole yet


def reason(error: BaseException) -> str:
    """Why an operation failed, in a few words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


@contextlib.contextmanager
def saving(what: str | Path) -> Iterator[None]:
    """Turns a failed write into one clear line.

    Raises:
        MachineError: the disk is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = (
            "free some space; what was saved before is untouched" if full else "choose a folder that can be written"
        )
        raise MachineError(f"{what}: cannot be written ({reason(error)}); {advice}") from error


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Write a file that appears whole or not at all: a temporary file beside it, flushed to disk, then renamed.

    A link stays, and what it points to is replaced; what is no file, a pipe or a device, is written to.
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


def check_new(folder: Path) -> None:
    """Raises DataError: there is something at the place where a folder shall be written."""
    if folder.exists() or folder.is_symlink():
        raise DataError(f"{folder}: exists already; name a new folder")


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path`, with checksums, once the block ends without an error; else it is removed.

    An older folder at `path` is replaced. A killed process leaves at most a hidden temporary folder behind, which
    `remove_leftovers` clears.

    Raises:
        MachineError: the disk is full, or the place cannot be written.
    """
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=DRAFT))
        try:
            yield draft
            _write_checksums(draft)
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
    """Delete the hidden drafts that a killed process left in a folder that only this process writes to."""
    for draft in parent.glob(f"{DRAFT}*") if parent.is_dir() else ():
        if draft.is_dir():
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
    """Add a file to a folder that `whole_folder` wrote, or replace one. The folder is whole at every moment.

    Raises:
        ModelError: the folder has no readable checksums.
        MachineError: the disk is full, or the folder cannot be written.
    """
    listed = _listed(folder)
    if listed.pop(name, None) is not None:  # the old file's checksum would not fit the new one
        write_whole(folder / CHECKSUMS, _checksum_lines(listed))
    write_whole(folder / name, content)
    write_whole(folder / CHECKSUMS, _checksum_lines({**listed, name: checksum(folder / name)}))


def _write_checksums(folder: Path) -> None:
    sums = {file.name: checksum(file) for file in folder.iterdir()}
    (folder / CHECKSUMS).write_text(_checksum_lines(sums), encoding="utf-8")


def _checksum_lines(sums: Mapping[str, str]) -> str:
    """Checksums by name in the format of `sha256sum -c`."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def _listed(folder: Path) -> dict[str, str]:
    """The checksums of a folder's files by name. Raises ModelError."""
    try:
        lines = (folder / CHECKSUMS).read_text("utf-8").splitlines()
        return {name: expected for expected, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: no readable {CHECKSUMS} ({reason(error)}); copy the whole folder again") from error


def verify_checksums(folder: Path, unread: Collection[str] = ()) -> set[str]:
    """Check a folder that `whole_folder` wrote, but for files that the caller does not read.

    Returns the names of its files; others have come from elsewhere.

    Raises:
        ModelError: a file is missing, cut short or changed.
    """
    listed = _listed(folder)
    for name, expected in listed.items():
        if name in unread:
            continue
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: {name} is missing; copy the whole folder again")
        if checksum(folder / name) != expected:
            raise ModelError(
                f"{folder / name}: damaged or cut short (its checksum differs); copy the whole folder again"
            )
    return set(listed)
