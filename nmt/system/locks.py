"""Locks: one process at a time per folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.errors import MachineError
from nmt.system.files import saving

LOCK = ".lock"


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder for the length of the block. The folder is created if it is missing.

    The operating system holds the lock, so it is released when the process ends, even by SIGKILL. The lock file stays; if
    the block leaves nothing else in a folder that was created here, the folder is removed.

    Raises:
        MachineError: Another process holds the lock, or the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise MachineError(f"{folder}: is a file; choose another folder")
    created = not folder.exists()
    lock = FileLock(folder / LOCK)
    with saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise MachineError(
                f"{folder}: another process is using this folder; wait until it ends, or choose another folder"
            ) from error
    try:
        yield
    finally:
        # Removed while the lock is held: a process that opens the file before and locks it afterwards sees that it is gone.
        with contextlib.suppress(OSError):
            if created and os.listdir(folder) == [LOCK]:
                (folder / LOCK).unlink()
                folder.rmdir()
        lock.release()
