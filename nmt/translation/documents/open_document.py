"""OpenDocument: text documents (.odt) and presentations (.odp)."""

from collections.abc import Callable
from typing import Any

from nmt.errors import DataError
from nmt.translation.documents.archive import Archive, ArchiveDocument
from nmt.translation.documents.document import Context, Document, SlotDocument
from nmt.translation.documents.mixed import MixedContent, Rules
from nmt.translation.documents.passage import Role
from nmt.translation.trees import find_name, parse_xml, write_xml

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_SVG = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TAGS = frozenset(("span", "a", "meta"))
_DIVIDERS = frozenset(("tab", "line-break"))
_LANGUAGE = frozenset(("language", "country", "script", "rfc-language-tag"))  # properties that do not matter
_KEPT = (f"{_TEXT}tracked-changes", f"{_OFFICE}annotation")  # deleted text, and comments


def read_open_document(data: bytes, context: Context) -> Document:
    """Read a text document or a presentation: its content, headers and footers, but not its comments."""
    archive = Archive(data, context.name)
    members = [name for name in ("content.xml", "styles.xml") if name in archive.names]
    if "META-INF/manifest.xml" in archive.names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise DataError(f"{context.name}: is encrypted; save it without a password")
    if "content.xml" not in members:
        raise DataError(f"{context.name}: has no content.xml, so it is of another format; check its ending")
    return ArchiveDocument(archive, [(name, _Part) for name in members], context)


class _Part(SlotDocument):
    """A member with paragraphs."""

    def __init__(self, data: bytes, context: Context) -> None:
        self._root, self._form = parse_xml(data, context.name)
        plain = _find_plain_styles(self._root)
        rules = Rules(tags=_TAGS, dividers=_DIVIDERS, find_role=_find_role, is_transparent=plain)
        kept = {node for name in _KEPT for element in self._root.iter(name) for node in element.iter("*")}
        nodes = self._root.iter(f"{_TEXT}p", f"{_TEXT}h", f"{_SVG}title", f"{_SVG}desc")
        super().__init__([MixedContent(node, rules) for node in nodes if node not in kept])

    def serialize(self) -> bytes:
        return write_xml(self._root, self._form)


def _find_plain_styles(root: Any) -> Callable[[Any], bool]:
    """Return a function that returns whether an element is a span whose style changes nothing.

    LibreOffice makes such styles for each part of a text that was edited at another time.
    """
    plain = set()
    for style in root.iter(f"{_STYLE}style"):
        properties = [(child.tag, name) for child in style for name in child.attrib]
        names = {name for _, name in properties if "/officeooo/" not in name}
        automatic = style.getparent().tag == f"{_OFFICE}automatic-styles"
        inherits = style.get(f"{_STYLE}parent-style-name")
        harmless = all(name.rpartition("}")[2].split("-")[0] in _LANGUAGE for name in names)
        if style.get(f"{_STYLE}family") == "text" and automatic and harmless and not inherits:
            plain.add(style.get(f"{_STYLE}name"))
    return lambda element: find_name(element) == "span" and element.get(f"{_TEXT}style-name") in plain


def _find_role(element: Any) -> Role | None:
    """Return what an empty element is in its pair: the start or the end of a bookmark, a change or another range."""
    name = find_name(element)
    for ending in ("-start", "-end"):
        if name.endswith(ending) and element.tag.startswith(_TEXT):
            ids = (element.get(f"{_TEXT}{key}") for key in ("name", "change-id", "id"))
            return (name.removesuffix(ending), next(filter(None, ids), "")), ending == "-start"
    return None
