"""Electronic books (.epub)."""

import posixpath
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from nmt.errors import DataError
from nmt.translation.documents.archive import Archive, ArchiveDocument
from nmt.translation.documents.document import Context, Document, Slot, SlotDocument
from nmt.translation.documents.html import Xhtml
from nmt.translation.documents.mixed import MixedContent, Rules
from nmt.translation.trees import find_name, parse_xml, write_xml

_CONTAINER, _ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
_PAGE, _CONTENTS = "application/xhtml+xml", "application/x-dtbncx+xml"
_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"


def read_epub(data: bytes, context: Context) -> Document:
    """Read a book: its pages, its tables of contents, and its title and description."""
    archive = Archive(data, context.name)
    container, _ = parse_xml(archive.read(_CONTAINER), f"{context.name}: {_CONTAINER}")
    packages = [node.get("full-path", "") for node in container.iter("*") if find_name(node) == "rootfile"]
    members: dict[str, Callable[[bytes, Context], Document]] = {}
    for package in packages:
        root, _ = parse_xml(archive.read(package), f"{context.name}: {package}")
        members[package] = partial(_Part, names=(f"{_DUBLIN_CORE}title", f"{_DUBLIN_CORE}description"))
        for item in root.iter("*"):
            if find_name(item) == "item" and item.get("media-type") in (_PAGE, _CONTENTS):
                path = posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(item.get("href", ""))))
                page = item.get("media-type") == _PAGE
                if path not in archive.names:  # such books exist, and readers leave out the page
                    continue
                members[path] = Xhtml if page else partial(_Part, names=("{*}text",))
    if not members:
        raise DataError(f"{context.name}: names no package in {_CONTAINER}; repair the file")
    if _ENCRYPTION in archive.names:
        encrypted, _ = parse_xml(archive.read(_ENCRYPTION), f"{context.name}: {_ENCRYPTION}")
        uris = {unquote(node.get("URI", "")) for node in encrypted.iter("*")}
        if uris & set(members):
            raise DataError(f"{context.name}: is encrypted; only books without copy protection can be translated")
    return ArchiveDocument(archive, list(members.items()), context)


class _Part(SlotDocument):
    """The package or the table of contents, some of whose elements are text."""

    def __init__(self, data: bytes, context: Context, names: tuple[str, ...]) -> None:
        self._root, self._form = parse_xml(data, context.name)
        slots: list[Slot] = [MixedContent(node, Rules(tags=frozenset())) for node in _find(self._root, *names)]
        for language in _find(self._root, f"{_DUBLIN_CORE}language"):
            language.text = context.target
        super().__init__(slots)

    def serialize(self) -> bytes:
        return write_xml(self._root, self._form)


def _find(root: Any, *names: str) -> list[Any]:
    return list(root.iter(*names))
