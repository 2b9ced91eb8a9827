"""nmt/tokenizers/case.py: lines in capitals, and changes of case by the rules of languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.tokenizers.case import is_capitals, lower_case, title_case, upper_case


@pytest.mark.parametrize(
    "text",
    [
        "EIN MANN",
        "EIN MANN AUF DER STRAßE",
        "УЛИЦА",
        "ΜΙΑ ΓΥΝΑΙΚΑ",
        "A-B",
        "5 KM!",
        "ՄԱՐԴ",
        "NO 1ª",
    ],
)
def test_lines_in_capitals(text: str) -> None:
    assert is_capitals(text)


@pytest.mark.parametrize(
    "text",
    ["", "I", "42", "Ein Mann", "EIN mANN", "УЛИЦа", "...", "男の人", "ᎠᏂᏴᏫᏯ", "ᲥᲐᲠᲗᲣᲚᲘ", "ქართული", "שלום", "ß ß"],
)
def test_lines_that_are_not_in_capitals(text: str) -> None:
    assert not is_capitals(text)


# From the Unicode Character Database, SpecialCasing.txt.
@pytest.mark.parametrize(
    ("language", "lower", "upper"),
    [
        ("de", "ein kleiner mann", "EIN KLEINER MANN"),
        ("tr", "diyarbakır ili", "DİYARBAKIR İLİ"),
        ("az", "bakı şəhəri", "BAKI ŞƏHƏRİ"),
        ("en", "istanbul", "ISTANBUL"),
        ("ru", "улица", "УЛИЦА"),
    ],
)
def test_both_cases_of_a_language(language: str, lower: str, upper: str) -> None:
    assert upper_case(lower, language) == upper
    assert lower_case(upper, language) == lower


def test_a_dotted_capital_i_becomes_one_letter() -> None:
    assert lower_case("İSTANBUL", "en") == "istanbul"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("ein mann (mit hut) sitzt.", "Ein Mann (Mit Hut) Sitzt."),
        ("it's „schön“ to-day", "It's „Schön“ To-day"),
        ("ǆep 3d élan", "ǅep 3d Élan"),
        ("a  b", "A  B"),
    ],
)
def test_title_case(text: str, title: str) -> None:
    assert title_case(text) == title


@given(st.text())
def test_a_text_in_lower_case_is_not_in_capitals(text: str) -> None:
    assert not is_capitals(lower_case(text))
    assert lower_case(lower_case(text)) == lower_case(text)
