"""Locks that let only one process at a time use a folder."""

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
    """Lock a folder while the block runs. The folder is created if it does not exist.

    The operating system holds the lock, so the lock is released when the process ends, even by SIGKILL. The lock file
    is kept. If this function created the folder and the block leaves nothing else in it, the folder is removed.

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
        # The file is removed before the lock is released. If another process has opened the file and then locks it,
        # that process notices that the file has been removed.
        with contextlib.suppress(OSError):
            if created and os.listdir(folder) == [LOCK]:
                (folder / LOCK).unlink()
                folder.rmdir()
        lock.release()
