"""HTML and XML: well-formed output, kept content, and texts that equal the plain translation."""

import re
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from nmt import ConfigError, Request, SampleOptions, SearchOptions, Translator
from nmt.translation.markup import Markup
from nmt.translation.things import take_out

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"
TRANSLATOR = Translator.load(MODEL)

WORDS = ["ein", "mann", "zwei", "hunde", ",", ".", "&", "<", ">", '"', "ß", "\u00a0"]
text = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join) | st.sampled_from([" ", "\n ", ""])
names = st.sampled_from(["b", "i", "a", "span", "p", "div", "li", "x", "code", "script-x", "br", "img"])
attributes = st.dictionaries(st.sampled_from(["id", "title", "alt", "class"]), text, max_size=2)


def build(name: str, given: dict[str, str], content: list[Any]) -> Any:
    element = etree.Element(name, given)
    for item in content if name not in ("br", "img") else ():
        if not isinstance(item, str):
            element.append(item)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + item
        else:
            element.text = (element.text or "") + item
    return element


trees = st.recursive(
    text, lambda inner: st.builds(build, names, attributes, st.lists(inner, max_size=4)), max_leaves=12
).filter(lambda tree: not isinstance(tree, str))


def serialize(tree: Any) -> str:
    return etree.tostring(tree, encoding="unicode", with_tail=False)  # type: ignore[no-any-return]


def upper(markup: Markup) -> str:
    """Write a text whose translation is itself."""
    return markup.write(markup.texts)


@given(tree=trees)
@pytest.mark.parametrize("kind", ["html", "xml"])
def test_well_formed_text_stays_well_formed(kind: Literal["html", "xml"], tree: Any) -> None:
    fragment = serialize(tree)
    (translated,) = TRANSLATOR.translate([fragment], SearchOptions(beam=1), markup=kind)
    again = etree.fromstring(f"<r>{translated}</r>")
    # No kind of element appears, and none disappears.
    assert {element.tag for element in again.iter()} == {"r", *(element.tag for element in tree.iter())}


@given(tree=trees)
@settings(max_examples=200)
def test_text_that_is_not_changed_keeps_its_words_and_tags(tree: Any) -> None:
    fragment = serialize(tree)
    again = etree.fromstring(f"<r>{upper(Markup(fragment, 'xml'))}</r>")
    assert "".join("".join(again.itertext()).split()) == "".join("".join(tree.itertext()).split())  # <br/> is a space
    assert {element.tag for element in again.iter()} == {"r", *(element.tag for element in tree.iter())}


pieces = st.sampled_from(["a", "b c", " ", "d ", " e", ",", "\u00a0", " {0} ", "<code>k</code>", *["<br/>"] * 4])
nestings = st.recursive(
    pieces,
    lambda inner: st.builds(
        lambda name, content: f"<{name}>{''.join(content)}</{name}>",
        st.sampled_from("iux"),
        st.lists(inner, max_size=5),
    ),
    max_leaves=20,
)


def write_empty_elements(fragment: str) -> str:
    """Write empty elements in their short form, without spaces."""
    return re.sub(r"<(\w+)></\1>", r"<\1/>", "".join(fragment.split()))


@given(fragment=st.lists(nestings, max_size=5).map("".join), things=st.booleans())
@example(fragment="<x><br/><i>\u00a0</i></x>a", things=False)
@example(fragment="<u><br/><i><br/><code>k</code></i><br/> a</u><br/>", things=True)
@settings(max_examples=200)
def test_tags_stay_whole_around_objects(things: bool, fragment: str) -> None:
    markup = Markup(fragment, "xml")
    again = markup.write([take_out(text) if things else text for text in markup.texts])
    assert write_empty_elements(again) == write_empty_elements(fragment)


def test_entities_that_are_not_declared_lose_no_text() -> None:
    fragment = "a&nbsp;b &amp; c &lt; <i>d&x;&gt;</i><![CDATA[&gt;]]>"
    assert upper(Markup(fragment, "xml")) == "a\xa0b &amp; c &lt; <i>d&x;&gt;</i>&amp;gt;"


@given(fragment=st.text(max_size=40) | st.text(alphabet="<>/ab &;!-[]\"'=", max_size=40))
@settings(max_examples=200)
def test_no_input_fails(fragment: str) -> None:
    kinds: tuple[Literal["html", "xml"], ...] = ("html", "xml")
    for kind in kinds:
        written = upper(Markup(fragment, kind))
        assert upper(Markup(written, kind)) == written or kind == "html"


def translate(fragment: str, kind: Literal["html", "xml"] = "html") -> str:
    return TRANSLATOR.translate([fragment], markup=kind)[0]


@pytest.mark.parametrize(
    "kept",
    [
        '<x id="12"></x>',
        '<x id="12"/>',
        "<br/>",
        "<!-- ein mann -->",
        "<code>ein mann</code>",
        '<span translate="no">ein mann</span>',
        '<b class="a notranslate">ein <i>mann</i></b>',
        "<kbd>a &lt; b</kbd>",
    ],
)
def test_objects_are_kept(kept: str) -> None:
    translated = translate(f"ein mann {kept} zwei hunde")
    assert kept in translated
    assert " ".join(translated.replace(kept, " ").split()) == translate("ein mann zwei hunde")


def test_blocks_are_translated_separately() -> None:
    parts = ["ein mann", "zwei hunde"]
    plain = TRANSLATOR.translate(parts)
    assert translate("<div><p>ein mann</p>\n <ul><li> zwei hunde </li></ul></div>") == (
        f"<div><p>{plain[0]}</p>\n <ul><li> {plain[1]} </li></ul></div>"
    )


def test_attributes_are_translated_in_html_only() -> None:
    (plain,) = TRANSLATOR.translate(["ein mann"])
    assert translate('<img src="ein mann" alt="ein mann"/>') == f'<img src="ein mann" alt="{plain}"/>'
    assert translate('<img alt="ein mann"/>', "xml") == '<img alt="ein mann"/>'
    meta = '<head><meta name="description" content="ein mann"></head>'
    assert f'content="{plain}"' in translate(f"<html>{meta}<body></body></html>")


def test_a_document_keeps_its_doctype_and_scripts() -> None:
    head = "<head><script>if (a < b && c) {}</script></head>"
    document = f"<!DOCTYPE html>\n<html>{head}<body><p>ein mann<br></body></html>"
    translated = translate(document)
    assert translated.startswith("<!DOCTYPE html>")
    assert "<script>if (a < b && c) {}</script>" in translated
    assert "<br>" in translated


def test_escaped_text_stays_escaped() -> None:
    written = upper(Markup("a &lt;script&gt; &amp; b", "html"))
    assert written == "a &lt;script&gt; &amp; b"
    assert upper(Markup('<p title="&lt;">&lt;b&gt;<br></p>', "html")) == '<p title="&lt;">&lt;b&gt;<br></p>'


def test_tags_that_are_not_closed_are_mended(caplog: pytest.LogCaptureFixture) -> None:
    assert upper(Markup("<b>a<i>b</b>c & d</p>", "html")) == "<b>a<i>b</i></b>c &amp; d"
    assert not caplog.messages
    assert upper(Markup("<b>a", "xml", "line 3")) == "<b>a</b>"
    assert caplog.messages == ["line 3: not well-formed XML, mended"]


def test_very_deep_text_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    deep = "<b>" * 5000 + "ein mann"
    assert translate(deep) == deep
    assert "nested" in caplog.text


def test_n_best_lists_and_samples_have_markup() -> None:
    fragment = "<b>ein mann</b><p>zwei hunde</p>"
    (found,) = TRANSLATOR.nbest([Request(fragment, markup="html")], SearchOptions(beam=4, nbest=3))
    assert len({translation.text for translation in found}) == len(found) == 3
    assert all(translation.text.endswith("</p>") for translation in found)
    (samples,) = TRANSLATOR.nbest([fragment], SampleOptions(samples=3), markup="html")
    assert len(samples) == 3
    assert all(sample.text.endswith("</p>") for sample in samples)


def test_unknown_markup_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose html or xml"):
        TRANSLATOR.translate(["a"], markup="md")  # type: ignore[arg-type]
