"""Translations that begin with a given text, which can end within a word or a token."""

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nmt import Request, SearchOptions, Translator
from nmt.config.schema import TokenizerConfig
from nmt.tokenizers.base import Tokenizer
from nmt.tokenizers.subword import SubwordTokenizer
from nmt.tokenizers.vocabulary import CharacterTokenizer, WordTokenizer
from nmt.translation.prefix import PrefixCompleter

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
LINES = ["das alte Haus am Fluss", "die alten Häuser am Ufer", "ein Hausboot auf dem Fluss", "Häuser und Boote"] * 5
SUBWORDS = SubwordTokenizer.train(
    TokenizerConfig(vocabulary_size=320, character_coverage=1.0, byte_fallback=True), LINES, "lines"
)
WORDS = WordTokenizer(sorted({word for line in LINES for word in line.split()}))
CHARACTERS = CharacterTokenizer(sorted({character for line in LINES for character in line}))
TOKENIZERS: list[Tokenizer] = [SUBWORDS, WORDS, CHARACTERS]


def walk(tokenizer: Tokenizer, prefix: str, choices: list[int]) -> str:
    """The text of tokens that follow a prefix and its guide; `choices` chooses the arcs."""
    ids, guide = PrefixCompleter(tokenizer).complete(prefix)
    found, state = [*ids], 0
    while state < len(guide):
        token, state = guide[state][choices[state % len(choices)] % len(guide[state])]
        found.append(token)
    return tokenizer.decode(found)


texts = st.lists(st.sampled_from(["das ", "alte ", "Häu", "ser", " ", "F", "luss", "bo", "ot "]), max_size=6).map(
    "".join
)


@given(prefix=st.one_of(texts, st.text(max_size=8)), choices=st.lists(st.integers(0, 1000), min_size=1, max_size=9))
def test_every_path_spells_any_prefix_with_bytes(prefix: str, choices: list[int]) -> None:
    text = walk(SUBWORDS, prefix, choices)
    assert text.startswith(prefix.replace("\n", " ").replace("\r", " ").encode(errors="replace").decode()) or (
        any("\ud800" <= letter <= "\udfff" for letter in prefix)
    )


@given(prefix=texts, choices=st.lists(st.integers(0, 1000), min_size=1, max_size=9))
def test_every_path_spells_a_prefix_of_known_characters(prefix: str, choices: list[int]) -> None:
    assert walk(CHARACTERS, prefix, choices).startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("das Häu", {"das Häuser"}),
        ("das alte ", {f"das alte {word}" for word in {word for line in LINES for word in line.split()}}),
        ("am Fl", {"am Fluss"}),
        ("unbekannt am Fl", {"am Fluss"}),  # the vocabulary does not have the first word
        ("am Zoo", {f"am {word}" for word in {word for line in LINES for word in line.split()}}),
    ],
)
def test_words(prefix: str, expected: set[str]) -> None:
    assert {walk(WORDS, prefix, [choice]) for choice in range(20)} <= expected


@pytest.mark.parametrize("prefix", ["", "D", "Di", "Das al", "Zwei ", "ein", "  x", "Ä", "日本"])
@pytest.mark.parametrize("beam", [1, 5])
def test_translations_begin_with_the_prefix(prefix: str, beam: int, monkeypatch: pytest.MonkeyPatch) -> None:
    options = SearchOptions(beam=beam, nbest=beam)
    request = Request("the old house by the river", prefix=prefix, options=options)
    native = Translator.load(MODELS / "input_feeding", precision="fp32")
    found = native.nbest([request, "the old house"], options)
    assert found[1] == native.nbest("the old house", options)[0]
    known = prefix if native.tokenizers.target.decode(native.tokenizers.target.encode(prefix)) == prefix else ""
    assert all(translation.text.startswith(known) for translation in found[0])
    from nmt.translation import load as choice

    monkeypatch.setattr(choice, "load", lambda: None)
    python = Translator.load(MODELS / "input_feeding", precision="fp32").nbest(request)[0]
    assert [translation.text for translation in python] == [translation.text for translation in found[0]]


def test_a_prefix_longer_than_any_translation() -> None:
    translator, prefix = Translator.load(MODELS / "input_feeding"), "das alte Haus " * 30
    [text] = translator.translate(Request("a house", prefix=prefix))
    assert text.startswith(prefix.strip())
    assert translator.translate(Request("", prefix="das")) == [""]
