"""Text that is not UTF-8: recognized and refused, or read with one warning."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.encodings import LineDecoder, find_other_kind
from nmt.data.text_files import import_zstd, read_lines
from nmt.errors import DataError

TEXTS = ["A man rides a horse.\nA dog runs.\n", "一个人骑马。\n一只狗在跑。\n", "Ein Mädchen läuft\n", "a"]
WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


def zip_text(content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("text.en", content)
    return archive.getvalue()


def tar_text(content: bytes) -> bytes:
    archive, member = io.BytesIO(), tarfile.TarInfo("text.en")
    member.size = len(content)
    with tarfile.open(fileobj=archive, mode="w") as file:
        file.addfile(member, io.BytesIO(content))
    return archive.getvalue()


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("text", TEXTS)
def test_wide_encodings_are_recognized_with_and_without_a_mark(text: str, encoding: str) -> None:
    found = find_other_kind(text.encode(encoding))
    assert found is not None
    assert found.startswith(f"looks like {encoding[:6].upper()}; convert it to UTF-8: iconv -t utf-8 -f utf-")
    name = found.rpartition(" ")[2]
    assert text.encode(encoding).decode(name) == text


@pytest.mark.parametrize("text", TEXTS)
def test_compressed_text_is_recognized(text: str) -> None:
    content = text.encode()
    kinds = {
        "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": import_zstd("t.zst").compress,
        "a zip archive": zip_text, "a tar archive": tar_text, "lzma": partial(lzma.compress, format=lzma.FORMAT_ALONE),
    }  # fmt: skip
    for kind, compress in kinds.items():
        found = find_other_kind(compress(content))
        assert found is not None
        assert found.startswith(f"looks like {kind}")
    assert find_other_kind(bz2.compress(b"")) is not None


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"\x1f\x9d\x90a", "the output of compress"), (b"LZIP\x01\x0c", "lzip"), (b"{\\rtf1\\ansi\n", "an RTF document")],
)
def test_other_files_are_recognized(start: bytes, kind: str) -> None:
    assert str(find_other_kind(start)).startswith(f"looks like {kind}")


STRAY_ZEROS = st.text("ab\0 \n", max_size=3).map(lambda start: start + " abcdefgh" * 4)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])) | STRAY_ZEROS)
def test_utf_8_is_not_refused(text: str) -> None:
    content = text.encode()
    assert all(find_other_kind(part) is None for part in (content, content[:-1]))
    assert find_other_kind(b"BZh is a word") is None


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "koi8-r", "shift-jis", "gb18030"])
def test_other_encodings_are_read_with_one_warning(
    encoding: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    word = {"koi8-r": "Лошадь", "shift-jis": "馬", "gb18030": "马"}.get(encoding, "Mädchen")
    path = tmp_path / f"text.{encoding}"
    path.write_bytes(b"plain\n" + f"{word}\n\n{word}".encode(encoding))
    for _ in range(2):
        lines = list(read_lines(path))
        assert [bool("\ufffd" in line) for line in lines] == [False, True, False, True]
    (message,) = caplog.messages
    assert message.startswith(f"{path}: 2 of 4 lines are not UTF-8, the first is line 2; ")
    assert "iconv -f latin1 -t utf-8" in message


def test_a_text_that_is_read_in_part_is_reported_for_this_part(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"\xe4\n" * 9)
    lines = read_lines(path)
    next(lines)
    lines.close()  # type: ignore[attr-defined]
    assert not caplog.messages
    lines = read_lines(path)
    assert [next(lines) for _ in range(3)] == ["\ufffd"] * 3
    lines.close()  # type: ignore[attr-defined]
    assert caplog.messages[0].startswith(f"{path}: 3 of 3 lines are not UTF-8, the first is line 1")
    path.write_bytes(b"\xe4")
    assert list(read_lines(path)) == ["\ufffd"]
    assert caplog.messages[1].startswith(f"{path}: 1 of 1 lines is not UTF-8")


def test_a_compressed_file_with_another_name_is_refused(tmp_path: Path) -> None:
    for name, content in (("t", gzip.compress(b"a\n")), ("t.gz", gzip.compress(gzip.compress(b"a\n")))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: looks like gzip; decompress it first: gzip -dc$"):
            list(read_lines(tmp_path / name))


def test_a_decoder_counts_lines() -> None:
    decoder = LineDecoder(name="t")
    assert [decoder.decode(line) for line in (b"a\r\n", b"\xff\n", b"b")] == ["a", "\ufffd", "b"]
    assert (decoder.lines, decoder.faulty, decoder.first) == (3, 1, 2)
