"""Folders of files that appear whole or not at all, on this machine or at a URL that fsspec opens.

On a file system, a file is written under another name, and renamed. An object store shows an object only when it is
complete. No function here needs a lock, so any number of machines can share a folder.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from nmt.corpus.owners import has_ended, name_owner
from nmt.data.text_files import explain_errors, is_url
from nmt.errors import DataError, MachineError
from nmt.system.files import DRAFT, reason, saving

DRAFTS = f"{DRAFT}shards"
"""The folder of unfinished files, within a folder on this machine."""

# A file at these stores can be seen only when it is complete. Elsewhere, a complete file is renamed.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "r2", "memory"}


class Folder(Protocol):
    """A folder of files, which can be in subfolders. Names are relative to the folder, with `/`."""

    url: str
    """The path or the URL of the folder."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if the file does not exist."""

    def read_all(self, subfolder: str) -> Mapping[str, bytes]:
        """Return the contents of all files of a subfolder by their names within it."""

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, or None if it does not exist."""

    def sizes(self, subfolder: str) -> Mapping[str, int]:
        """Return the sizes in bytes of all files of a subfolder by their names within it. Drafts are left out."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole. Raises MachineError: it cannot be written."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file if it does not exist. Return whether it was written.

        A store without this operation may let several callers write it.
        """

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""

    def writing(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Write a file of any size. It appears at the end of the block, unless the block raises an error."""

    def open(self, name: str) -> BinaryIO:
        """Open a file to read it. Raises DataError: it does not exist."""

    def remove_drafts(self) -> None:
        """Delete the unfinished files of processes of this machine that have ended."""


def open_folder(url: str) -> Folder:
    """Return the folder at a path or a URL. The folder need not exist.

    Raises:
        DataError: the path is a file, or the protocol of the URL is unknown or needs a package that is not installed.
    """
    if is_url(url):
        return RemoteFolder(url)
    if os.path.exists(url) and not os.path.isdir(url):
        raise DataError(f"{url}: is a file; name a folder")
    return LocalFolder(url)


class LocalFolder:
    """A folder of a file system. A shared file system, such as NFS, can serve several machines."""

    def __init__(self, path: str) -> None:
        self.url = path
        self._path = Path(path)

    def read(self, name: str) -> bytes | None:
        with explain_errors(self._path / name):
            try:
                return (self._path / name).read_bytes()
            except FileNotFoundError:
                return None

    def read_all(self, subfolder: str) -> Mapping[str, bytes]:
        found = {name: self.read(f"{subfolder}/{name}") for name in self.sizes(subfolder)}
        return {name: content for name, content in found.items() if content is not None}

    def size(self, name: str) -> int | None:
        with explain_errors(self._path / name):
            try:
                return (self._path / name).stat().st_size
            except FileNotFoundError:
                return None

    def sizes(self, subfolder: str) -> Mapping[str, int]:
        with explain_errors(self._path / subfolder):
            sizes = {}
            with contextlib.suppress(FileNotFoundError), os.scandir(self._path / subfolder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # another process has deleted it
                        if entry.is_file() and not entry.name.startswith(DRAFT):
                            sizes[entry.name] = entry.stat().st_size
            return sizes

    def write(self, name: str, content: bytes) -> None:
        with self.writing(name) as stream:
            stream.write(content)

    def create(self, name: str, content: bytes) -> bool:
        path = self._path / name
        with saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(path, "xb") as stream:
                    stream.write(content)
            except FileExistsError:
                return False
        return True

    def delete(self, name: str) -> None:
        with saving(self._path / name):
            (self._path / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        path = self._path / name
        with saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, draft = self._create_draft()
            try:
                with os.fdopen(handle, "wb") as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                os.chmod(draft, 0o644)
                os.replace(draft, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(draft)
                raise

    def _create_draft(self) -> tuple[int, str]:
        drafts = self._path / DRAFTS
        while True:
            drafts.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another process has removed the empty folder
                return tempfile.mkstemp(dir=drafts, suffix=f"@{name_owner()}")

    def open(self, name: str) -> BinaryIO:
        with explain_errors(self._path / name):
            return open(self._path / name, "rb")

    def remove_drafts(self) -> None:
        drafts = self._path / DRAFTS
        for draft in drafts.iterdir() if drafts.is_dir() else ():
            if has_ended(draft.name.partition("@")[2]):
                draft.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it contains drafts of running processes
            drafts.rmdir()


class RemoteFolder:
    """A folder at a URL of fsspec, such as s3://bucket/folder."""

    def __init__(self, url: str) -> None:
        import fsspec  # slow to import

        self.url = url.rstrip("/")
        with explain_errors(url):
            self._system: Any
            self._system, self._root = fsspec.url_to_fs(self.url)
        protocols = self._system.protocol
        names = {protocols} if isinstance(protocols, str) else set(protocols)
        self._is_store = bool(names & _OBJECT_STORES)

    def read(self, name: str) -> bytes | None:
        with explain_errors(f"{self.url}/{name}"):
            try:
                return cast(bytes, self._system.cat_file(f"{self._root}/{name}"))
            except FileNotFoundError:
                return None

    def read_all(self, subfolder: str) -> Mapping[str, bytes]:
        names = list(self.sizes(subfolder))
        if not names:
            return {}
        with explain_errors(f"{self.url}/{subfolder}"):
            paths = {f"{self._root}/{subfolder}/{name}": name for name in names}
            found = self._system.cat(list(paths), on_error="omit")
            return {paths[path]: content for path, content in found.items()}

    def size(self, name: str) -> int | None:
        with explain_errors(f"{self.url}/{name}"):
            self._system.invalidate_cache()
            try:
                return int(self._system.info(f"{self._root}/{name}")["size"])
            except FileNotFoundError:
                return None

    def sizes(self, subfolder: str) -> Mapping[str, int]:
        with explain_errors(f"{self.url}/{subfolder}"):
            self._system.invalidate_cache()  # another machine may have written files
            try:
                entries = self._system.ls(f"{self._root}/{subfolder}".rstrip("/"), detail=True)
            except FileNotFoundError:
                return {}
        names = {entry["name"].rpartition("/")[2]: entry for entry in entries if entry["type"] == "file"}
        return {name: entry["size"] for name, entry in names.items() if name and not name.startswith(DRAFT)}

    def write(self, name: str, content: bytes) -> None:
        with self._saving(name):
            self._put(name, lambda path: self._system.pipe_file(path, content))

    def create(self, name: str, content: bytes) -> bool:
        path = f"{self._root}/{name}"
        with self._saving(name):
            try:
                self._system.pipe_file(path, content, mode="create")
            except FileExistsError:
                return False
            except NotImplementedError:  # this file system cannot create a file only if there is none
                self._system.invalidate_cache()
                if self._system.exists(path):
                    return False
                self._system.pipe_file(path, content)
        return True

    def delete(self, name: str) -> None:
        with self._saving(name), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(f"{self._root}/{name}")

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        with saving("the folder of temporary files"), tempfile.NamedTemporaryFile(prefix=DRAFT) as stream:
            yield cast(BinaryIO, stream)
            stream.flush()
            with self._saving(name):
                self._put(name, lambda path: self._system.put_file(stream.name, path))

    def open(self, name: str) -> BinaryIO:
        with explain_errors(f"{self.url}/{name}"):
            return cast(BinaryIO, self._system.open(f"{self._root}/{name}", "rb"))

    def remove_drafts(self) -> None:
        """Do nothing. An object store has no unfinished files."""

    def _put(self, name: str, put: Any) -> None:
        path = f"{self._root}/{name}"
        if self._is_store:
            put(path)
            return
        draft = f"{self._root}/{DRAFT}{name.replace('/', '-')}@{name_owner()}"
        self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        put(draft)
        self._system.mv(draft, path)

    @contextlib.contextmanager
    def _saving(self, name: str) -> Iterator[None]:
        """Turn an error of a store into a MachineError. Each store raises errors of other types."""
        try:
            yield
        except (MachineError, DataError):
            raise
        except Exception as error:
            first = (reason(error).strip().splitlines() or [type(error).__name__])[0]
            raise MachineError(
                f"{self.url}/{name}: cannot be written ({first}); what was saved before is untouched: correct the "
                "cause, and run the same command again"
            ) from error


def copy_stream(source: BinaryIO, target: BinaryIO) -> None:
    """Copy a stream in blocks of 1 MiB."""
    shutil.copyfileobj(source, target, 1 << 20)
