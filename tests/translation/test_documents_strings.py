"""Catalogs, XLIFF, translation memories, subtitles, JSON and strings: only translations are added or changed."""

import json
import re
from pathlib import Path

import polib
import pysubs2
import pytest
from documents import capitals, keep, list_texts, open_document, translate
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nmt import DataError
from nmt.data.formats import Reader
from nmt.data.formats.selection import Selection, SideColumn
from nmt.data.formats.tmx import read_tmx
from nmt.data.formats.xliff import read_xliff
from nmt.translation.documents.string_value import StringValue
from nmt.translation.documents.subtitles import break_lines

CATALOG = r"""# The comment of the file.
msgid ""
msgstr ""
"Project-Id-Version: x\n"
"Language: en\n"
"Content-Type: text/plain; charset=UTF-8\n"

#: a.c:1
#, c-format
msgid "Open %s in %lu windows"
msgstr ""

#. a note
msgid "Done"
msgstr "Fertig"

#, fuzzy
msgid "Doubtful"
msgstr "Zweifel"

msgctxt "menu"
msgid "One file {name}"
msgid_plural "%d files {name}"
msgstr[0] ""
msgstr[1] ""

msgid ""
"First <b>bold</b> line\n"
"second line.\n"
msgstr ""

#~ msgid "Old"
#~ msgstr ""
"""


def test_po_is_opened_by_its_reader() -> None:
    before, after = polib.pofile(CATALOG), polib.pofile(translate(".po", CATALOG).decode())
    assert [(one.msgctxt, one.msgid, one.msgid_plural, one.comment, one.occurrences) for one in before] == [
        (one.msgctxt, one.msgid, one.msgid_plural, one.comment, one.occurrences) for one in after
    ]
    assert [one.msgstr for one in after] == [
        "OPEN %s IN %lu WINDOWS", "Fertig", "Zweifel", "", "FIRST <b>BOLD</b> LINE\nSECOND LINE.\n", "",
    ]  # fmt: skip
    assert after[3].msgstr_plural == {0: "ONE FILE {name}", 1: "%d FILES {name}"}
    assert [one.fuzzy for one in after] == [True, False, True, True, True, False]
    assert after[0].flags == ["c-format", "fuzzy"]
    assert after.metadata == {**before.metadata, "Language": "de", "Plural-Forms": "nplurals=2; plural=(n != 1);"}
    assert translate(".po", CATALOG).decode().startswith("# The comment of the file.\nmsgid")
    again = polib.pofile(translate(".po", CATALOG, retranslate=True).decode())
    assert again[1].msgstr == "DONE"


@pytest.mark.parametrize(("target", "forms"), [("ja", 1), ("fr", 2), ("ru", 3), ("ar", 6), ("pt-BR", 2)])
def test_po_has_the_plural_forms_of_the_language(target: str, forms: int) -> None:
    after = polib.pofile(translate(".po", CATALOG, target=target).decode())
    assert len(after[3].msgstr_plural) == forms
    assert f"nplurals={forms};" in after.metadata["Plural-Forms"]
    assert after[3].msgstr_plural[forms - 1] == "%d FILES {name}"


def test_po_keeps_its_charset_and_line_breaks() -> None:
    text = CATALOG.replace("UTF-8", "ISO-8859-1").replace("Done", "gr\u00fcn").replace("\n", "\r\n")
    after = translate(".po", text.encode("latin-1"), retranslate=True)
    assert "GR\u00dcN" in after.decode("latin-1")
    assert after.count(b"\r\n") == after.count(b"\n")


XLIFF = """<?xml version="1.0" encoding="UTF-8"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2">
  <file source-language="en" datatype="plaintext" original="a">
    <body>
      <trans-unit id="1">
        <source>Two <g id="1">bold</g> dogs<x id="2"/>.</source>
      </trans-unit>
      <trans-unit id="2">
        <source>done</source>
        <target state="final">fertig</target>
      </trans-unit>
      <trans-unit id="3">
        <source>First one. Second one.</source>
        <seg-source><mrk mtype="seg" mid="0">First one.</mrk> <mrk mtype="seg" mid="1">Second <bpt id="1">b</bpt>one<ept id="1">b</ept>.</mrk></seg-source>
        <note>a note</note>
      </trans-unit>
      <trans-unit id="4" translate="no"><source>no</source></trans-unit>
      <trans-unit id="5"><source>new</source><target state="new">new</target></trans-unit>
    </body>
  </file>
</xliff>
"""  # noqa: E501

XLIFF2 = """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en">
<file id="f"><unit id="u">
<segment id="s"><source>Two <pc id="1">bold</pc> <sc id="2"/>dogs<ec startRef="2"/> <ph id="3"/></source></segment>
<segment state="final"><source>a</source><target>b</target></segment>
</unit></file></xliff>
"""


def read_pairs(data: bytes, reader: Reader, path: Path) -> list[object]:
    """Read pairs as training does."""
    path.write_bytes(data)
    source, target = SideColumn(role="source", language="en"), SideColumn(role="target", language="de")
    return list(reader(path, Selection(source=source, target=target)))


def without_targets(data: bytes) -> list[tuple[str, str | None, str | None]]:
    """Return the tree without the elements and attributes that translation adds."""
    root = etree.fromstring(data)
    for node in list(root.iter("{*}target", "tuv")):
        if not node.tag.endswith("tuv") or node.get("creationid"):
            node.getparent().remove(node)
    added = ("target-language", "trgLang", "state")
    return [
        (node.tag, (node.text or "").strip(), str({key: node.get(key) for key in node.attrib if key not in added}))
        for node in root.iter()
    ]


@pytest.mark.parametrize("text", [XLIFF, XLIFF2])
def test_xliff_is_read_by_training_and_keeps_its_tree(text: str, tmp_path: Path) -> None:
    after = translate(".xliff", text)
    pairs = read_pairs(after, read_xliff, tmp_path / "a.xliff")
    one = ("Two bold dogs.", "TWO BOLD DOGS.") if text == XLIFF else ("Two bold dogs ", "TWO BOLD DOGS ")
    assert pairs[0] == one
    assert without_targets(after) == without_targets(text.encode())
    assert keep(".xliff", after) == after  # nothing is left to translate


def test_xliff_1_targets() -> None:
    after = translate(".xlf", XLIFF).decode()
    review = 'state="needs-review-translation" state-qualifier="mt-suggestion"'
    for expected in (
        f'        <target {review}>TWO <g id="1">BOLD</g> DOGS<x id="2"/>.</target>\n      </trans-unit>',
        '<target state="final">fertig</target>',
        f'\n        <target {review}><mrk mtype="seg" mid="0">FIRST ONE.</mrk> <mrk mtype="seg" mid="1">'
        'SECOND <bpt id="1">b</bpt>ONE<ept id="1">b</ept>.</mrk></target>\n        <note>',
        '<trans-unit id="4" translate="no"><source>no</source></trans-unit>',
        f"<target {review}>NEW</target>",
        'target-language="de"',
    ):
        assert expected in after
    assert "FERTIG" not in after
    assert ">DONE</target>" in translate(".xlf", XLIFF, retranslate=True).decode()


def test_xliff_2_targets() -> None:
    after = translate(".xliff", XLIFF2).decode()
    assert '<target>TWO <pc id="1">BOLD</pc> <sc id="2"/>DOGS<ec startRef="2"/> <ph id="3"/></target>' in after
    assert '<segment id="s" state="translated">' in after
    assert 'trgLang="de"' in after
    assert '<segment state="final"><source>a</source><target>b</target></segment>' in after


def test_xliff_2_ids_stay_unique() -> None:
    document = open_document(".xliff", XLIFF2)
    (text,) = document.texts
    bold = next(stack for stack in text.stacks if stack)
    apart = type(text)(text="a b c", stacks=[bold, (), (), (), bold])
    after = document.write([apart]).decode()
    assert '<target><pc id="1">a</pc> b <pc id="1_2" copyOf="1">c</pc></target>' in after


MEMORY = """<?xml version="1.0"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header srclang="en-US"/>
  <body>
    <tu>
      <tuv xml:lang="en-US">
        <seg>Two <bpt i="1">b</bpt>dogs<ept i="1">b</ept></seg>
      </tuv>
    </tu>
    <tu><tuv xml:lang="en"><seg>a</seg></tuv><tuv xml:lang="de-DE"><seg>b</seg></tuv></tu>
  </body>
</tmx>
"""


def test_tmx_gets_variants(tmp_path: Path) -> None:
    after = translate(".tmx", MEMORY)
    assert read_pairs(after, read_tmx, tmp_path / "a.tmx") == [("Two dogs", "TWO DOGS"), ("a", "b")]
    assert without_targets(after) == without_targets(MEMORY.encode())
    new = (
        '      <tuv xml:lang="de" creationid="nmt">\n        <seg>TWO <bpt i="1">b</bpt>DOGS<ept i="1">b</ept></seg>\n'
    )
    assert after.decode() == MEMORY.replace("</tuv>\n    </tu>", f"</tuv>\n{new}      </tuv>\n    </tu>", 1)


@pytest.mark.parametrize("ending", [".xliff", ".tmx"])
def test_other_xml_is_refused(ending: str) -> None:
    with pytest.raises(DataError, match="its root element is html"):
        open_document(ending, "<html/>")


SRT = """1
00:00:01,000 --> 00:00:02,500
I think that we
should all

2
00:00:03,000 --> 00:00:04,000
go home now.

3
00:00:05,000 --> 00:00:06,000 X1:10
- <i>Hello</i> there.
- {\\an8}Good bye.
""".replace("\n", "\r\n")

VTT = """WEBVTT - title

NOTE a note
00:00 is a time

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start
<v Roger>Two dogs &amp; <c.x>men</c>
run <00:01.500>fast.
"""


def test_subtitles_are_opened_by_their_reader() -> None:
    for ending, text in ((".srt", SRT), (".vtt", VTT)):
        before = pysubs2.SSAFile.from_string(text)
        after = pysubs2.SSAFile.from_string(translate(ending, text).decode())
        assert [(event.start, event.end) for event in before] == [(event.start, event.end) for event in after]
        assert [event.plaintext.upper() for event in before] == [event.plaintext.upper() for event in after]
    expected = SRT
    for words in ("I think that we", "should all", "go home now", "Hello", "there", "Good bye"):
        expected = expected.replace(words, words.upper())
    assert translate(".srt", SRT).decode() == expected
    after_vtt = translate(".vtt", VTT).decode()
    assert after_vtt == VTT.replace("Two dogs", "TWO DOGS").replace("men", "MEN").replace("run", "RUN").replace(
        "fast", "FAST"
    ).replace("comMENt", "comment")


def test_sentences_over_several_cues_are_one_text() -> None:
    assert list_texts(open_document(".srt", SRT)) == [
        "I think that we should all go home now.", "Hello there.", "Good bye.",
    ]  # fmt: skip


def test_subtitles_keep_two_lines_whatever_the_translation() -> None:
    document = open_document(".srt", SRT)
    texts = list(document.texts)
    for words in ("", "one", "one two", "one two three four five six seven eight nine ten"):
        texts[0] = type(texts[0])(text=words, stacks=[()] * len(words))
        lines = open_document(".srt", SRT).write(texts).decode().split("\r\n")
        assert lines[1] == "00:00:01,000 --> 00:00:02,500"
        assert lines[4:7:2] == ["", "00:00:03,000 --> 00:00:04,000"]
        assert all(lines[place] for place in (2, 3, 7))


@given(words=st.lists(st.sampled_from(["a", "word", "longer,", "<i>", "</i>"]), max_size=12), count=st.integers(1, 4))
def test_lines_are_broken_without_loss(words: list[str], count: int) -> None:
    text = " ".join(words)
    parts = break_lines(text, [5] * count)
    assert len(parts) == count
    assert " ".join(filter(None, parts)).split() == text.split()


def test_lines_are_broken_near_the_breaks_of_the_source() -> None:
    assert break_lines("one two three four", [7, 10]) == ["one two", "three four"]
    assert break_lines("\u4e00\u4e8c\u4e09\u56db\u3002", [4, 4], spaced=False) == ["\u4e00\u4e8c", "\u4e09\u56db\u3002"]


def test_text_without_times_is_refused() -> None:
    with pytest.raises(DataError, match="has no line with times"):
        open_document(".srt", "Two dogs\n")


JSON = """{
  "key": "Two dogs",   "n": 1.50, "t": [true, null],
  "menu": {"items": ["one", "two {name}", {"label": "caf\\u00e9 \\"x\\"", "id": "open"}],
  "html": "<b>Hi</b> you &amp; me"},
  "icu": "{n, plural, one {# dog} other {# dogs}}", "slash": "\\/\\/", "empty": ""
}
"""


def test_json_keeps_keys_and_formatting() -> None:
    expected = JSON
    for words in ("Two dogs", '"one"', "two", "caf\\u00e9", '\\"x\\"', "Hi", "you", "me}", '"open"'):
        expected = expected.replace(words, words.upper().replace("\\U00E9", "\\u00c9"))
    after = translate(".json", JSON).decode()
    assert json.loads(after)["menu"]["items"][2] == {"label": 'CAF\u00c9 "X"', "id": "OPEN"}
    assert json.loads(after)["icu"] == "{n, plural, one {# dog} other {# dogs}}"
    assert json.loads(after)["menu"]["html"] == "<b>HI</b> YOU &amp; ME"
    strings = re.compile(r'"(?:[^"\\]|\\.)*"')
    assert strings.sub("", after) == strings.sub("", JSON)
    assert keep(".json", JSON).decode() == JSON


@pytest.mark.parametrize(
    ("keys", "texts"),
    [
        (["key"], ["Two dogs"]),
        (["items"], ["one", "two"]),
        (["label", "h*"], ['caf\u00e9 "x"', "Hi you & me"]),
        (["menu.items.*"], ["one", "two"]),
        (["menu.items.*.label"], ['caf\u00e9 "x"']),
        (["nothing"], []),
    ],
)
def test_json_keys_are_chosen(keys: list[str], texts: list[str]) -> None:
    assert list_texts(open_document(".json", JSON, keys=keys)) == texts


def test_damaged_json_is_refused() -> None:
    for damaged in ('{"a": "b"', "[" * 100_000, ""):
        with pytest.raises(DataError, match="not valid JSON"):
            open_document(".json", damaged)


values = st.text(max_size=5) | st.integers()


@given(value=st.recursive(values, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_all_json_is_kept(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
        data = text.encode("utf-8", errors="surrogatepass")
        if b"\xed" not in data and b"\r" not in data:
            assert json.loads(keep(".json", data)) == value


STRINGS = """/* a comment "x" = "y"; */
"key" = "Two \\"dogs\\"\\nrun %@ \\U00e9";
// other
bare.key="Done" ;
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_strings_keep_keys_comments_and_encoding(encoding: str) -> None:
    expected = STRINGS.replace("Two", "TWO").replace("dogs", "DOGS").replace("\\nrun", "\\nRUN").replace("Done", "DONE")
    after = translate(".strings", STRINGS.encode(encoding))
    assert after.decode(encoding) == expected.replace("\\U00e9", "\u00c9")
    with pytest.raises(DataError, match=r":2: is not"):
        open_document(".strings", '"a" = "b";\n"c" "d";\n')


def test_escaped_surrogates_are_characters() -> None:
    assert keep(".strings", '"a" = "Wave \\Ud83d\\Udc4b";').decode() == '"a" = "Wave 👋";'
    assert keep(".strings", '"a" = "Wave \\Ud83d";').decode() == '"a" = "Wave \ufffd";'
    assert translate(".json", '{"a": "é {\\ud800}"}').decode() == '{"a": "É {\ufffd}"}'


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("%d of %s, %1$s, %@, %ld and %(name)s %{x}", ["%d", "%s", "%1$s", "%@", "%ld", "%(name)s", "%{x}"]),
        ("%.2f%% done, %dMB", ["%.2f%%", "%dMB"]),
        ("{0} and {name} {{double}} ${shell}", ["{0}", "{name}", "{{double}}", "${shell}"]),
        ('<a href="%s">here</a>', ['<a href="%s">HERE</a>']),
        ("a <br> b", ["A <br> B"]),
        ("unclosed <b>tag", ["<b>"]),
        ("AT&amp;T &nbsp; x", ["&amp;", "&nbsp;"]),
        ("  space \n\n tab\t ", ["  SPACE \n\n TAB\t "]),
        ("100% sure", ["100% SURE"]),
        ("$t(key) word", ["$t(key) WORD"]),
    ],
)
def test_placeholders_and_tags_are_copied(value: str, kept: list[str]) -> None:
    string, same = StringValue(value), StringValue(value)
    shown = string.show(capitals(string.texts))
    assert all(part in shown for part in kept), shown
    assert "".join(same.show(same.texts).split()) == "".join(value.split())


def test_languages_are_checked(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match="has no text in fr, only in en-US, en, de-DE"):
        open_document(".tmx", MEMORY, source="fr")
    open_document(".xliff", XLIFF, source="fr")
    assert caplog.messages == ["file.xliff: is in en, but the model translates fr"]
