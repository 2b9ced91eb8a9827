"""HTML, XHTML, Markdown and plain text: only texts change."""

import contextlib
import json
import re
from typing import Any

import pytest
from documents import keep, list_texts, open_document, translate
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree, html
from markdown_it import MarkdownIt

from nmt import DataError

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>A title</title><style>p {color: red}</style></head>
<body class="x">
<h1 id="top">Two dogs</h1>
<p>Hello <b>bold <i>men</i></b>, this is <a href="x?a=1&amp;b=2">a link</a>.
<p>Not closed <img src="a.png" alt="Two men"> <input placeholder="Your name">
<ul><li>One<li>Two</ul>
<table><tr><td>A cell</td><td>12</td></tr></table>
<pre>x = 1</pre> <code>y = 2</code> <span translate="no">Keep me</span>
<script>if (a < b) {}</script>
</body>
</html>
"""


def shape(root: Any) -> list[object]:
    """Return a tree without its texts and the attributes that are translated."""
    gone = ("alt", "title", "placeholder", "lang", "{http://www.w3.org/XML/1998/namespace}lang")
    return [
        (node.tag, {name: value for name, value in node.attrib.items() if name not in gone}) for node in root.iter()
    ]


def test_html_keeps_its_tree() -> None:
    translated = translate(".html", PAGE)
    assert shape(html.fromstring(translated)) == shape(html.fromstring(PAGE))
    text = translated.decode()
    for kept in ("x = 1", "y = 2", "Keep me", "if (a < b) {}", "p {color: red}", 'lang="de"', 'href="x?a=1&amp;b=2"'):
        assert kept in text
    for changed in ("A TITLE", "TWO DOGS", "<b>BOLD <i>MEN</i></b>", 'alt="TWO MEN"', 'placeholder="YOUR NAME"'):
        assert changed in text
    assert text.startswith("<!DOCTYPE html>\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "utf-8-sig"])
def test_html_keeps_its_encoding_and_line_breaks(encoding: str) -> None:
    page = f'<html><head><meta charset="{encoding}"></head>\r\n<body><p>gr\u00fcn</p>\r\n<p>two</p></body></html>\r\n'
    translated = translate(".htm", page.encode(encoding))
    assert translated.decode(encoding) == page.replace("gr\u00fcn", "GR\u00dcN").replace("two", "TWO")


def test_html_writes_what_the_encoding_lacks_as_entities() -> None:
    document = open_document(".html", b'<meta charset="ascii"><p>red</p>')
    (text,) = document.texts
    assert b"&#8364;" in document.write([type(text)(text="\u20ac", stacks=[()])])


XHTML = """<?xml version='1.0' encoding="utf-8"?>
<!-- first -->
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en"><head><title>a</title><script src="x"></script></head>
<body><p>two&nbsp;dogs <em title="men">run</em></p><br/><p/></body></html>
<!-- last -->
"""


def test_xhtml_changes_only_texts() -> None:
    expected = XHTML.replace('xml:lang="en"', 'xml:lang="de"').replace("&nbsp;", "\u00a0")
    expected = expected.replace(">a<", ">A<").replace("two", "TWO").replace("dogs", "DOGS").replace(">run<", ">RUN<")
    assert translate(".xhtml", XHTML).decode() == expected.replace('"men"', '"MEN"')


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ("<html><p>a</html>", "not well-formed"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "declares entities"),
        ('<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><a>&y;</a>', "declares entities"),
        ("<a>" * 250 + "</a>" * 250, "nested more than"),
        ("", "not well-formed"),
    ],
)
def test_xml_of_attackers_is_refused(damaged: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        open_document(".xhtml", damaged)
    assert "\n" not in str(error.value)


MARKDOWN = """---
title: front matter
---
# First title {#first}

A paragraph with `code`, \\*stars\\*, R&amp;D, a [link *to* it](http://x.org/a_b "tip"), [another][Ref],
a note[^1], $a_b$ and <kbd>Ctrl</kbd>\\
after a hard break, <b>html</b>, ![two dogs](dog.png "title") and <http://auto.link>.

> - quoted ~~item~~
>   goes on
> - [ ] task

1) one
2) two

| head | with \\| bar |
|------|:---------:|
| `a\\|b` | **bold** |

Second title
============

    code block

```python
print("two")
```

<div align="center">
<p>inner text</p>
</div>

[ref]: http://y.org "A title"
[^1]: The note.
"""


def render(text: str) -> str:
    """Render Markdown as HTML without texts."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tree = html.fromstring(f"<div>{parser.render(text)}</div>")
    return "".join(etree.tostring(tree, encoding="unicode", method="html"))


def test_markdown_renders_the_same_in_capitals() -> None:
    translated = translate(".md", MARKDOWN).decode()
    assert shape(html.fromstring(render(translated))) == shape(html.fromstring(render(MARKDOWN)))
    for kept in ("title: front matter", "`code`", "(http://x.org/a_b", "[Ref]", "[^1]", "$a_b$", "<kbd>Ctrl</kbd>"):
        assert kept in translated
    for kept in ("`a\\|b`", "    code block", 'print("two")', '[ref]: http://y.org "A title"', "|------|:---------:|"):
        assert kept in translated
    for changed in (
        "# FIRST TITLE {#first}\n",
        "[LINK *TO* IT]",
        "\\*STARS\\*",
        "R&amp;D",
        '![TWO DOGS](dog.png "TITLE")',
    ):
        assert changed in translated
    for changed in ("[^1]: THE NOTE.", "> - QUOTED ~~ITEM~~", "> - [ ] TASK", "WITH \\| BAR", "<p>INNER TEXT</p>"):
        assert changed in translated


def test_markdown_that_is_not_changed_keeps_its_words() -> None:
    words = re.compile(r"[^\s>]+")
    assert words.findall(keep(".md", MARKDOWN).decode()) == words.findall(MARKDOWN)
    one_line = "\n".join(
        line for line in MARKDOWN.split("\n") if not line.startswith(("A par", "a note", "after", ">"))
    )
    assert keep(".md", one_line).decode() == one_line


def test_markdown_is_wrapped_like_its_source() -> None:
    line = "these are some words that fill a line of text up to here"
    paragraph = f"{line}\n{line}\n{line}\n"
    assert keep(".md", f"> {paragraph}".replace("\nthese", "\n> these")).decode().count("\n> these") == 2
    sentences = "One sentence.\nAnother one.\n"  # a sentence on each line
    assert list_texts(open_document(".md", sentences)) == ["One sentence.", "Another one."]


def test_markdown_that_would_start_a_block_is_escaped() -> None:
    document = open_document(".md", "word\n")
    (text,) = document.texts
    for written, expected in (("# a", "\\# a"), ("1. a", "1\\. a"), ("a*b*", "a\\*b\\*"), ("`a", "\\`a")):
        document = open_document(".md", "word\n")
        assert document.write([type(text)(text=written, stacks=[()] * len(written))]).decode() == f"{expected}\n"


@given(text=st.text(alphabet="ab*_`[]()<>!#|~\\&;:-+.1$ \n\t", max_size=60))
def test_no_markdown_fails(text: str) -> None:
    document = open_document(".md", text)
    document.write(document.texts)


@pytest.mark.parametrize("text", ["One\rtwo\r\r# Three\r", "Old\r- one\r- two\r"])
@pytest.mark.parametrize("ending", [".md", ".txt"])
def test_carriage_returns_break_lines(ending: str, text: str) -> None:
    assert keep(ending, text).decode() == (text.replace("One\rtwo", "One two") if ending == ".md" else text)
    expected = list_texts(open_document(ending, text.replace("\r", "\n")))
    assert list_texts(open_document(ending, text)) == expected
    if ending == ".md":  # a carriage return among line feeds
        assert list_texts(open_document(ending, text + "\n\nFour\n")) == [*expected, "Four"]


@pytest.mark.parametrize("ending", [".md", ".txt"])
def test_lines_with_only_a_no_break_space_do_not_fail(ending: str) -> None:
    text = f"{'word ' * 12}ends.\n\xa0\nAnother line.\n"
    assert keep(ending, text).decode().split() == text.split()


@pytest.mark.parametrize("text", ["<!DOCTYPE html>", "<!DOCTYPE html><!-- a comment -->\n"])
def test_html_without_elements_stays_as_it_is(text: str) -> None:
    assert keep(".html", text).decode() == text


PARTS = ["a man", ".", "\n", "\n\n", "\r", "\r\n", "\t", "\xa0", "\x0b", "\x1c", "\u2028", "\x85", "é", "漢字", "👋"]
PARTS += [
    '"',
    "\\",
    "\\ud800",
    "\\Ud83d",
    "{",
    "}",
    "%s",
    "<",
    ">",
    "&#xd800;",
    "<b>",
    "</b>",
    "<!--",
    "- ",
    "# ",
    "|",
    "`",
]
PARTS += ["x" * 60, "[^1]: ", "00:00:01,000 --> 00:00:02,000\n", "WEBVTT\n\n", '"a" = "', '";\n', "<!DOCTYPE html>"]
PARTS += ['msgid ""\nmsgstr ""\n', 'msgid "', 'msgstr "', '"\n']


@pytest.mark.parametrize("ending", [".html", ".md", ".txt", ".srt", ".vtt", ".json", ".strings", ".po"])
@given(parts=st.lists(st.sampled_from(PARTS), max_size=20))
def test_any_text_is_translated_or_refused(ending: str, parts: list[str]) -> None:
    text = "".join(parts)
    if ending == ".json":
        text = json.dumps({"a": text}, ensure_ascii=False).replace("\\\\u", "\\u")
    with contextlib.suppress(DataError):  # any other error is a bug
        translate(ending, text)


def test_plain_text_keeps_lines_and_wraps_paragraphs() -> None:
    wrapped = """\
  This is a paragraph that somebody wrapped at a width of sixty
  characters, so its sentences go over the ends of its lines. It
  ends here.
"""
    lines = "Title\n\n- first item\n- second item\n\nName: x\nStreet 5\n"
    text = f"{lines}\n{wrapped}\n"
    assert keep(".txt", text).decode() == text
    assert translate(".txt", text).decode() == text.upper()
    texts = list_texts(open_document(".txt", text))
    assert texts[:5] == ["Title", "first item", "second item", "Name: x", "Street 5"]
    assert texts[5] == re.sub(r"\s+", " ", wrapped).strip()


@given(text=st.text(max_size=60))
def test_plain_text_that_is_not_changed_stays_as_it_is(text: str) -> None:
    data = text.encode("utf-8", errors="replace")
    if b"\0" not in data and not data.startswith((b"\xef", b"\xff")):
        assert b"".join(keep(".txt", data).split()) == b"".join(data.split())
