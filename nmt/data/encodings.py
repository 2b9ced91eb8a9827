"""Functions that recognize input that is not UTF-8 text: other encodings, compressed files and binary formats."""

import codecs
import functools
import logging
from dataclasses import dataclass

logger = logging.getLogger(__name__)
_warn_once = functools.cache(logger.warning)

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some programs write this mark before the first line
SAMPLE = 1 << 16  # the number of bytes at the start of a text that are enough to recognize its kind

_DECOMPRESS = "decompress it first: "
_WIDE = "convert it to UTF-8: iconv -t utf-8 -f "
# Each entry has the first bytes of a kind of file, the name of this kind, and advice. UTF-32 comes before UTF-16,
# because its little-endian mark begins with the mark of UTF-16.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xff\xfe\0\0", "UTF-32", f"{_WIDE}utf-32"),
    (b"\0\0\xfe\xff", "UTF-32", f"{_WIDE}utf-32"),
    (b"\xff\xfe", "UTF-16", f"{_WIDE}utf-16"),
    (b"\xfe\xff", "UTF-16", f"{_WIDE}utf-16"),
    (b"\x1f\x8b", "gzip", f"{_DECOMPRESS}gzip -dc"),
    (b"BZh", "bzip2", f"{_DECOMPRESS}bzip2 -dc"),
    (b"\xfd7zXZ\0", "xz", f"{_DECOMPRESS}xz -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd", f"{_DECOMPRESS}zstd -dc"),
    (b"\x04\x22\x4d\x18", "lz4", f"{_DECOMPRESS}lz4 -dc"),
    (b"LZIP\x01", "lzip", f"{_DECOMPRESS}lzip -dc"),
    (b"\x5d\0\0", "lzma", f"{_DECOMPRESS}xz -dc --format=lzma"),
    (b"\x1f\x9d", "the output of compress (.Z)", f"{_DECOMPRESS}gzip -dc"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first: 7z x"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first: unrar x"),
    (b"PK\x03\x04", "a zip archive or an office document", "unpack it first (unzip -p), or save it as plain text"),
    (b"PK\x05\x06", "an empty zip archive", "give plain text"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document", "save it as plain text"),
    (b"{\\rtf1", "an RTF document", "save it as plain text"),
    (b"%PDF-", "a PDF", "extract its text first: pdftotext"),
    (b"PAR1", "Parquet", "give plain text"),
    (b"\x89PNG\r\n", "an image", "give plain text"),
    (b"\xff\xd8\xff", "an image", "give plain text"),
    (b"\x7fELF", "a program", "give plain text"),
)
_TAR_MARK, _TAR_OFFSET = b"ustar", 257  # the first 257 bytes of an archive are the name and the owner of a file
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")  # they follow BZh and a digit; plain text can begin with BZh


def find_other_kind(start: bytes) -> str | None:
    """Describe input that is not text in UTF-8 or an 8-bit encoding.

    Args:
        start: the first bytes of the input. At most SAMPLE bytes are read. Two lines are enough.

    Returns:
        What the input looks like and what the user can do, or None for UTF-8 and 8-bit encodings.
    """
    start = start[:SAMPLE]
    for mark, kind, advice in _KINDS:
        if start.startswith(mark) and (kind != "bzip2" or start[4:].startswith(_BZIP2_BLOCKS)):
            return f"looks like {kind}; {advice}"
    if start.startswith(_TAR_MARK, _TAR_OFFSET) and b"\0" in start[:_TAR_OFFSET]:
        return "looks like a tar archive; unpack it first: tar -xOf"
    if wide := _find_wide_encoding(start):
        return f"looks like {wide[:6].upper()}; {_WIDE}{wide}"
    return None


def _find_wide_encoding(start: bytes) -> str | None:
    """Return the name of a UTF-16 or UTF-32 encoding without a byte order mark, or None.

    In these encodings, every line feed and every space contains zero bytes. UTF-8 text almost never contains zero
    bytes. A text with few zero bytes is taken for UTF-16 only if it is not valid UTF-8.
    """
    zeros = start.count(0)
    if not zeros or (zeros < len(start) / 5 and _decode_start(start, "utf-8") is not None):
        return None
    for encoding in ("utf-32le", "utf-32be", "utf-16le", "utf-16be"):
        text = _decode_start(start, encoding)
        if text and "\0" not in text and (text.isascii() or "\n" in text or " " in text):
            return encoding
    return None


def _decode_start(start: bytes, encoding: str) -> str | None:
    """Decode bytes that may end within a character. Return None if the bytes are not in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return None


@dataclass(kw_only=True)
class LineDecoder:
    """Decodes the lines of a text, and counts the lines that are not UTF-8."""

    name: str
    """The name of the text in the warning."""
    lines: int = 0
    faulty: int = 0
    """The number of lines that are not UTF-8."""
    first: int = 0
    """The number of the first line that is not UTF-8, counted from 1, or 0 if all lines are UTF-8."""

    def decode(self, line: bytes) -> str:
        """Decode the next line. A line feed at its end is removed, and invalid bytes become U+FFFD."""
        self.lines += 1
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.faulty += 1
            self.first = self.first or self.lines
            return line.decode(errors="replace")

    def warn(self, *, once: bool = False) -> None:
        """If some lines were not UTF-8, log one warning that counts them.

        With `once`, the same warning is not repeated. Training needs this, because it reads a file several times.
        """
        if self.faulty:
            message = (
                f"{self.name}: {self.faulty} of {self.lines} lines {'is' if self.faulty == 1 else 'are'} not UTF-8, "
                f"the first is line {self.first}; invalid bytes are read as U+FFFD; convert the text, "
                "for example from Latin-1: iconv -f latin1 -t utf-8"
            )
            (_warn_once if once else logger.warning)(message)
