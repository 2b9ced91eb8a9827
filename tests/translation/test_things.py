"""Things that are not words: found, taken out of the text, and put into the translation."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt import Translator
from nmt.data.things import find_things
from nmt.translation.request import Translation
from nmt.translation.tagged import TaggedText, carry
from nmt.translation.things import take_out
from nmt.types import PLACEHOLDERS

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"
TRANSLATOR = Translator.load(MODEL)

THINGS = {
    "url": ["https://example.org/path?a=1&b=2", "http://a.b/c_(d)", "www.example.org", "mailto:a@b.org"],
    "e-mail": ["someone.else+x@example.co.uk"],
    "placeholder": ["{0}", "{name}", "%1$s", "%s", "%(count)d", "%.2f", "{{name}}", "{{ user.name }}", "${x}", "$HOME"],
    "code": ["`x = 1`", "``a ` b``"],
    "path": ["/usr/local/bin", "~/notes/today", "../a/b", "C:\\Users\\x"],
    "file name": ["report.pdf", "src/main.py", "archive.tar.gz"],
    "date": ["2024-05-31", "2024-05-31T12:30:00Z", "31.05.2024", "5/31/24"],
    "number": ["2,345.67", "1.5 km", "12:30", "10000", "$1,000"],
    "mention": ["@someone", "#hashtag"],
    "emoji": ["🐴", "👩‍👩‍👧", "👍🏽", "🇩🇪", "❤️"],
}


def plain(text: str) -> TaggedText:
    return TaggedText(text=text, stacks=[()] * len(text))


@pytest.mark.parametrize(("kind", "thing"), [(kind, thing) for kind, things in THINGS.items() for thing in things])
@pytest.mark.parametrize("frame", ["{}", "ein mann {}.", "{} ein mann", "ein {} mann", "ein ({}), mann"])
def test_things_are_found_and_kept(kind: str, thing: str, frame: str) -> None:
    text = frame.format(thing)
    ((start, end, found),) = find_things(text)
    assert (text[start:end].strip("()"), found) == (thing, kind) or thing in text[start:end]
    (translation,) = TRANSLATOR.nbest([text])[0][:1]
    assert translation.text.count(thing) == 1
    assert translation.copied == [text[start:end]]


@pytest.mark.parametrize(
    "text",
    [
        "A man rides a horse.", "Two of 12 men.", "He's 5 years old!", "50 % of us", "e.g. a man; i.e. me",
        "a/b and/or c", "It's A. Smith.", "Ende.Anfang", "1 2 3", "100% sure",
    ],
)  # fmt: skip
def test_words_are_not_things(text: str) -> None:
    assert [kind for *_, kind in find_things(text) if kind != "number"] == []


@given(st.text(alphabet="ab .,(){0}%s@#/:🐴`12-", max_size=30))
def test_everything_is_text_or_thing(text: str) -> None:
    taken = take_out(plain(text))
    assert len(taken.stacks) == len(taken.text)
    joined = "".join(str(item) for _, item in taken.runs())
    assert "".join(joined.split()) == "".join(text.split())
    things = [text[start:end] for start, end, _ in find_things(text)]
    assert [anchor.content for anchor in taken.anchors] == things


def test_the_rest_is_the_plain_translation() -> None:
    (rest,) = TRANSLATOR.translate(["ein mann zwei hunde"])
    for text in ("ein mann {0} zwei hunde", "{0} ein mann zwei hunde", "ein mann zwei hunde 🐴"):
        (best,) = TRANSLATOR.nbest([text])[0]
        assert " ".join(best.text.replace(best.copied[0], " ").split()) == rest


def test_things_are_translated_if_asked_for() -> None:
    (best,) = TRANSLATOR.nbest(["ein mann {0}"], protect=False)[0]
    assert best.copied == []


def test_markup_and_things_together() -> None:
    (translated,) = TRANSLATOR.translate(["<b>ein mann {0}</b> https://a.org/?x=1&amp;y=2"], markup="html")
    assert "{0}" in translated
    assert "https://a.org/?x=1&amp;y=2" in translated


X, Y = PLACEHOLDERS[:2]


def carry_symbols(source: str, translated: str) -> str:
    """Take the things of a text out, with symbols, and put them into a translation of equal attention."""
    text = take_out(TaggedText(text=source, stacks=[()] * len(source)), symbols=PLACEHOLDERS)
    words, spans = translated.split(), [match.span() for match in re.finditer(r"\S+", translated)]
    own = [match.span() for match in re.finditer(r"\S+", text.text)]
    translation = Translation(
        text=translated,
        score=0.0,
        source_tokens=text.text.split(),
        tokens=words,
        alignment=[],
        attention=[[float(row == column) for column in range(len(own))] for row in range(len(words))],
        spans=spans,
    )
    return "".join(str(item) for _, item in carry(text, translation, own, "de").runs())


def test_things_become_symbols_that_the_model_copies() -> None:
    text = "See (a@b.org) and {0}, now."
    hidden = take_out(TaggedText(text=text, stacks=[()] * len(text)), symbols=PLACEHOLDERS)
    assert hidden.text == f"See {X} and {Y}, now."
    assert [anchor.content for anchor in hidden.anchors] == ["(a@b.org)", "{0}"]
    assert carry_symbols(text, f"Sieh {Y} und {X}, jetzt.") == "Sieh {0} und (a@b.org), jetzt."


def test_things_of_lost_symbols_are_put_back_by_attention() -> None:
    assert carry_symbols("See {0} now.", "Sieh jetzt.") == "Sieh {0} jetzt."
    assert carry_symbols("See {0} now.", f"Sieh {X} {X} jetzt.") == "Sieh {0}  jetzt."


def test_symbols_in_the_text_itself_stay() -> None:
    text = f"See {X} and {{0}}."
    hidden = take_out(TaggedText(text=text, stacks=[()] * len(text)), symbols=PLACEHOLDERS)
    assert hidden.text == f"See {X} and {Y}."
    assert carry_symbols(text, f"Sieh {X} und {Y}.") == f"Sieh {X} und {{0}}."


def test_more_things_than_symbols() -> None:
    text = " ".join(f"a {{{number}}}" for number in range(12))
    hidden = take_out(TaggedText(text=text, stacks=[()] * len(text)), symbols=PLACEHOLDERS)
    assert sum(letter in PLACEHOLDERS for letter in hidden.text) == len(PLACEHOLDERS)
    assert [anchor.content for anchor in hidden.anchors] == [f"{{{number}}}" for number in range(12)]
