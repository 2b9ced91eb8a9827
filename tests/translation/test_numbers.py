"""Numbers with the separators of another language. The expected texts come from Babel 2.19."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt import ConfigError, Request
from nmt.translation.numbers import localize_number
from nmt.translation.tagged import TaggedText
from nmt.translation.things import localize_numbers

NUMBERS = [
    ("en", "1,234,567.891"),
    ("de", "1.234.567,891"),
    ("fr", "1\u202f234\u202f567,891"),
    ("sv", "1\u00a0234\u00a0567,891"),
    ("hi", "12,34,567.891"),
    ("de-CH", "1'234'567.891"),
    ("fr_CH", "1'234'567,891"),
    ("pt-BR", "1.234.567,891"),
]


@pytest.mark.parametrize(("source", "text"), NUMBERS)
@pytest.mark.parametrize(("target", "expected"), NUMBERS)
def test_numbers_have_the_form_of_the_target_language(source: str, text: str, target: str, expected: str) -> None:
    assert localize_number(text, source, target) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$1,000", "$1.000"), ("−2.5 km", "−2,5 km"), ("1234.5", "1234,5"), ("10000", "10000"), ("0.125%", "0,125%")],
)
def test_signs_and_units_stay(text: str, expected: str) -> None:
    assert localize_number(text, "en", "de") == expected


@pytest.mark.parametrize("text", ["12:30", "1/2", "1.2.3", "192.168.1.1", "1,23", "2024-05-31", "a@b.org", "{0}", ""])
def test_what_is_no_number_of_the_source_stays(text: str) -> None:
    assert localize_number(text, "en", "de") == text


def test_unknown_languages_keep_numbers() -> None:
    assert localize_number("1,234.5", "en", "xx") == localize_number("1,234.5", "xx", "en") == "1,234.5"


@given(
    number=st.integers(0, 10**12), fraction=st.integers(0, 10**6), target=st.sampled_from([one for one, _ in NUMBERS])
)
def test_there_and_back(number: int, fraction: int, target: str) -> None:
    text = f"{number:,}.{fraction}"
    assert localize_number(localize_number(text, "en", target), target, "en") == text


def test_numbers_within_a_text() -> None:
    text = "Between 1,234.5 km and 12:30, see www.example.org/1,000."
    found = localize_numbers(TaggedText(text=text, stacks=[(7,)] * len(text)), "en", "de")
    assert found.text == "Between 1.234,5 km and 12:30, see www.example.org/1,000."
    assert list(found.stacks) == [(7,)] * len(found.text)


def test_numbers_are_only_written_if_they_are_copied() -> None:
    with pytest.raises(ConfigError, match="only for numbers that are copied"):
        Request("1,000", numbers="locale", protect=False)
    with pytest.raises(ConfigError, match="choose keep or locale"):
        Request("1,000", numbers="words")  # type: ignore[arg-type]
