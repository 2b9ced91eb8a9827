"""What else could be next in a translation."""

from pathlib import Path

import pytest

from nmt import ConfigError, Request, SampleOptions, Translator

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"


@pytest.mark.parametrize("prefix", ["", "Ihr ", "Ihr tap", "Die"])
def test_alternatives_are_distinct_words_with_their_translations(prefix: str) -> None:
    translator = Translator.load(MODEL, precision="fp32")
    found = translator.alternatives("The famous sister will cry.", prefix, 4)
    assert 1 <= len(found) <= 4
    assert len({one.word for one in found}) == len(found)
    probabilities = [one.probability for one in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 < probability <= 1 for probability in probabilities)
    before = prefix[: prefix.rfind(" ") + 1]
    assert all((before + one.word).startswith(prefix) for one in found)
    assert all(one.text.startswith(before + one.word) for one in found)


def test_the_next_word_of_the_best_translation_is_an_alternative() -> None:
    translator, text = Translator.load(MODEL, precision="fp32"), "They will play in the morning."
    first = translator.translate(text)[0].split()[0]
    assert first in [one.word for one in translator.alternatives(text)]


@pytest.mark.parametrize("text", ["Why will the strong son play?", "A child will forget me."])
@pytest.mark.parametrize("prefix", ["", "Ihr ", "Ein Kind "])  # "wir" and "wird" begin with the same token
def test_probabilities_are_at_most_one_together(text: str, prefix: str) -> None:
    found = Translator.load(MODEL, precision="fp32").alternatives(text, prefix, 20)
    assert sum(one.probability for one in found) <= 1 + 1e-6


def test_probabilities_do_not_depend_on_a_shortlist() -> None:
    texts, translations = [Request("A child will forget me.")] * 2, ["Ein Kind", "Ihr Vater"]
    with_list, without = (Translator.load(MODEL, precision="fp32", shortlist=shortlist) for shortlist in (True, False))
    expected = without.score(texts, translations)
    assert with_list.score(texts, translations) != expected
    assert with_list.score_part(texts, translations, shortlist=False) == expected


def test_samples_have_no_alternatives() -> None:
    with pytest.raises(ConfigError, match="only for search"):
        Translator.load(MODEL).alternatives(Request("They will play.", options=SampleOptions()))
