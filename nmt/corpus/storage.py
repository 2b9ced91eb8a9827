"""Folders in which jobs store their files: on this machine, or at a URL that fsspec opens, such as s3://bucket/folder.

A file appears as a whole. On this machine, it is renamed when it is complete. An object store shows an object only
when all of it has arrived.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from nmt.data.text_files import is_url
from nmt.errors import MachineError, NmtError
from nmt.system.files import DRAFT, reason, saving, temporary_folder


class Storage:
    """A folder. Its files have names such as `done/000012.json`."""

    def __init__(self, url: str) -> None:
        """Name a folder. It is created with its first file."""
        self.url = url.rstrip("/") if is_url(url) else os.path.abspath(url)
        self._remote: Any = None
        if is_url(url):
            import fsspec  # slow to import, and most folders are local

            with self._explain("opened"):
                self._remote, self._root = fsspec.url_to_fs(self.url, use_listings_cache=False)

    def path(self, name: str) -> str:
        """Return the path or the URL of a file."""
        return f"{self.url}/{name}"

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if there is no such file."""
        try:
            if self._remote is None:
                return Path(self.path(name)).read_bytes()
            with self._explain("read"):
                return cast(bytes, self._remote.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MachineError(f"{self.path(name)}: cannot be read ({reason(error)}); check the folder") from error

    def write(self, name: str, content: bytes) -> None:
        """Write a file as a whole. Raises MachineError: the disk is full, or the folder cannot be written."""
        with self.create(name) as draft:
            draft.write_bytes(content)

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[Path]:
        """Yield the path of a new local file. At the end of the block, it becomes the file `name` as a whole.

        Raises:
            MachineError: the disk is full, or the folder cannot be written.
        """
        if self._remote is None:
            path = Path(self.path(name))
            draft = path.parent / f"{DRAFT}{path.name}-{secrets.token_hex(6)}"
            with saving(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    yield draft
                    with open(draft, "rb+") as stream:
                        os.fsync(stream.fileno())
                    os.replace(draft, path)
                finally:
                    draft.unlink(missing_ok=True)
        else:
            with temporary_folder() as folder:
                yield folder / "draft"
                with self._explain("written"):
                    self._remote.put_file(str(folder / "draft"), f"{self._root}/{name}")

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file to read it. Raises FileNotFoundError: there is no such file."""
        if self._remote is None:
            with open(self.path(name), "rb") as local:
                yield local
        else:
            with self._remote.open(f"{self._root}/{name}", "rb") as remote:
                yield remote

    def list(self, folder: str) -> set[str]:
        """Return the names of the files in a folder within this folder, without drafts."""
        try:
            if self._remote is None:
                names = os.listdir(self.path(folder))
            else:
                with self._explain("listed"):
                    names = [one.rpartition("/")[2] for one in self._remote.ls(f"{self._root}/{folder}", detail=False)]
        except FileNotFoundError:
            return set()
        return {name for name in names if name and not name.startswith(DRAFT)}

    def remove_drafts(self, folder: str) -> None:
        """Delete what killed processes left in a folder. No process may write into it."""
        if self._remote is None:
            for draft in Path(self.path(folder)).glob(f"{DRAFT}*"):
                draft.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _explain(self, done: str) -> Iterator[None]:
        """Turn the errors of file systems, which each have their own, into one line."""
        try:
            yield
        except (NmtError, FileNotFoundError):
            raise
        except Exception as error:
            lines = reason(error).strip().splitlines() or [type(error).__name__]
            raise MachineError(
                f"{self.url}: cannot be {done} ({lines[0]}); check the address and the rights"
            ) from error
