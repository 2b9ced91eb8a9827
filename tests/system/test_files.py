"""nmt/system/files.py: writes that are whole or not there at all."""

import errno
import os
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from nmt.errors import DataError, MachineError, ModelError
from nmt.system import files
from nmt.system.files import (
    CHECKSUMS,
    DRAFT,
    check_new,
    reason,
    remove_leftovers,
    saving,
    verify_checksums,
    whole_folder,
    write_whole,
)


def test_reason_is_never_empty() -> None:
    assert reason(OSError(errno.ENOENT, "No such file")) == "No such file"
    assert reason(ValueError("why")) == "why"
    assert reason(EOFError()) == "EOFError"


class TestWriteWhole:
    def test_writes_text_and_bytes(self, tmp_path: Path) -> None:
        write_whole(tmp_path / "t", "ä\n")
        assert (tmp_path / "t").read_bytes() == "ä\n".encode()
        write_whole(tmp_path / "t", b"\x00")
        assert (tmp_path / "t").read_bytes() == b"\x00"
        assert os.listdir(tmp_path) == ["t"]
        assert (tmp_path / "t").stat().st_mode & 0o777 == 0o644

    def test_full_disk_leaves_the_old_file(self, tmp_path: Path, full_disk: AbstractContextManager[None]) -> None:
        (tmp_path / "t").write_text("old")
        with full_disk, pytest.raises(MachineError, match=r"No space left.*free some space"):
            write_whole(tmp_path / "t", "new")
        assert (tmp_path / "t").read_text() == "old"
        assert os.listdir(tmp_path) == ["t"]

    def test_link_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("t")
        write_whole(tmp_path / "link", "new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "t").read_text() == "new"

    def test_a_pipe_is_written_to(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "t")
        reader = os.open(tmp_path / "t", os.O_RDONLY | os.O_NONBLOCK)
        write_whole(tmp_path / "t", "new")
        assert os.read(reader, 100) == b"new"
        os.close(reader)
        assert (tmp_path / "t").is_fifo()

    def test_an_open_pipe_by_number_is_written_to(self) -> None:
        reader, writer = os.pipe()
        write_whole(f"/dev/fd/{writer}", "new")  # as /dev/stdout is
        assert os.read(reader, 100) == b"new"
        os.close(reader)
        os.close(writer)

    def test_missing_folder_is_a_machine_error(self, tmp_path: Path) -> None:
        with pytest.raises(MachineError, match="choose a folder that can be written"):
            write_whole(tmp_path / "none" / "t", "x")


@pytest.fixture
def full_disk() -> AbstractContextManager[None]:
    """A context in which every sync fails as on a full disk."""

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    class Full:
        def __enter__(self) -> None:
            self.patch = pytest.MonkeyPatch()
            self.patch.setattr(os, "fsync", fsync)

        def __exit__(self, *_: object) -> None:
            self.patch.undo()

    return Full()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_really_full_device_is_a_machine_error() -> None:
    with pytest.raises(MachineError, match="No space left"), saving("/dev/full"), open("/dev/full", "wb") as stream:
        stream.write(b"x" * 100_000)


class TestWholeFolder:
    def test_appears_with_checksums(self, tmp_path: Path) -> None:
        with whole_folder(tmp_path / "deep" / "model") as draft:
            (draft / "a").write_text("1")
            (draft / "a").chmod(0o600)  # as safetensors does
            (draft / "b").write_text("2")
            assert not (tmp_path / "deep" / "model").exists()
        assert sorted(os.listdir(tmp_path / "deep" / "model")) == ["a", "b", CHECKSUMS]
        assert os.listdir(tmp_path / "deep") == ["model"]
        assert (tmp_path / "deep" / "model").stat().st_mode & 0o777 == 0o755
        assert {file.stat().st_mode & 0o777 for file in (tmp_path / "deep" / "model").iterdir()} == {0o644}
        verify_checksums(tmp_path / "deep" / "model")

    def test_checksums_are_those_of_sha256sum(self, tmp_path: Path) -> None:
        with whole_folder(tmp_path / "model") as draft:
            (draft / "a").write_bytes(b"x" * 100_000)
        subprocess.run(["sha256sum", "--check", "--quiet", CHECKSUMS], cwd=tmp_path / "model", check=True)

    def test_replaces_an_older_folder(self, tmp_path: Path) -> None:
        for name in ("old", "new"):
            with whole_folder(tmp_path / "model") as draft:
                (draft / name).touch()
        assert sorted(os.listdir(tmp_path / "model")) == [CHECKSUMS, "new"]

    @pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
    def test_failure_leaves_nothing_and_the_old_folder(self, error: BaseException, tmp_path: Path) -> None:
        with whole_folder(tmp_path / "model") as draft:
            (draft / "a").write_text("old")

        def fail() -> None:
            with whole_folder(tmp_path / "model") as draft:
                (draft / "a").write_text("new")
                raise error

        with pytest.raises(type(error)):
            fail()
        assert os.listdir(tmp_path) == ["model"]
        assert (tmp_path / "model" / "a").read_text() == "old"

    def test_full_disk_leaves_the_old_folder(self, tmp_path: Path, full_disk: AbstractContextManager[None]) -> None:
        with whole_folder(tmp_path / "model") as draft:
            (draft / "a").write_text("old")
        with pytest.raises(MachineError, match="No space left"), full_disk, whole_folder(tmp_path / "model") as draft:
            (draft / "a").write_text("new")
        assert os.listdir(tmp_path) == ["model"]
        verify_checksums(tmp_path / "model")
        assert (tmp_path / "model" / "a").read_text() == "old"

    def test_content_is_on_disk_before_it_gets_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a power cut there is either the old folder or the complete new one."""
        events = []
        replace, sync = os.replace, os.fsync

        def record_replace(old: Path, new: Path) -> None:
            events.append(("replace", os.fspath(new)))
            replace(old, new)

        def record_sync(descriptor: int) -> None:
            events.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
            sync(descriptor)

        monkeypatch.setattr(os, "replace", record_replace)
        monkeypatch.setattr(os, "fsync", record_sync)
        with whole_folder(tmp_path / "model") as draft:
            (draft / "a").write_text("a")
        assert sorted(events[:2]) == [("sync", "a"), ("sync", CHECKSUMS)]
        assert events[2:] == [("replace", str(tmp_path / "model")), ("sync", tmp_path.name)]
        events.clear()
        write_whole(tmp_path / "file", "b")
        (_, temporary), renamed = events
        assert temporary.startswith(DRAFT)
        assert renamed == ("replace", str(tmp_path / "file"))

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(MachineError, match="cannot be written"), whole_folder(tmp_path / "file" / "model"):
            pass


class TestVerifyChecksums:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        with whole_folder(tmp_path / "model") as draft:
            (draft / "weights").write_bytes(bytes(range(256)))
        return tmp_path / "model"

    def test_cut_file(self, model: Path) -> None:
        (model / "weights").write_bytes(bytes(range(255)))
        with pytest.raises(ModelError, match="weights: damaged or cut short"):
            verify_checksums(model)

    def test_changed_file(self, model: Path) -> None:
        (model / "weights").write_bytes(bytes(range(255)) + b"\x00")
        with pytest.raises(ModelError, match="weights: damaged or cut short"):
            verify_checksums(model)

    def test_missing_file(self, model: Path) -> None:
        (model / "weights").unlink()
        with pytest.raises(ModelError, match="weights is missing"):
            verify_checksums(model)

    def test_missing_or_damaged_list(self, model: Path) -> None:
        (model / CHECKSUMS).write_bytes(b"\xff\xfe nonsense\n")
        with pytest.raises(ModelError, match=f"no readable {CHECKSUMS}"):
            verify_checksums(model)
        (model / CHECKSUMS).write_text("nonsense\n")
        with pytest.raises(ModelError, match=f"no readable {CHECKSUMS}"):
            verify_checksums(model)
        (model / CHECKSUMS).unlink()
        with pytest.raises(ModelError, match=f"no readable {CHECKSUMS}"):
            verify_checksums(model)

    def test_files_that_are_not_read_do_not_matter(self, model: Path) -> None:
        (model / "weights").unlink()
        verify_checksums(model, unread=["weights"])

    def test_further_files_do_not_matter(self, model: Path) -> None:
        (model / "notes").write_text("mine")
        assert verify_checksums(model) == {"weights"}


def test_adding_a_file_keeps_the_checksums_valid_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with whole_folder(tmp_path / "model") as draft:
        (draft / "weights").write_bytes(b"w")
    seen = []
    replace = os.replace

    def watched(*arguments: Any) -> None:
        seen.append(verify_checksums(tmp_path / "model"))
        replace(*arguments)
        seen.append(verify_checksums(tmp_path / "model"))

    monkeypatch.setattr(os, "replace", watched)
    files.add_file(tmp_path / "model", "list", b"first")
    assert seen[-1] == {"weights", "list"}
    files.add_file(tmp_path / "model", "list", b"second")
    assert seen[-1] == {"weights", "list"}
    assert (tmp_path / "model" / "list").read_bytes() == b"second"
    subprocess.run(["sha256sum", "--check", "--quiet", CHECKSUMS], cwd=tmp_path / "model", check=True)


def test_remove_leftovers(tmp_path: Path) -> None:
    (tmp_path / f"{DRAFT}model.abc").mkdir()
    (tmp_path / f"{DRAFT}model.abc" / "a").touch()
    (tmp_path / f"{DRAFT}file.abc").touch()
    for name in ("visible", ".hidden"):
        (tmp_path / name).mkdir()
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden", "visible"]
    remove_leftovers(tmp_path / "none")


def test_new_folder_does_not_replace_another(tmp_path: Path) -> None:
    check_new(tmp_path / "new")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("", "file", "link"):
        with pytest.raises(DataError, match="exists already; name a new folder"):
            check_new(tmp_path / name)
