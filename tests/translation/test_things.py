"""Things that are not words: found, taken out of the text, and put into the translation."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt import Translator
from nmt.data.things import find_things
from nmt.translation.tagged import TaggedText
from nmt.translation.things import take_out

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
