"""Terms and symbols in the translations of a model that was trained with them."""

import pytest
import tiny

from nmt import Request, Term, Translator
from nmt.training.run import train
from nmt.translation.terms import find_uses
from nmt.types import PLACEHOLDERS, TERM_TAGS

WORDS = {"dog": "Hund", "cat": "Katze", "house": "Haus", "garden": "Garten", "horse": "Pferd", "lamp": "Lampe"}


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    folder = tmp_path_factory.mktemp("terms")
    pairs = [
        (f"the {one} sees a {two} near Maria", f"{WORDS[one]} sieht {WORDS[two]} bei Maria")
        for one in WORDS
        for two in WORDS
    ]
    for side, ending in enumerate(("en", "de")):
        (folder / f"text.{ending}").write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8")
    shares = ("data.placeholder_share=0.5", "data.term_share=0.5")
    config = tiny.config(folder / "text", "tokenizer.kind=bpe", "tokenizer.vocabulary_size=320", *shares)
    train(config, folder / "out", check_text=False)
    return Translator.load(folder / "out")


def test_terms_are_read_beside_their_words(translator: Translator) -> None:
    terms = [Term("dog", "Katze"), Term("Maria", "Maria")]
    text = "the dog sees Maria"
    (best,) = translator.nbest(Request(text, terms=terms))[0]
    shown = "".join(best.source_tokens).replace("▁", " ")
    assert "{}dog{}Katze{}".format(*TERM_TAGS) in shown.replace(" ", "")
    assert shown.count(TERM_TAGS[0]) == 1  # words that are not translated constrain search
    assert best.terms[1].used
    assert "Maria" in best.text
    spans = translator.segmenter.locate(Request(text, terms=terms))
    assert len(spans) == len(best.source_tokens)
    begin = best.source_tokens.index(TERM_TAGS[0])
    assert text[slice(*spans[begin])].strip() == "dog"


def test_things_are_symbols_for_the_model(translator: Translator) -> None:
    assert translator.segmenter.symbols == PLACEHOLDERS
    assert all(
        translator.tokenizers.source.encode(symbol)[-1] in translator.tokenizers.target.producible
        for symbol in PLACEHOLDERS
    )
    (text,) = translator.translate("the dog sees a@b.org near 1,234.5 km", numbers="locale")
    assert text.count("a@b.org") == text.count("1.234,5 km") == 1


@pytest.mark.parametrize(
    ("target", "text", "used"),
    [
        ("Haus", "die Häuser", True),
        ("laufen", "er läuft", True),
        ("blaues Hemd", "mit dem blauen Hemd", True),
        ("Leiter", "die Leitung", False),
        ("Hund", "Katze", False),
    ],
)
def test_forms_of_a_target_are_recognized(target: str, text: str, used: bool) -> None:
    terms = [Term("x", target)]
    assert find_uses(terms, text, spaces=True, capitals=False, inflected=True)[0].used is used
    assert not find_uses(terms, text, spaces=True, capitals=False)[0].used
