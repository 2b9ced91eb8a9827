"""Office Open XML: text documents (.docx) and presentations (.pptx)."""

import re

from nmt.errors import DataError
from nmt.translation.documents.archive import Archive, ArchiveDocument
from nmt.translation.documents.document import AttributeSlot, Context, Document, Slot, SlotDocument
from nmt.translation.documents.runs import Names, Paragraph
from nmt.translation.trees import parse_xml, write_xml

_WORD = Names(
    containers=frozenset(("hyperlink", "ins", "moveTo", "smartTag", "dir", "bdo")),
    dropped=frozenset(("proofErr", "lastRenderedPageBreak", "softHyphen")),
    dividers=frozenset(("tab", "ptab", "br", "cr")),
    ignored=frozenset(("lang", "noProof", "rtl", "cs", "webHidden")),
    characters=(("noBreakHyphen", "\u2011"),),
    keep_spaces=True,
)
_DRAWING = Names(
    dividers=frozenset(("br",)), ignored=frozenset(("lang", "altLang", "dirty", "err", "smtClean", "bmk", "noProof"))
)
_NAMES = {  # by namespace; the second of each kind is that of the strict variant
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": _WORD,
    "http://purl.oclc.org/ooxml/wordprocessingml/main": _WORD,
    "http://schemas.openxmlformats.org/drawingml/2006/main": _DRAWING,
    "http://purl.oclc.org/ooxml/drawingml/main": _DRAWING,
}
_PICTURES = ("docPr", "cNvPr")  # the elements with the alternative text of a picture
_DOCX = re.compile(
    r"word/(?:document|header|footer|footnotes|endnotes|charts/chart|diagrams/data|diagrams/drawing)\d*\.xml"
)
_PPTX = re.compile(r"ppt/(?:slides/slide|notesSlides/notesSlide|charts/chart|diagrams/data|diagrams/drawing)\d*\.xml")


def read_docx(data: bytes, context: Context) -> Document:
    """Read a text document: its body, headers, footers and notes, but not its comments."""
    return _read(data, context, _DOCX, "word/document")


def read_pptx(data: bytes, context: Context) -> Document:
    """Read a presentation: its slides and the notes of the speaker."""
    return _read(data, context, _PPTX, "ppt/")


def _read(data: bytes, context: Context, members: re.Pattern[str], main: str) -> Document:
    archive = Archive(data, context.name)
    names = sorted(filter(members.fullmatch, archive.names), key=lambda name: (not name.startswith(main), name))
    if not any(name.startswith(main) for name in archive.names) or "[Content_Types].xml" not in archive.names:
        raise DataError(f"{context.name}: has no {main}, so it is of another format; check its ending")
    return ArchiveDocument(archive, [(name, _Part) for name in names], context)


class _Part(SlotDocument):
    """A member with paragraphs."""

    def __init__(self, data: bytes, context: Context) -> None:
        self._root, self._form = parse_xml(data, context.name)
        slots: list[Slot] = []
        for node in list(self._root.iter("*")):
            space, _, name = node.tag.removeprefix("{").rpartition("}")
            names = _NAMES.get(space)
            # The content of a control within a paragraph contains runs, so it is also a paragraph.
            inline = name == "sdtContent" and any(child.tag == f"{{{space}}}r" for child in node)
            if names and (name == "p" or inline):
                slots.append(Paragraph(node, names))
            elif name in _PICTURES:
                slots += [AttributeSlot(node, attribute) for attribute in ("descr", "title") if node.get(attribute)]
        super().__init__(slots)

    def serialize(self) -> bytes:
        return write_xml(self._root, self._form)
