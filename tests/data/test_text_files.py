"""nmt/data/text_files.py: lines, compressed files and URLs."""

import gzip
import lzma
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nmt.data.encodings import BYTE_ORDER_MARK, LineDecoder, find_other_kind
from nmt.data.text_files import (
    file_version,
    find_file,
    import_zstd,
    open_binary,
    read_lines,
)
from nmt.errors import DataError, MachineError

zstd = import_zstd("t.zst")
COMPRESS = {".gz": gzip.compress, ".zst": zstd.compress, ".xz": lzma.compress}


@given(content=st.binary() | st.text("a\r\n\u2028\x0c\x85 ").map(str.encode))
def test_line_count_equals_wc(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    assume(not content.startswith(BYTE_ORDER_MARK) and not find_other_kind(content))
    path = tmp_path_factory.mktemp("lines") / "t"
    path.write_bytes(content)
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    assert list(read_lines(path)) == [line.removesuffix(b"\r").decode(errors="replace") for line in lines]


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("eins\nzwei\n", encoding="utf-8-sig")
    assert list(read_lines(tmp_path / "t")) == ["eins", "zwei"]
    (tmp_path / "t").write_text("", encoding="utf-8-sig")
    assert list(read_lines(tmp_path / "t")) == []
    (tmp_path / "t").write_text("eins\nzwei\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"t: looks like UTF-16; convert it to UTF-8: iconv -t utf-8 -f utf-16"):
        list(read_lines(tmp_path / "t"))


@pytest.mark.parametrize(
    ("line", "text"), [(b"a\r\n", "a"), (b"a\r\r\n", "a\r"), (b"a\rb", "a\rb"), (b"\n", ""), (b"\xff", "\ufffd")]
)
def test_lines_are_decoded(line: bytes, text: str) -> None:
    assert LineDecoder(name="t").decode(line) == text


@settings(max_examples=30)
@given(content=st.binary(), parts=st.integers(1, 3))
def test_compressed_files_of_several_parts(
    content: bytes, parts: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All formats allow several compressed parts one after another, as `cat a.gz b.gz` makes them."""
    folder = tmp_path_factory.mktemp("compressed")
    for ending, compress in COMPRESS.items():
        (folder / f"t{ending}").write_bytes(compress(content) * parts)
        with open_binary(folder / f"t{ending}") as stream:
            assert stream.read() == content * parts


def test_large_zst_is_read_by_lines(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(200_000)]
    (tmp_path / "t.zst").write_bytes(zstd.compress("\n".join(lines).encode()))
    assert list(read_lines(tmp_path / "t.zst")) == lines


@pytest.mark.parametrize("ending", COMPRESS)
@pytest.mark.parametrize("left", [0.0, 0.3, 0.9])
def test_cut_compressed_file_is_an_error(ending: str, left: float, tmp_path: Path) -> None:
    text = "".join(f"{number * 7919 % 10007}\n" for number in range(20_000)).encode()
    whole = COMPRESS[ending](text)
    (tmp_path / f"t{ending}").write_bytes(whole[: 5 + int(left * len(whole))])
    with pytest.raises(DataError, match=r"cannot be read \(.+\); check"):
        list(read_lines(tmp_path / f"t{ending}"))


def test_missing_file_and_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        list(read_lines(tmp_path / "t"))
    with pytest.raises(DataError, match="directory"):
        list(read_lines(tmp_path))


def test_find_file_tries_endings_in_order(tmp_path: Path) -> None:
    assert find_file(tmp_path / "t") is None
    for ending in (".xz", ".zst", ".gz", ""):
        (tmp_path / f"t{ending}").touch()
        assert find_file(tmp_path / "t") == tmp_path / f"t{ending}"
    (tmp_path / "folder").mkdir()
    assert find_file(tmp_path / "folder") is None


def test_damaged_compressed_files_are_errors(tmp_path: Path) -> None:
    for ending in COMPRESS:
        (tmp_path / f"t{ending}").write_bytes(b"not compressed at all\n")
        with pytest.raises(DataError, match=rf"t\{ending}: cannot be read \("):
            list(read_lines(tmp_path / f"t{ending}"))


def test_zst_names_the_extra_where_its_package_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.zst").write_bytes(zstd.compress(b"a\n"))
    monkeypatch.setitem(sys.modules, "compression" if sys.version_info >= (3, 14) else "backports", None)
    with pytest.raises(MachineError, match=r"t\.zst: \.zst files need the extra: pip install 'nmt\[zstd\]'"):
        list(read_lines(tmp_path / "t.zst"))


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """A remote file system that needs no network."""
    file_system = fsspec.filesystem("memory")
    yield file_system
    file_system.rm("/", recursive=True)


@pytest.mark.parametrize("ending", ["", *COMPRESS])
def test_urls_are_read_like_files(ending: str, memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    content = "eins\r\nzwei\u2028drei\n".encode()
    content = COMPRESS[ending](content) if ending else content
    memory.pipe(f"/corpus/t.de{ending}", content)
    (tmp_path / f"t.de{ending}").write_bytes(content)
    for url in ("memory://corpus/t.de", f"file://{tmp_path}/t.de"):
        assert find_file(url) == url + ending
        assert list(read_lines(url + ending)) == ["eins", "zwei\u2028drei"]


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_truncated_remote_file_is_an_error(ending: str, memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe(f"/t{ending}", COMPRESS[ending](os.urandom(1000))[:-9])
    with pytest.raises(DataError, match=rf"memory://t\{ending}: cannot be read \(.+\); check"):
        list(read_lines(f"memory://t{ending}"))


def test_missing_remote_files_and_unknown_protocols(memory: fsspec.AbstractFileSystem) -> None:
    assert find_file("memory://none") is None
    with pytest.raises(DataError, match=r"memory://none: cannot be read \(.+\); check the path"):
        list(read_lines("memory://none"))
    for fails in (lambda: list(read_lines("nowhere://t")), lambda: find_file("nowhere://t")):
        with pytest.raises(DataError, match=r"nowhere://t: cannot be read \(Protocol not known: nowhere\)") as caught:
            fails()
        assert "\n" not in str(caught.value)


def test_the_version_of_a_file_changes_with_it(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a")
    state = (tmp_path / "t").stat()
    assert file_version(tmp_path / "t") == [str(tmp_path / "t"), 1, state.st_mtime_ns]
    memory.pipe("/t", b"a")
    before = file_version("memory://t")
    assert file_version("memory://t") == before
    memory.pipe("/t", b"ab")
    assert file_version("memory://t") != before


def test_local_files_need_no_fsspec(tmp_path: Path) -> None:
    (tmp_path / "t.gz").write_bytes(gzip.compress(b"a\n"))
    code = (
        "import sys; from nmt.data.text_files import find_file, read_lines; "
        f"print(*read_lines(find_file({str(tmp_path / 't')!r})), 'fsspec' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "a False\n"


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs devices")
@pytest.mark.parametrize("device", ["/dev/full", "/dev/zero", "/dev/urandom"])
def test_devices_that_never_end_are_refused(device: str) -> None:
    with pytest.raises(DataError, match=f"^{device}: is a device, not a file; check the path$"):
        next(read_lines(device))
    assert list(read_lines("/dev/null")) == []
