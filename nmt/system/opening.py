"""Functions that safely open files in folders that may come from strangers.

These functions open a file first and then examine the open file. The examined file is therefore the file that is read,
even if somebody replaces the file in between. A pipe, a device or a huge file is refused without delay.
"""

import errno
import os
import re
import stat
from io import BufferedReader
from pathlib import Path

from nmt.errors import ModelError

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_file(path: Path, max_bytes: int) -> BufferedReader:
    """Open a regular file of at most `max_bytes`.

    If `path` is a symbolic link, the file to which it points must be within the same folder. There is one exception:
    in a cache of the Hugging Face hub, a link may point to a blob of the same repository.

    Raises:
        ModelError: the file is missing, too large or not a regular file, or `path` is a link that is not allowed.
    """
    try:
        try:
            descriptor = os.open(path, _FLAGS)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            folder, target = path.parent.resolve(), path.resolve(strict=True)
            if not (target.is_relative_to(folder) or _is_hub_link(os.readlink(path), folder, target)):
                raise ModelError(
                    f"{path}: a link that leaves its folder; copy the files themselves, with cp -rL, if you trust them"
                ) from None
            descriptor = os.open(target, _FLAGS)
    except (OSError, RuntimeError) as error:  # before Python 3.13, circular links raise a RuntimeError
        reason = error.strerror if isinstance(error, OSError) else "circular links"
        raise ModelError(f"{path}: cannot be read ({reason}); copy the whole folder again") from error
    status = os.fstat(descriptor)
    fault = None
    if not stat.S_ISREG(status.st_mode):
        fault = "not a regular file; copy the whole folder again"
    elif status.st_size > max_bytes:
        fault = f"has {status.st_size:,} bytes, but at most {max_bytes:,} are allowed; do not use this folder"
    if fault:
        os.close(descriptor)
        raise ModelError(f"{path}: {fault}")
    return os.fdopen(descriptor, "rb")


def read_file(path: Path, max_bytes: int) -> bytes:
    """Read a regular file of at most `max_bytes`. Raises ModelError: see `open_file`."""
    with open_file(path, max_bytes) as stream:
        try:
            return stream.read(max_bytes)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror}); copy the whole folder again") from error


def _is_hub_link(link: str, folder: Path, target: Path) -> bool:
    """Return whether a link is `models--NAME/snapshots/REVISION/FILE -> ../../blobs/CHECKSUM`.

    `folder` and `target` contain no links, so the check ensures that the blob belongs to the same repository.

    Args:
        link: the path to which the link points, as stored in the link.
        folder: the folder of the link, with all links resolved.
        target: the file to which the link points, with all links resolved.
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
