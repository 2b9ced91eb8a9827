"""Opening files of folders that may come from strangers.

A file is opened first, and then the open file is examined. So what was examined is what is read, and a pipe, a device
or a huge file is refused without waiting for it.
"""

import errno
import os
import re
import stat
from io import BufferedReader
from pathlib import Path

from nmt.errors import ModelError

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_file(path: Path, most: int) -> BufferedReader:
    """Open a regular file of at most `most` bytes.

    A link is followed only if it ends within the folder of the file, or if both are in a cache of the Hugging Face hub
    and the link ends at a blob of the same repository.

    Raises:
        ModelError: the file is missing, too large or not a regular file, or a link leaves the folder.
    """
    try:
        try:
            descriptor = os.open(path, _FLAGS)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            descriptor = os.open(_follow_link(path), _FLAGS)
    except (OSError, RuntimeError) as error:  # before Python 3.13, circular links are a RuntimeError
        reason = error.strerror if isinstance(error, OSError) else "circular links"
        raise ModelError(f"{path}: cannot be read ({reason}); copy the whole folder again") from error
    status = os.fstat(descriptor)
    fault = None
    if not stat.S_ISREG(status.st_mode):
        fault = "not a regular file; copy the whole folder again"
    elif status.st_size > most:
        fault = f"has {status.st_size:,} bytes, but at most {most:,} are allowed; do not use this folder"
    if fault:
        os.close(descriptor)
        raise ModelError(f"{path}: {fault}")
    return os.fdopen(descriptor, "rb")


def read_file(path: Path, most: int) -> bytes:
    """Read a regular file of at most `most` bytes. Raises ModelError: see `open_file`."""
    with open_file(path, most) as stream:
        try:
            return stream.read(most)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror}); copy the whole folder again") from error


def _follow_link(path: Path) -> Path:
    """Return the file at which a link ends. Raises ModelError: the link leaves its folder."""
    folder, target = path.parent.resolve(), path.resolve(strict=True)
    if target.is_relative_to(folder) or _is_hub_link(os.readlink(path), folder, target):
        return target
    raise ModelError(
        f"{path}: a link that leaves its folder; copy the files themselves, with cp -rL, if you trust them"
    )


def _is_hub_link(link: str, folder: Path, target: Path) -> bool:
    """Return whether a link is `models--NAME/snapshots/REVISION/FILE -> ../../blobs/CHECKSUM`.

    The last folders are compared after links have been resolved, so the blob is really a file of the same repository.
    """
    repository = folder.parents[1] if len(folder.parents) > 1 else folder
    return (
        folder.parent.name == "snapshots"
        and repository.name.startswith("models--")
        and re.fullmatch("[0-9a-f]{40}", folder.name) is not None
        and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", target.name) is not None
        and target.parent == repository / "blobs"
        and link == f"../../blobs/{target.name}"
    )
