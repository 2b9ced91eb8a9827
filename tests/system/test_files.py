"""nmt/system/files.py: lines, compression, and writes that are whole or not there at all."""

import errno
import gzip
import os
import subprocess

import pytest
import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nmt.data.text_files import BYTE_ORDER_MARK, UTF_16, decode_line, existing, open_binary, read_lines
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


@settings(deadline=None, max_examples=100)
@given(content=st.binary() | st.text("a\r\n\u2028\x0c\x85 ").map(str.encode))
def test_lines_are_those_of_wc(content, tmp_path_factory):
    assume(not content.startswith((BYTE_ORDER_MARK, *UTF_16)))
    path = tmp_path_factory.mktemp("lines") / "t"
    path.write_bytes(content)
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    assert list(read_lines(path)) == [line.removesuffix(b"\r").decode(errors="replace") for line in lines]


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "t").write_text("eins\nzwei\n", encoding="utf-8-sig")
    assert list(read_lines(tmp_path / "t")) == ["eins", "zwei"]
    (tmp_path / "t").write_text("", encoding="utf-8-sig")
    assert list(read_lines(tmp_path / "t")) == []
    (tmp_path / "t").write_text("eins\nzwei\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"t: is UTF-16; convert it to UTF-8: iconv"):
        list(read_lines(tmp_path / "t"))


@pytest.mark.parametrize(
    ("line", "text"), [(b"a\r\n", "a"), (b"a\r\r\n", "a\r"), (b"a\rb", "a\rb"), (b"\n", ""), (b"\xff", "\ufffd")]
)
def test_decode_line(line, text):
    assert decode_line(line) == text


@settings(deadline=None, max_examples=30)
@given(content=st.binary(), parts=st.integers(1, 3))
def test_compressed_files_of_several_parts(content, parts, tmp_path_factory):
    """Both formats allow several compressed parts one after another, as `cat a.gz b.gz` makes them."""
    folder = tmp_path_factory.mktemp("compressed")
    (folder / "t.gz").write_bytes(gzip.compress(content) * parts)
    (folder / "t.zst").write_bytes(zstandard.compress(content) * parts)
    for name in ("t.gz", "t.zst"):
        with open_binary(folder / name) as stream:
            assert stream.read() == content * parts


def test_large_zst_is_read_by_lines(tmp_path):
    lines = [f"line {number}" for number in range(200_000)]
    (tmp_path / "t.zst").write_bytes(zstandard.compress("\n".join(lines).encode()))
    assert list(read_lines(tmp_path / "t.zst")) == lines


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("left", [0.0, 0.3, 0.9])
def test_cut_compressed_file_is_an_error(ending, left, tmp_path):
    text = "".join(f"{number * 7919 % 10007}\n" for number in range(20_000)).encode()
    whole = gzip.compress(text) if ending == ".gz" else zstandard.compress(text)
    (tmp_path / f"t{ending}").write_bytes(whole[: 5 + int(left * len(whole))])
    with pytest.raises(DataError, match=r"cannot be read \(.+\); check"):
        list(read_lines(tmp_path / f"t{ending}"))


def test_missing_file_and_folder_are_errors(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        list(read_lines(tmp_path / "t"))
    with pytest.raises(DataError, match="directory"):
        list(read_lines(tmp_path))


def test_existing_finds_endings_in_order(tmp_path):
    assert existing(tmp_path / "t") is None
    for ending in (".zst", ".gz", ""):
        (tmp_path / f"t{ending}").touch()
        assert existing(tmp_path / "t") == tmp_path / f"t{ending}"
    (tmp_path / "folder").mkdir()
    assert existing(tmp_path / "folder") is None


def test_reason_is_never_empty():
    assert reason(OSError(errno.ENOENT, "No such file")) == "No such file"
    assert reason(ValueError("why")) == "why"
    assert reason(EOFError()) == "EOFError"


class TestWriteWhole:
    def test_writes_text_and_bytes(self, tmp_path):
        write_whole(tmp_path / "t", "ä\n")
        assert (tmp_path / "t").read_bytes() == "ä\n".encode()
        write_whole(tmp_path / "t", b"\x00")
        assert (tmp_path / "t").read_bytes() == b"\x00"
        assert os.listdir(tmp_path) == ["t"]
        assert (tmp_path / "t").stat().st_mode & 0o777 == 0o644

    def test_full_disk_leaves_the_old_file(self, tmp_path, full_disk):
        (tmp_path / "t").write_text("old")
        with full_disk, pytest.raises(MachineError, match=r"No space left.*free some space"):
            write_whole(tmp_path / "t", "new")
        assert (tmp_path / "t").read_text() == "old"
        assert os.listdir(tmp_path) == ["t"]

    def test_a_link_stays(self, tmp_path):
        (tmp_path / "link").symlink_to("t")
        write_whole(tmp_path / "link", "new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "t").read_text() == "new"

    def test_a_pipe_is_written_to(self, tmp_path):
        os.mkfifo(tmp_path / "t")
        reader = os.open(tmp_path / "t", os.O_RDONLY | os.O_NONBLOCK)
        write_whole(tmp_path / "t", "new")
        assert os.read(reader, 100) == b"new"
        os.close(reader)
        assert (tmp_path / "t").is_fifo()

    def test_an_open_pipe_by_number_is_written_to(self):
        reader, writer = os.pipe()
        write_whole(f"/dev/fd/{writer}", "new")  # as /dev/stdout is
        assert os.read(reader, 100) == b"new"
        os.close(reader)
        os.close(writer)

    def test_missing_folder_is_a_machine_error(self, tmp_path):
        with pytest.raises(MachineError, match="choose a folder that can be written"):
            write_whole(tmp_path / "none" / "t", "x")


@pytest.fixture
def full_disk():
    """Within it, nothing reaches the disk."""

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    class Full:
        def __enter__(self) -> None:
            self.patch = pytest.MonkeyPatch()
            self.patch.setattr(files.os, "fsync", fsync)

        def __exit__(self, *_: object) -> None:
            self.patch.undo()

    return Full()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_really_full_device_is_a_machine_error():
    with pytest.raises(MachineError, match="No space left"), saving("/dev/full"), open("/dev/full", "wb") as stream:
        stream.write(b"x" * 100_000)


class TestWholeFolder:
    def test_appears_with_checksums(self, tmp_path):
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

    def test_checksums_are_those_of_sha256sum(self, tmp_path):
        with whole_folder(tmp_path / "model") as draft:
            (draft / "a").write_bytes(b"x" * 100_000)
        subprocess.run(["sha256sum", "--check", "--quiet", CHECKSUMS], cwd=tmp_path / "model", check=True)

    def test_replaces_an_older_folder(self, tmp_path):
        for name in ("old", "new"):
            with whole_folder(tmp_path / "model") as draft:
                (draft / name).touch()
        assert sorted(os.listdir(tmp_path / "model")) == [CHECKSUMS, "new"]

    @pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
    def test_failure_leaves_nothing_and_the_old_folder(self, error, tmp_path):
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

    def test_full_disk_leaves_the_old_folder(self, tmp_path, full_disk):
        with whole_folder(tmp_path / "model") as draft:
            (draft / "a").write_text("old")
        with pytest.raises(MachineError, match="No space left"), full_disk, whole_folder(tmp_path / "model") as draft:
            (draft / "a").write_text("new")
        assert os.listdir(tmp_path) == ["model"]
        verify_checksums(tmp_path / "model")
        assert (tmp_path / "model" / "a").read_text() == "old"

    def test_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(MachineError, match="cannot be written"), whole_folder(tmp_path / "file" / "model"):
            pass


class TestVerifyChecksums:
    @pytest.fixture
    def model(self, tmp_path):
        with whole_folder(tmp_path / "model") as draft:
            (draft / "weights").write_bytes(bytes(range(256)))
        return tmp_path / "model"

    def test_cut_file(self, model):
        (model / "weights").write_bytes(bytes(range(255)))
        with pytest.raises(ModelError, match="weights: damaged or cut short"):
            verify_checksums(model)

    def test_changed_file(self, model):
        (model / "weights").write_bytes(bytes(range(255)) + b"\x00")
        with pytest.raises(ModelError, match="weights: damaged or cut short"):
            verify_checksums(model)

    def test_missing_file(self, model):
        (model / "weights").unlink()
        with pytest.raises(ModelError, match="weights is missing"):
            verify_checksums(model)

    def test_missing_or_damaged_list(self, model):
        (model / CHECKSUMS).write_bytes(b"\xff\xfe nonsense\n")
        with pytest.raises(ModelError, match=f"no readable {CHECKSUMS}"):
            verify_checksums(model)
        (model / CHECKSUMS).write_text("nonsense\n")
        with pytest.raises(ModelError, match=f"no readable {CHECKSUMS}"):
            verify_checksums(model)
        (model / CHECKSUMS).unlink()
        with pytest.raises(ModelError, match=f"no readable {CHECKSUMS}"):
            verify_checksums(model)

    def test_files_that_are_not_read_do_not_matter(self, model):
        (model / "weights").unlink()
        verify_checksums(model, unread=["weights"])

    def test_further_files_do_not_matter(self, model):
        (model / "notes").write_text("mine")
        assert verify_checksums(model) == {"weights"}


def test_a_file_is_added_to_a_folder_that_is_whole_at_every_moment(tmp_path, monkeypatch):
    with whole_folder(tmp_path / "model") as draft:
        (draft / "weights").write_bytes(b"w")
    seen = []
    replace = os.replace

    def watched(*arguments):
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


def test_remove_leftovers(tmp_path):
    (tmp_path / f"{DRAFT}model.abc").mkdir()
    (tmp_path / f"{DRAFT}model.abc" / "a").touch()
    (tmp_path / f"{DRAFT}file.abc").touch()
    for name in ("visible", ".hidden"):
        (tmp_path / name).mkdir()
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden", "visible"]
    remove_leftovers(tmp_path / "none")


def test_a_new_folder_takes_nobodys_place(tmp_path):
    check_new(tmp_path / "new")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("", "file", "link"):
        with pytest.raises(DataError, match="exists already; name a new folder"):
            check_new(tmp_path / name)
