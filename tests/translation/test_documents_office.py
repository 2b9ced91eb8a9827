"""Word, PowerPoint, OpenDocument and EPUB: opened by their own readers, with the same structure."""

import contextlib
import io
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docx
import pptx
import pytest
from documents import keep, list_texts, open_document, translate
from docx.oxml import parse_xml
from ebooklib import ITEM_DOCUMENT, epub
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from odf import opendocument, style, teletype, text

from nmt import DataError

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def make_docx(*paragraphs: str) -> bytes:
    """A document with a title, a table, a header, a list, and paragraphs of XML."""
    document = docx.Document()
    document.add_heading("Two dogs", 1)
    document.sections[0].header.paragraphs[0].text = "The header"
    document.sections[0].footer.paragraphs[0].text = "The footer"
    mixed = document.add_paragraph("A ")
    mixed.add_run("bold").bold = True
    mixed.add_run(" m")  # a word that is cut
    mixed.add_run("an.")
    table = document.add_table(2, 2)
    table.cell(0, 0).text, table.cell(1, 1).text = "first cell", "12"
    document.add_paragraph("an item", style="List Bullet")
    for content in paragraphs:
        document.element.body.insert(0, parse_xml(f"<w:p {W}>{content}</w:p>"))
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def read_members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def shape(data: bytes) -> list[tuple[str, dict[str, str]]]:
    """Return the elements and attributes of XML, without texts."""
    return [(node.tag, dict(node.attrib)) for node in etree.fromstring(data).iter() if isinstance(node.tag, str)]


def assert_same_members(before: bytes, after: bytes, changed: str) -> None:
    """Check that the members are the same and in the same order, and that only members of a pattern differ."""
    old, new = read_members(before), read_members(after)
    assert list(old) == list(new)
    assert all(re.fullmatch(changed, name) for name in old if old[name] != new[name])


def test_docx_is_opened_by_its_reader() -> None:
    data = make_docx()
    after = docx.Document(io.BytesIO(translate(".docx", data)))
    before = docx.Document(io.BytesIO(data))
    assert [p.text for p in after.paragraphs] == [p.text.upper() for p in before.paragraphs]
    assert [p.style.name for p in after.paragraphs if p.style] == [p.style.name for p in before.paragraphs if p.style]
    assert [run.text for run in after.paragraphs[1].runs if run.bold] == ["BOLD"]
    assert [run.text for run in after.paragraphs[1].runs] == ["A ", "BOLD", " MAN."]
    cells = [cell.text for row in after.tables[0].rows for cell in row.cells]
    assert cells == ["FIRST CELL", "", "", "12"]
    assert after.sections[0].header.paragraphs[0].text == "THE HEADER"
    assert after.sections[0].footer.paragraphs[0].text == "THE FOOTER"
    assert_same_members(data, translate(".docx", data), r"word/(document|header\d|footer\d)\.xml")


RUNS = """
<w:bookmarkStart w:id="1" w:name="mark"/><w:r><w:t>marked</w:t></w:r><w:bookmarkEnd w:id="1"/>
<w:r><w:t xml:space="preserve"> words, </w:t></w:r>
<w:hyperlink w:anchor="mark"><w:r><w:rPr><w:u w:val="single"/></w:rPr><w:t>a link</w:t></w:r></w:hyperlink>
<w:r><w:t xml:space="preserve"> and </w:t></w:r>
<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> HYPERLINK "http://x.org" </w:instrText></w:r>
<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>a field</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>
<w:r><w:t xml:space="preserve"> on page </w:t></w:r>
<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r>
<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>7</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>
<w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:br/></w:r><w:r><w:t>next line</w:t></w:r>
<w:ins w:id="3" w:author="x"><w:r><w:t>inserted</w:t></w:r></w:ins>
<w:del w:id="4" w:author="x"><w:r><w:delText>deleted</w:delText></w:r></w:del>
""".replace("\n", "")


def test_docx_keeps_everything_in_a_paragraph() -> None:
    data = make_docx(RUNS)
    assert list_texts(open_document(".docx", data))[:2] == [
        "marked words, a link and a field on page",
        "next lineinserted",
    ]
    before = read_members(data)["word/document.xml"]
    assert shape(read_members(keep(".docx", data))["word/document.xml"])[:60] == shape(before)[:60]
    after = read_members(translate(".docx", data))["word/document.xml"].decode()
    first = after[: after.index("TWO DOGS")]
    assert '<w:bookmarkStart w:id="1" w:name="mark"/><w:r><w:t>MARKED</w:t></w:r><w:bookmarkEnd w:id="1"/>' in first
    assert '<w:rPr><w:u w:val="single"/></w:rPr><w:t>A LINK</w:t></w:r></w:hyperlink>' in first
    assert "<w:t>7</w:t>" in first
    assert "<w:delText>deleted</w:delText>" in first
    assert first.index("begin") < first.index("A FIELD") < first.index('"end"')


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_docx_stays_valid_in_another_order_of_words(order: tuple[int, int, int]) -> None:
    """Whatever the order of words in the translation, ranges start before they end, and fields are complete."""
    document = open_document(".docx", make_docx(RUNS))
    texts = list(document.texts)
    whole = texts[0]
    # The text is turned around: each anchor and each stack belongs to another place.
    size = len(whole.text)
    cuts = [0, size // 3, 2 * size // 3, size]
    places = [place for part in order for place in range(cuts[part], cuts[part + 1])]
    texts[0] = type(whole)(
        text="".join(whole.text[place] for place in places),
        stacks=[whole.stacks[place] for place in places],
        anchors=sorted(
            (anchor._replace(position=size - anchor.position) for anchor in whole.anchors),
            key=lambda anchor: anchor.position,
        ),
    )
    after = read_members(document.write(texts))["word/document.xml"].decode()
    assert after.index("w:bookmarkStart") < after.index("w:bookmarkEnd")
    kinds = re.findall(r'fldCharType="(\w+)"', after)
    assert kinds == ["begin", "separate", "end"] * (len(kinds) // 3)
    assert after.count("footnoteReference") == after.count("<w:br/>") == 1


def test_docx_text_boxes_and_controls() -> None:
    box = "<w:r><w:pict><w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent></w:pict></w:r>"
    control = "<w:sdt><w:sdtPr/><w:sdtContent><w:r><w:t>choose one</w:t></w:r></w:sdtContent></w:sdt>"
    data = make_docx(f"<w:r><w:t>outside</w:t></w:r>{box}{control}")
    assert list_texts(open_document(".docx", data))[:3] == ["outside", "in a box", "choose one"]
    after = read_members(translate(".docx", data))["word/document.xml"]
    assert shape(after) == shape(read_members(keep(".docx", data))["word/document.xml"])
    for changed in (b"OUTSIDE", b"IN A BOX", b"CHOOSE ONE"):
        assert changed in after


def test_docx_fields_over_several_paragraphs() -> None:
    """A table of contents starts in one paragraph and ends in another."""
    start = '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>TOC</w:instrText></w:r>'
    start += '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>Chapter one</w:t></w:r>'
    end = '<w:r><w:t>last</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
    after = read_members(translate(".docx", make_docx(end, start)))["word/document.xml"].decode()
    assert re.findall(r'fldCharType="(\w+)"|>(CHAPTER ONE|LAST)<', after) == [
        ("begin", ""), ("separate", ""), ("", "CHAPTER ONE"), ("", "LAST"), ("end", ""),
    ]  # fmt: skip


def make_pptx() -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Two dogs"
    frame = slide.placeholders[1].text_frame
    frame.text = "first line"
    paragraph = frame.add_paragraph()
    for words, bold in (("more ", None), ("bold", True), (" te", None), ("xt", None)):
        run = paragraph.add_run()
        run.text, run.font.bold = words, bold
    slide.notes_slide.notes_text_frame.text = "a note"
    table = slide.shapes.add_table(1, 2, 0, 0, 100, 100).table
    table.cell(0, 0).text = "a cell"
    stream = io.BytesIO()
    presentation.save(stream)
    return stream.getvalue()


def test_pptx_is_opened_by_its_reader() -> None:
    data = make_pptx()
    after = pptx.Presentation(io.BytesIO(translate(".pptx", data)))
    before = pptx.Presentation(io.BytesIO(data))

    def collect(presentation: Any) -> list[tuple[str, str]]:
        shapes = [shape for slide in presentation.slides for shape in slide.shapes]
        return [(shape.shape_type, shape.text_frame.text) for shape in shapes if shape.has_text_frame]

    assert [(kind, text.upper()) for kind, text in collect(before)] == collect(after)
    slide = after.slides[0]
    assert slide.notes_slide.notes_text_frame.text == "A NOTE"
    runs = [(run.text, run.font.bold) for run in slide.placeholders[1].text_frame.paragraphs[1].runs]
    assert runs == [("MORE ", None), ("BOLD", True), (" TEXT", None)]
    assert slide.shapes[2].table.cell(0, 0).text == "A CELL"
    assert_same_members(data, translate(".pptx", data), r"ppt/(slides|notesSlides)/[^/]*\.xml")


def make_odt() -> bytes:
    document = opendocument.OpenDocumentText()
    bold = style.Style(name="B", family="text")
    bold.addElement(style.TextProperties(fontweight="bold"))
    same = style.Style(name="T", family="text")
    same.addElement(style.TextProperties(language="en"))
    for one in (bold, same):
        document.automaticstyles.addElement(one)
    document.text.addElement(text.H(outlinelevel=1, text="Two dogs"))
    paragraph = text.P(text="A ")
    paragraph.addElement(text.BookmarkStart(name="m"))
    paragraph.addElement(text.Span(stylename=bold, text="bold"))
    paragraph.addElement(text.BookmarkEnd(name="m"))
    paragraph.addElement(text.Span(stylename=same, text=" m"))
    paragraph.addText("an")
    note = text.Note(noteclass="footnote")
    note.addElement(text.NoteCitation(text="1"))
    body = text.NoteBody()
    body.addElement(text.P(text="the note"))
    note.addElement(body)
    paragraph.addElement(note)
    paragraph.addText(" runs.")
    paragraph.addElement(text.Tab())
    paragraph.addText("after a tab")
    paragraph.addElement(text.LineBreak())
    paragraph.addText("page ")
    paragraph.addElement(text.PageNumber(text="7"))
    document.text.addElement(paragraph)
    items = text.List()
    item = text.ListItem()
    item.addElement(text.P(text="an item"))
    items.addElement(item)
    document.text.addElement(items)
    stream = io.BytesIO()
    document.write(stream)
    return stream.getvalue()


def test_odt_is_opened_by_its_reader() -> None:
    data = make_odt()
    assert list_texts(open_document(".odt", data)) == [
        "Two dogs", "A bold man runs.", "after a tab", "page", "the note", "an item",
    ]  # fmt: skip
    translated = translate(".odt", data)
    document = opendocument.load(io.BytesIO(translated))
    paragraphs = [teletype.extractText(node) for node in document.getElementsByType(text.P)]
    assert paragraphs == ["A BOLD MAN1THE NOTE RUNS.\tAFTER A TAB\nPAGE 7", "THE NOTE", "AN ITEM"]
    assert [teletype.extractText(node) for node in document.getElementsByType(text.Span)] == ["BOLD"]
    content = read_members(translated)["content.xml"]
    without = [one for one in shape(read_members(data)["content.xml"]) if "T" not in one[1].values()]
    assert [one for one in shape(content) if "T" not in one[1].values()] == without
    marked = re.search(rb"bookmark-start[^>]*/>(.*)<text:bookmark-end", content)
    assert marked
    assert re.sub(rb"<[^>]*>", b"", marked[1]) == b"BOLD"
    assert_same_members(data, translated, r"(content|styles)\.xml")
    with zipfile.ZipFile(io.BytesIO(translated)) as file:
        assert (file.infolist()[0].filename, file.infolist()[0].compress_type) == ("mimetype", zipfile.ZIP_STORED)


def make_epub(path: Path) -> bytes:
    book = epub.EpubBook()
    book.set_identifier("x")
    book.set_title("My book")
    book.set_language("en")
    chapter = epub.EpubHtml(title="Intro", file_name="text/chap 1.xhtml", lang="en")
    chapter.content = "<h1>Intro</h1><p>Two <b>bold</b> dogs.<br/></p><pre>code here</pre>"
    picture = epub.EpubItem(uid="i", file_name="i.png", media_type="image/png", content=bytes(range(256)))
    for item in (chapter, picture, epub.EpubNcx(), epub.EpubNav()):
        book.add_item(item)
    book.toc = (epub.Link("text/chap 1.xhtml", "Introduction", "l"),)
    book.spine = ["nav", chapter]
    epub.write_epub(str(path / "a.epub"), book)
    return (path / "a.epub").read_bytes()


def test_epub_is_opened_by_its_reader(tmp_path: Path) -> None:
    data = make_epub(tmp_path)
    translated = translate(".epub", data)
    (tmp_path / "b.epub").write_bytes(translated)
    book = epub.read_epub(str(tmp_path / "b.epub"))
    assert book.title == "MY BOOK"
    assert book.get_metadata("DC", "language")[0][0] == "de"
    assert [link.title for link in book.toc] == ["INTRODUCTION"]
    pages = [item.get_content().decode() for item in book.get_items_of_type(ITEM_DOCUMENT)]
    (page,) = (page for page in pages if "<p>TWO <b>BOLD</b> DOGS.<br/></p>" in page)
    assert "<pre>code here</pre>" in page
    before, after = read_members(data), read_members(translated)
    pattern = r".*\.(xhtml|ncx|opf)"
    assert_same_members(data, translated, pattern)
    for name in before:
        if re.fullmatch(pattern, name):
            tags = [[tag for tag, _ in shape(one[name])] for one in (before, after)]
            assert tags[0] == tags[1]
    with zipfile.ZipFile(io.BytesIO(translated)) as file:
        assert (file.infolist()[0].filename, file.infolist()[0].compress_type) == ("mimetype", zipfile.ZIP_STORED)


def make_zip(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


BODY = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:p/></w:document>'
WORD = {"[Content_Types].xml": b"<Types/>", "word/document.xml": BODY}
ENTITIES = b'<!DOCTYPE w [<!ENTITY a SYSTEM "file:///etc/passwd">]><w>&a;</w>'


def flag_as_encrypted(data: bytes) -> bytes:
    """Set the bit of encryption in the headers of all members."""
    flagged = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for match in re.finditer(re.escape(mark), data):
            struct.pack_into("<H", flagged, match.start() + offset, 1)
    return bytes(flagged)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (make_zip(WORD)[:-30], "is damaged or of another format"),
        (b"PK\x03\x04" + bytes(100), "is damaged or of another format"),
        (make_zip(WORD, zipfile.ZIP_STORED).replace(b"<w:p/>", b"<w:q/>"), "word/document.xml is damaged"),
        (make_zip({**WORD, "word/media/a.png": bytes(40 << 20)}), "compressed by a factor of more than 100"),
        (make_zip({f"{i}": b"" for i in range(20_001)}), "contains more than 20,000 files"),
        (make_zip({**WORD, "word/document.xml": ENTITIES}), "word/document.xml: declares entities"),
        (make_zip({**WORD, "word/document.xml": b"<w>"}), "word/document.xml: not well-formed XML"),
        (make_zip({"a.txt": b""}), "has no word/document, so it is of another format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is encrypted, or of an old format"),
        (flag_as_encrypted(make_zip(WORD)), "is encrypted"),
        (b"", "is damaged or of another format"),
        (
            make_zip({**WORD, "word/media/a.png": b"a picture"}, zipfile.ZIP_STORED).replace(b"picture", b"pictura"),
            "word/media/a.png is damaged",
        ),
    ],
)
def test_documents_of_attackers_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as error:
        open_document(".docx", data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@given(data=st.data())
def test_a_changed_byte_is_a_data_error_at_most(compression: int, data: st.DataObject) -> None:
    archive = bytearray(make_zip(WORD, compression))
    place = data.draw(st.integers(0, len(archive) - 1))
    archive[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(DataError):  # any other error is a bug
        open_document(".docx", bytes(archive))


def test_encrypted_open_documents_and_books_are_refused(tmp_path: Path) -> None:
    manifest = b"<m><encryption-data/></m>"
    with pytest.raises(DataError, match="is encrypted"):
        open_document(".odt", make_zip({"content.xml": b"x", "META-INF/manifest.xml": manifest}))
    members = read_members(make_epub(tmp_path))
    page = next(name for name in members if name.endswith("chap 1.xhtml"))
    uri = page.replace(" ", "%20").encode()
    members["META-INF/encryption.xml"] = b'<e><d><CipherReference URI="' + uri + b'"/></d></e>'
    with pytest.raises(DataError, match="only books without copy protection"):
        open_document(".epub", make_zip(members))


def test_two_members_of_the_same_name_are_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("word/document.xml", BODY)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("word/document.xml", BODY)
    with pytest.raises(DataError, match="two files of the same name"):
        open_document(".docx", stream.getvalue())
