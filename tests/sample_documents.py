"""Documents of a few pages in each format, and what the readers of these formats see of them.

`SAMPLES` has, for each ending, a function that makes a document, the name of its reader, and a function that reads it
into its structure and its texts. Inline elements count once a paragraph, because a translation can repeat them.
"""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import docx
import polib
import pptx
import pysubs2
from ebooklib import ITEM_DOCUMENT, epub
from lxml import etree, html
from markdown_it import MarkdownIt
from odf import draw, opendocument, style, table, teletype, text

PAGES = 20  # paragraphs in a document
SENTENCES = ["ein mann und zwei hunde .", "zwei männer laufen .", "eine frau liest ein buch , und ein hund schläft ."]

Content = tuple[list[Any], list[str]]


class Sample(NamedTuple):
    make: Callable[[], bytes]
    reader: str
    read: Callable[[bytes], Content]


def _sentence(number: int) -> str:
    return f"{SENTENCES[number % 3]} {SENTENCES[(number + number // 3) % 3]}"


def _saved(document: Any, save: str = "save") -> bytes:
    stream = io.BytesIO()
    getattr(document, save)(stream)
    return stream.getvalue()


_INLINE = ("b", "i", "a", "em", "strong", "span", "code", "g", "x", "pc", "ph", "text:span", "text:a")


def _read_tree(root: Any) -> Content:
    """Return the blocks of a tree with the kinds of inline elements in each, and the texts of blocks."""
    structure, texts = [], []
    for node in root.iter("*"):
        name = etree.QName(node).localname
        if name in _INLINE:
            continue
        inner = {etree.QName(child).localname for child in node if isinstance(child.tag, str)} & set(_INLINE)
        ids = {key: value for key, value in node.attrib.items() if key not in ("lang", "target-language")}
        structure.append((name, sorted(ids.items()), sorted(inner)))
        texts += [(node.text or "").strip()] if (node.text or "").strip() else []
    return structure, texts


def make_html() -> bytes:
    blocks = [f'<h2 id="h{i}">{SENTENCES[i % 3]}</h2>\n<p>{_sentence(i)} <b>ein mann</b> .</p>' for i in range(PAGES)]
    cells = "".join(f"<tr><td>{sentence}</td><td>12</td></tr>" for sentence in SENTENCES)
    body = "\n".join(blocks)
    return f"<!DOCTYPE html>\n<html><body>\n{body}\n<table>{cells}</table><pre>x = 1</pre></body></html>\n".encode()


def make_xhtml() -> bytes:
    content = make_html().decode().removeprefix("<!DOCTYPE html>\n")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{content}'.replace(
        "<html>", '<html xmlns="http://www.w3.org/1999/xhtml">'
    ).encode()


def make_markdown() -> bytes:
    blocks = [
        f"## {SENTENCES[i % 3]}\n\n- {_sentence(i)} **ein mann** `x = {i}`\n\n> {_sentence(i)}\n> {_sentence(i + 1)}\n"
        for i in range(PAGES)
    ]
    return "\n".join([*blocks, "| a | b |\n|---|---|\n| ein mann | 12 |\n\n```\nx = 1\n```\n"]).encode()


def read_markdown(data: bytes) -> Content:
    tokens = MarkdownIt("commonmark").enable("table").parse(data.decode())
    structure = []
    for token in tokens:
        kinds = {child.type for child in token.children or []} - {"text", "softbreak"}
        code = [child.content for child in token.children or [] if child.type == "code_inline"]
        structure.append((token.type, token.markup, sorted(kinds), code, token.content * (token.type == "fence")))
    return structure, [token.content for token in tokens if token.type == "inline"]


def make_text() -> bytes:
    return "".join(f"{SENTENCES[i % 3]}\n\n- {_sentence(i)}\n- {SENTENCES[i % 2]}\n\n" for i in range(PAGES)).encode()


def read_text(data: bytes) -> Content:
    lines = data.decode().split("\n")
    return [line[:2] == "- " if line else None for line in lines], [line for line in lines if line]


def make_docx() -> bytes:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = SENTENCES[0]
    for number in range(PAGES):
        document.add_heading(SENTENCES[number % 3], 2)
        paragraph = document.add_paragraph(_sentence(number))
        paragraph.add_run(" ein mann").bold = True
        document.add_paragraph(SENTENCES[number % 2], style="List Bullet")
    cells = document.add_table(2, 2)
    cells.cell(0, 0).text, cells.cell(1, 1).text = SENTENCES[1], "12"
    return _saved(document)


def read_docx(data: bytes) -> Content:
    document = docx.Document(io.BytesIO(data))
    cells = [cell for one in document.tables for row in one.rows for cell in row.cells]
    parts = [document.sections[0].header, document, *cells]
    paragraphs = [paragraph for part in parts for paragraph in part.paragraphs]
    structure = [
        (one.style.name if one.style else "", sorted({str(run.bold) for run in one.runs})) for one in paragraphs
    ]
    return [structure, len(document.tables)], [one.text for one in paragraphs if one.text]


def make_pptx() -> bytes:
    presentation = pptx.Presentation()
    for number in range(PAGES // 4):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = SENTENCES[number % 3]
        frame = slide.placeholders[1].text_frame
        for _ in range(4):
            run = frame.add_paragraph().add_run()
            run.text, run.font.bold = _sentence(number), True
        slide.notes_slide.notes_text_frame.text = SENTENCES[number % 2]
    return _saved(presentation)


def read_pptx(data: bytes) -> Content:
    structure: list[Any] = []
    texts: list[str] = []
    for slide in pptx.Presentation(io.BytesIO(data)).slides:
        frames = [shape.text_frame for shape in slide.shapes if shape.has_text_frame]
        for frame in [*frames, slide.notes_slide.notes_text_frame]:
            for paragraph in frame.paragraphs:
                structure.append((paragraph.level, sorted({str(run.font.bold) for run in paragraph.runs})))
                texts += [paragraph.text] if paragraph.text else []
        structure.append(len(slide.shapes))
    return structure, texts


def make_odt() -> bytes:
    document = opendocument.OpenDocumentText()
    bold = style.Style(name="B", family="text")
    bold.addElement(style.TextProperties(fontweight="bold"))
    document.automaticstyles.addElement(bold)
    for number in range(PAGES):
        document.text.addElement(text.H(outlinelevel=2, text=SENTENCES[number % 3]))
        paragraph = text.P(text=_sentence(number) + " ")
        paragraph.addElement(text.Span(stylename=bold, text="ein mann"))
        note = text.Note(noteclass="footnote")
        note.addElement(text.NoteCitation(text=str(number)))
        body = text.NoteBody()
        body.addElement(text.P(text=SENTENCES[number % 2]))
        note.addElement(body)
        paragraph.addElement(note)
        document.text.addElement(paragraph)
    rows = table.Table()
    rows.addElement(table.TableColumn())
    row, cell = table.TableRow(), table.TableCell()
    cell.addElement(text.P(text=SENTENCES[0]))
    row.addElement(cell)
    rows.addElement(row)
    document.text.addElement(rows)
    return _saved(document, "write")


def make_odp() -> bytes:
    document = opendocument.OpenDocumentPresentation()
    for number in range(PAGES):
        page = draw.Page(masterpagename="m")
        frame, box = draw.Frame(width="10cm", height="5cm"), draw.TextBox()
        box.addElement(text.P(text=_sentence(number)))
        frame.addElement(box)
        page.addElement(frame)
        document.presentation.addElement(page)
    return _saved(document, "write")


def read_open_document(data: bytes) -> Content:
    document = opendocument.load(io.BytesIO(data))
    structure: list[Any] = []

    def walk(node: Any) -> None:
        if node.nodeType == node.ELEMENT_NODE and node.qname[1] != "span":
            kinds = sorted({child.qname[1] for child in node.childNodes if child.nodeType == node.ELEMENT_NODE})
            structure.append((node.qname, kinds))
            for child in node.childNodes:
                walk(child)

    walk(document.body)
    paragraphs = [*document.getElementsByType(text.H), *document.getElementsByType(text.P)]
    return structure, [teletype.extractText(node) for node in paragraphs]


def make_epub() -> bytes:
    book = epub.EpubBook()
    book.set_identifier("x")
    book.set_title(SENTENCES[0])
    book.set_language("de")
    chapters = []
    for number in range(4):
        chapter = epub.EpubHtml(title=SENTENCES[number % 3], file_name=f"chapter {number}.xhtml", lang="de")
        blocks = [f"<h2>{SENTENCES[1]}</h2><p>{_sentence(i)} <b>mann</b></p>" for i in range(PAGES // 4)]
        chapter.content = "".join(blocks)
        chapters.append(chapter)
    for item in (*chapters, epub.EpubNcx(), epub.EpubNav()):
        book.add_item(item)
    book.toc = tuple(epub.Link(one.file_name, one.title, f"c{i}") for i, one in enumerate(chapters))
    book.spine = ["nav", *chapters]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.epub"
        epub.write_epub(str(path), book)
        return path.read_bytes()


def read_epub(data: bytes) -> Content:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.epub"
        path.write_bytes(data)
        book = epub.read_epub(str(path))
        pages = [html.fromstring(item.get_content()) for item in book.get_items_of_type(ITEM_DOCUMENT)]
    trees = [_read_tree(page) for page in pages]
    names = [(item.get_name(), item.get_type()) for item in book.get_items()]
    texts = [text for _, own in trees for text in own]
    return [names, len(book.toc), *(structure for structure, _ in trees)], [book.title, *texts]


def make_po() -> bytes:
    catalog = polib.POFile()
    catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Plural-Forms": "nplurals=2; plural=(n != 1);"}
    for number in range(PAGES):
        own = f"{_sentence(number)} {number} %s"
        catalog.append(polib.POEntry(msgid=own, flags=["c-format"], occurrences=[("a.c", str(number))]))
    catalog.append(polib.POEntry(msgid="ein hund", msgid_plural="%d hunde", msgstr_plural={0: "", 1: ""}))
    return f"{catalog}\n".encode()


def read_po(data: bytes) -> Content:
    catalog = polib.pofile(data.decode())
    structure = [
        (one.msgid, one.msgid_plural, one.occurrences, len(one.msgstr_plural), [f for f in one.flags if f != "fuzzy"])
        for one in catalog
    ]
    return structure, [text for one in catalog for text in one.msgstr_plural.values() or [one.msgstr]]


def make_xliff(version: str) -> bytes:
    space = f"urn:oasis:names:tc:xliff:document:{version}"
    if version == "1.2":
        units = [
            f'<trans-unit id="{i}"><source>{_sentence(i)} <g id="1">ein mann</g><x id="2"/></source></trans-unit>'
            for i in range(PAGES)
        ]
        head = '<file source-language="en" original="a" datatype="plaintext"><body>'
        content = f'<xliff xmlns="{space}" version="1.2">{head}{"".join(units)}</body></file></xliff>'
    else:
        units = [
            f'<unit id="{i}"><segment><source>{_sentence(i)} <pc id="1">mann</pc><ph id="2"/></source></segment></unit>'
            for i in range(PAGES)
        ]
        head = f'<xliff xmlns="{space}" version="2.0" srcLang="en" trgLang="de"><file id="f">'
        content = f"{head}{''.join(units)}</file></xliff>"
    return content.encode()


def read_bilingual(data: bytes) -> Content:
    """Return the tree without the translations, and the translations."""
    root = etree.fromstring(data)
    added = [node for node in root.iter("{*}target", "tuv") if not node.tag.endswith("tuv") or node.get("creationid")]
    texts = ["".join(node.itertext()) for node in added]
    for node in added:
        node.getparent().remove(node)
    for node in root.iter("*"):
        node.attrib.pop("state", None)
    return _read_tree(root)[0], texts


def make_tmx() -> bytes:
    units = [f'<tu><tuv xml:lang="en"><seg>{_sentence(i)} {i}</seg></tuv></tu>' for i in range(PAGES)]
    return f'<tmx version="1.4"><header srclang="en"/><body>{"".join(units)}</body></tmx>'.encode()


def make_subtitles(kind: str) -> bytes:
    cues = pysubs2.SSAFile()
    for number in range(PAGES):
        own = f"{SENTENCES[number % 3]}\\N{SENTENCES[number % 2]}"
        cues.append(pysubs2.SSAEvent(start=2000 * number, end=2000 * number + 1500, text=own))
    return cues.to_string(kind).encode()


def read_subtitles(data: bytes) -> Content:
    cues = pysubs2.SSAFile.from_string(data.decode())
    return [(cue.start, cue.end, cue.text.count("\\N")) for cue in cues], [cue.plaintext for cue in cues]


def make_json() -> bytes:
    content = {f"key{i}": {"text": _sentence(i), "list": [SENTENCES[i % 3], i, None, "{name}"]} for i in range(PAGES)}
    return json.dumps(content, indent=2).encode()


def read_json(data: bytes) -> Content:
    texts: list[str] = []

    def strip(value: Any) -> Any:
        if isinstance(value, str):
            texts.append(value)
            return "{" in value and value
        if isinstance(value, list):
            return [strip(one) for one in value]
        return {key: strip(one) for key, one in value.items()} if isinstance(value, dict) else value

    return [strip(json.loads(data))], texts


def make_strings() -> bytes:
    return "".join(f'/* {i} */\n"key{i}" = "{_sentence(i)} %@";\n' for i in range(PAGES)).encode("utf-16")


def read_strings(data: bytes) -> Content:
    entries = re.findall(r'(/\*.*?\*/)\n("\w+") = "(.*?)( ?%@ ?)(.*)";\n', data.decode("utf-16"))
    return [entry[:2] for entry in entries], [entry[2] + entry[4] for entry in entries]


SAMPLES = {
    ".html": Sample(make_html, "lxml.html", lambda data: _read_tree(html.fromstring(data))),
    ".xhtml": Sample(make_xhtml, "lxml.etree", lambda data: _read_tree(etree.fromstring(data))),
    ".md": Sample(make_markdown, "markdown-it-py", read_markdown),
    ".txt": Sample(make_text, "lines", read_text),
    ".docx": Sample(make_docx, "python-docx", read_docx),
    ".pptx": Sample(make_pptx, "python-pptx", read_pptx),
    ".odt": Sample(make_odt, "odfpy", read_open_document),
    ".odp": Sample(make_odp, "odfpy", read_open_document),
    ".epub": Sample(make_epub, "EbookLib", read_epub),
    ".po": Sample(make_po, "polib", read_po),
    ".xlf": Sample(lambda: make_xliff("1.2"), "lxml.etree", read_bilingual),
    ".xliff": Sample(lambda: make_xliff("2.0"), "lxml.etree", read_bilingual),
    ".tmx": Sample(make_tmx, "lxml.etree", read_bilingual),
    ".srt": Sample(lambda: make_subtitles("srt"), "pysubs2", read_subtitles),
    ".vtt": Sample(lambda: make_subtitles("vtt"), "pysubs2", read_subtitles),
    ".json": Sample(make_json, "json", read_json),
    ".strings": Sample(make_strings, "a pattern", read_strings),
}
