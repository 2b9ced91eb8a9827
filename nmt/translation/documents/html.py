"""HTML (.html, .htm) and XHTML (.xhtml)."""

from collections.abc import Sequence
from typing import Any

from nmt.translation.documents.document import Context, Document, SlotDocument
from nmt.translation.documents.encoding import decode
from nmt.translation.markup import Markup, MarkupTree
from nmt.translation.tagged import TaggedText
from nmt.translation.trees import find_name, parse_xml, write_xml

_LANG = ("lang", "{http://www.w3.org/XML/1998/namespace}lang")


def read_html(data: bytes, context: Context) -> Document:
    """Read HTML: a page or a fragment. What browsers would mend is mended."""
    return _Html(data, context)


def read_xhtml(data: bytes, context: Context) -> Document:
    """Read XHTML, which must be well-formed."""
    return Xhtml(data, context)


def set_language(root: Any, target: str) -> None:
    """Set the language of a page, if it has one."""
    for name in _LANG:
        if find_name(root) == "html" and root.get(name):
            root.set(name, target)


class _Html(Document):
    def __init__(self, data: bytes, context: Context) -> None:
        text, self._form = decode(data, context.name, declared=True)
        start = len(text) - len(text.lstrip())
        self._lead, text = text[:start], text[start:]
        self._trail = text[len(text.rstrip()) :]
        self._markup = Markup(text.rstrip(), "html", context.name)
        set_language(self._markup.root, context.target)
        self.texts = self._markup.texts

    def write(self, translations: Sequence[TaggedText]) -> bytes:
        written = self._markup.write(translations)
        return self._form.encode(self._lead + written + self._trail, "xmlcharrefreplace")


class MarkupSlot:
    """A tree of HTML within a document."""

    def __init__(self, root: Any) -> None:
        self._tree = MarkupTree(root, "html")
        self.texts = self._tree.texts

    def write(self, translations: Sequence[TaggedText]) -> None:
        self._tree.fill(translations)


class Xhtml(SlotDocument):
    """A page of XHTML."""

    def __init__(self, data: bytes, context: Context) -> None:
        self._root, self._form = parse_xml(data, context.name)
        set_language(self._root, context.target)
        super().__init__([MarkupSlot(self._root)])

    def serialize(self) -> bytes:
        return write_xml(self._root, self._form)
