"""The formats of documents. To add one, write a function that reads a document and add it to READERS."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nmt.errors import DataError
from nmt.translation.documents.apple_strings import read_strings
from nmt.translation.documents.bilingual import read_tmx, read_xliff
from nmt.translation.documents.document import Context, Document
from nmt.translation.documents.epub import read_epub
from nmt.translation.documents.html import read_html, read_xhtml
from nmt.translation.documents.json_values import read_json
from nmt.translation.documents.markdown import read_markdown
from nmt.translation.documents.office import read_docx, read_pptx
from nmt.translation.documents.open_document import read_open_document
from nmt.translation.documents.plain_text import read_text
from nmt.translation.documents.po import read_po
from nmt.translation.documents.subtitles import read_srt, read_vtt

Reader = Callable[[bytes, Context], Document]
"""A function that reads a document.

It raises DataError if the document is damaged, and ConfigError if a package is missing.
"""

READERS: Mapping[str, Reader] = {
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_xhtml,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_text,
    ".docx": read_docx,
    ".pptx": read_pptx,
    ".odt": read_open_document,
    ".odp": read_open_document,
    ".epub": read_epub,
    ".po": read_po,
    ".xliff": read_xliff,
    ".xlf": read_xliff,
    ".tmx": read_tmx,
    ".srt": read_srt,
    ".vtt": read_vtt,
    ".json": read_json,
    ".strings": read_strings,
}
"""The readers by the ending of the file."""


def find_reader(path: Path) -> Reader:
    """Return the reader of a document by its ending, in any case.

    Raises:
        DataError: the ending is not known.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        ending = f"documents that end in {path.suffix}" if path.suffix else "documents without an ending"
        raise DataError(f"{path}: {ending} are not known; choose one of {', '.join(sorted(READERS))}")
    return reader


def list_endings() -> list[Sequence[str]]:
    """Return the endings of each format."""
    return [[ending for ending in READERS if READERS[ending] is reader] for reader in dict.fromkeys(READERS.values())]
