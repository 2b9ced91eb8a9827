"""Folders on this machine and at a URL: files appear whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from nmt.corpus.folders import Folder, open_folder
from nmt.errors import DataError, MachineError


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    yield open_folder(str(tmp_path / "new") if request.param == "local" else "memory://bucket/new")
    fsspec.filesystem("memory").store.clear()


def test_files_are_written_and_read(folder: Folder) -> None:
    assert folder.read("a/b") is None
    assert folder.sizes("a") == {}
    assert folder.read_all("a") == {}
    folder.write("a/b", b"one")
    folder.write("a/b", b"four")
    folder.write("a/c", b"")
    assert folder.read("a/b") == b"four"
    assert folder.size("a/b") == 4
    assert folder.size("a/x") is None
    assert folder.sizes("a") == {"b": 4, "c": 0}
    assert folder.sizes("") == {}
    assert folder.read_all("a") == {"b": b"four", "c": b""}
    with folder.open("a/b") as stream:
        assert stream.read() == b"four"
    folder.delete("a/b")
    folder.delete("a/b")
    assert folder.read("a/b") is None


def test_only_one_creates_a_file(folder: Folder) -> None:
    assert folder.create("claims/1", b"mine")
    assert not folder.create("claims/1", b"yours")
    assert folder.read("claims/1") == b"mine"


def test_a_file_appears_at_the_end_of_the_block(folder: Folder) -> None:
    with folder.writing("out") as stream:
        stream.write(b"1" * 100_000)
        assert folder.sizes("") == {}
    assert folder.sizes("") == {"out": 100_000}


def test_a_file_does_not_appear_after_an_error(folder: Folder) -> None:
    folder.write("out", b"old")

    def fail() -> None:
        with folder.writing("out") as stream:
            stream.write(b"new")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert folder.read("out") == b"old"
    folder.remove_drafts()


def test_only_drafts_of_dead_processes_are_removed(tmp_path: Path) -> None:
    folder = open_folder(str(tmp_path))
    with folder.writing("out") as stream:
        (draft,) = (tmp_path / ".nmt-draft-shards").iterdir()
        node, pid, start = draft.name.partition("@")[2].rsplit("@", 2)
        dead = draft.with_name(f"x@{node}@{pid}@{int(start) + 1}")
        dead.write_bytes(b"half")
        folder.remove_drafts()
        assert draft.exists()
        assert not dead.exists()
        stream.write(b"whole")
    folder.remove_drafts()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_one_line() -> None:
    folder = open_folder("/dev/full/x")
    with pytest.raises(MachineError, match=r"/dev/full/x/a: cannot be written \(Not a directory\)"):
        folder.write("a", b"x")


def test_bad_urls_are_errors(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: is a file; name a folder"):
        open_folder(str(tmp_path / "file"))
    with pytest.raises(DataError, match="nothing://x: cannot be read"):
        open_folder("nothing://x")
