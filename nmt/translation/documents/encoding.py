"""Text files: decoding, and encoding in the same way."""

import codecs
import logging
import re
from dataclasses import dataclass

from nmt.data.encodings import find_other_kind
from nmt.errors import DataError
from nmt.tokenizers.base import replace_surrogates

logger = logging.getLogger(__name__)

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)|<meta[^>]*?charset\s*=\s*["']?([\w.:-]+)""", re.I
)


@dataclass(frozen=True, kw_only=True)
class TextForm:
    """How a text is stored in a file."""

    encoding: str
    mark: bytes
    """The byte order mark."""
    line_break: str
    """The only kind of line break in the file, or a line feed."""

    def encode(self, text: str, errors: str = "strict") -> bytes:
        """Return the bytes of a text whose line breaks are line feeds.

        Lone surrogates, which escapes in a document can contain, become U+FFFD.
        """
        text = replace_surrogates(text)
        if self.line_break != "\n":
            text = text.replace("\n", self.line_break)
        try:
            return self.mark + text.encode(self.encoding, errors)
        except UnicodeEncodeError as error:
            logger.warning("%s lacks %r; the output is UTF-8", self.encoding, text[error.start])
            return text.encode()


def decode(data: bytes, name: str, *, declared: bool = False) -> tuple[str, TextForm]:
    """Decode a file. The line breaks of the text are line feeds, unless the file has several kinds.

    Args:
        data: the bytes of the file.
        name: its name in messages.
        declared: whether the text can declare its encoding, as HTML does.

    Raises:
        DataError: the file is not text.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", ""))
    if not encoding and declared and (match := _DECLARED.search(data[:1024])):
        encoding = _known((match[1] or match[2]).decode("ascii"))
    if not encoding:
        if fault := find_other_kind(data):
            raise DataError(f"{name}: {fault}")
        encoding = "utf-8"
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        if mark or (encoding == "utf-8" and not declared and b"\0" in data):
            raise DataError(f"{name}: is not text in {encoding}; save it as UTF-8") from None
        encoding = "windows-1252" if declared else "latin-1"
        text = data.decode(encoding, errors="replace") if declared else data.decode(encoding)
    breaks = [text.count("\r\n"), text.count("\n"), text.count("\r")]
    line_break = "\n"
    if breaks[0] and breaks[0] == breaks[1] == breaks[2]:
        line_break = "\r\n"
    elif breaks[2] and not breaks[1]:
        line_break = "\r"
    return text.replace(line_break, "\n"), TextForm(encoding=encoding, mark=mark, line_break=line_break)


def _known(encoding: str) -> str:
    """Return an encoding that Python knows and whose ASCII characters are single bytes. UTF-8 replaces others."""
    try:
        return encoding if b"<".decode(encoding) == "<" else "utf-8"
    except (LookupError, UnicodeDecodeError):
        return "utf-8"
