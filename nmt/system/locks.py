"""A lock of a folder, which only one process at a time can hold."""

import contextlib
import logging
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.errors import MachineError
from nmt.system.files import saving

logger = logging.getLogger(__name__)

LOCK = ".lock"
_HOLDER_BYTES = 300  # enough for the id of a process and the name of a machine


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder while the block runs. The folder is created if it does not exist.

    The operating system releases the lock when the process ends, even if SIGKILL ended the process. The lock file
    remains in the folder. While the folder is locked, the file contains the id of the process that holds the lock, and
    the name of the machine. When the lock is released, the file becomes empty. If the file is not empty and the folder
    is not locked, the process was killed.

    If this function created the folder and the block writes nothing into the folder, the folder is removed. A process
    that is forked within the block does not release the lock.

    Raises:
        MachineError: another process holds the lock, or the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise MachineError(f"{folder}: is a file; choose another folder")
    created, owner, file = not folder.exists(), os.getpid(), folder / LOCK
    lock = FileLock(file)
    with saving(folder), contextlib.ExitStack() as undo:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            holder = _read_holder(file)
            who = f"process {holder[0]} on {holder[1]}" if holder else "another process"
            raise MachineError(
                f"{folder}: {who} is using this folder; wait until it ends, or choose another folder"
            ) from error
        undo.callback(lock.release)
        _take_over(file)
        undo.pop_all()
    try:
        yield
    finally:
        if os.getpid() == owner:
            # Remove the file before releasing the lock. A process that opened the file before and locks it afterwards
            # then notices that the file has been removed.
            with contextlib.suppress(OSError):
                os.truncate(file, 0)
                if created and os.listdir(folder) == [LOCK]:
                    file.unlink()
                    folder.rmdir()
            lock.release()


def _take_over(file: Path) -> None:
    """Write the id of this process and the name of this machine to a lock file that this process has locked.

    If the file still names another process, that process was killed. The function logs this.
    """
    own = (os.getpid(), platform.node())
    holder = _read_holder(file)
    if holder == own:  # filelock wrote the file, because the file system has no locks
        return
    if holder:
        log = logger.info if holder[1] == own[1] else logger.warning
        log("%s: process %d on %s, which used this folder before, has not ended regularly", file.parent, *holder)
    file.write_text(f"{own[0]}\n{own[1]}\n", encoding="utf-8")


def _read_holder(file: Path) -> tuple[int, str] | None:
    """Read the process id and the machine name in a lock file. Return None if the file does not contain them."""
    with contextlib.suppress(OSError, ValueError), open(file, "rb") as stream:
        number, host = stream.read(_HOLDER_BYTES).decode("utf-8").split("\n")[:2]
        if host.isprintable() and number.isascii() and number.isdigit():
            return int(number), host
    return None
