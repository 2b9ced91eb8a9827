"""nmt/data/check/languages.py and letters.py: identification of languages by character n-grams."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.check.languages import OTHER, LanguageIdentifier
from nmt.data.check.letters import hash_letters, read_letters, split_words
from nmt.errors import ModelError

ENGLISH = (
    "the old man walks with his dog through the green park while two children play with a red ball near the water and "
    "their mother reads the newspaper under a tall tree because the sun shines this morning"
)
GERMAN = (
    "der alte Mann geht mit seinem Hund durch den grünen Park während zwei Kinder mit einem roten Ball am Wasser "
    "spielen und ihre Mutter unter einem hohen Baum die Zeitung liest weil heute Morgen die Sonne scheint"
)
CZECH = (
    "starý muž jde se svým psem zeleným parkem zatímco dvě děti si hrají s červeným míčem u vody a jejich matka čte "
    "noviny pod vysokým stromem protože dnes ráno svítí slunce"
)


def draw_lines(text: str, count: int, seed: int, length: int = 9) -> list[str]:
    """Draw sentences of random words, which have the n-grams of a language without its grammar."""
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(text.split(), size=length)) + "." for _ in range(count)]


@pytest.fixture(scope="module")
def identifier() -> LanguageIdentifier:
    return LanguageIdentifier.learn({"en": draw_lines(ENGLISH, 400, 1), "de": draw_lines(GERMAN, 400, 2)})


def test_it_identifies_the_languages_and_others(identifier: LanguageIdentifier) -> None:
    for text, name in ((ENGLISH, "en"), (GERMAN, "de"), (CZECH, OTHER)):
        for line in draw_lines(text, 20, 7):
            scores = identifier.identify(line)
            assert scores[name] > 0.9
            assert set(scores) == {"en", "de", OTHER}
            assert math.isclose(sum(scores.values()), 1)


def test_a_text_without_letters_tells_nothing(identifier: LanguageIdentifier) -> None:
    for text in ("", "123 !?", "\n"):
        scores = identifier.identify(text)
        assert scores["en"] == scores["de"] > scores[OTHER]


def test_case_digits_and_line_feeds_do_not_matter(identifier: LanguageIdentifier) -> None:
    line = "der alte Mann geht"
    assert identifier.identify(line) == identifier.identify("DER ALTE\nMANN, 12 GEHT 5")


def test_lines_are_scored_as_if_alone(identifier: LanguageIdentifier) -> None:
    lines = ["der Mann", "", "the dog", "...", "a", "zwei Kinder spielen"]
    together = identifier.identify_lines(lines)
    for column, line in enumerate(lines):
        assert together[:, column].tolist() == pytest.approx(list(identifier.identify(line).values()))


def test_scores_are_sums_of_log_probabilities_of_ngrams() -> None:
    """The reference counts n-grams in Python. It has no hash collisions, so it has so few n-grams that none happens."""
    lines = ["ab ba abab", "ba b"]
    identifier = LanguageIdentifier.learn({"x": [line for line in lines for _ in range(10)]})
    grams = [gram for line in lines for gram in list_ngrams(line)]
    counts, buckets, smoothing = Counter(grams), 2**17, 0.1
    repeats = 10
    total = len(grams) * repeats + buckets * smoothing
    scores = identifier.score_lines(lines)
    for column, line in enumerate(lines):
        expected = sum(math.log((counts[gram] * repeats + smoothing) / total) for gram in list_ngrams(line))
        assert scores.counts[column] == len(list_ngrams(line))
        assert scores.totals[0, column] == pytest.approx(expected, abs=len(list_ngrams(line)) / 32)


def list_ngrams(line: str) -> list[str]:
    grams = []
    for word in line.split():
        padded = f" {word} "
        grams += list(word)
        grams += [padded[i : i + n] for n in (2, 3, 4) for i in range(len(padded) - n + 1)]
    return grams


def test_it_is_stored_in_few_bytes(identifier: LanguageIdentifier) -> None:
    content = identifier.to_bytes()
    again = LanguageIdentifier.from_bytes(content, "x")
    assert again.identify("der alte Mann") == identifier.identify("der alte Mann")
    assert again.languages == ("en", "de")
    assert len(content) < 200_000
    for count in (1, 3, 7, 30, 100):
        many = LanguageIdentifier.learn({f"l{number}": ["a b", "c"] for number in range(count)})
        assert len(many.to_bytes()) < 200_000


@pytest.mark.parametrize("length", [0, 7, 20, 100, 131_000])
def test_damage_is_reported(identifier: LanguageIdentifier, length: int) -> None:
    with pytest.raises(ModelError, match="the file: cannot be read"):
        LanguageIdentifier.from_bytes(identifier.to_bytes()[:length], "the file")


@settings(max_examples=40)
@given(lines=st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), max_size=6))
def test_letters_are_the_words_of_the_lines(lines: list[str]) -> None:
    letters = read_letters(lines, numbers=True)
    assert letters.count == len(lines)
    words = [split_words(read_letters([line], numbers=True)) for line in lines]
    assert split_words(letters) == [word for each in words for word in each]
    assert np.all(np.diff(letters.lines) >= 0)


def test_keys_depend_on_letters_and_digits_alone() -> None:
    keys = hash_letters(read_letters(["A b-c 1!", "abc, 1", "acb1", "", "?", "abc 2", "it's"], numbers=True))
    assert keys[0] == keys[1]
    assert keys[3] == keys[4] == 0
    assert len(set(keys.tolist())) == 5
    assert keys[6] == hash_letters(read_letters(["its"], numbers=True))[0]
