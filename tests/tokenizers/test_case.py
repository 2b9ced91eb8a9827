"""nmt/tokenizers/case.py: text in unusual case gets the case of the training text, and other text stays as it is."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.schema import TokenizerConfig
from nmt.errors import ModelError
from nmt.tokenizers.build import train_tokenizers
from nmt.tokenizers.case import Truecaser, is_capitals, write_capitals
from nmt.tokenizers.files import load_tokenizers, save_tokenizers

GERMAN = [
    "Ein Mann sieht die Straße und den Hund.",
    "Die Frau sieht den Mann der NATO.",
    "Sie essen heute das Essen in München.",
    "Der Hund sieht die NATO. Die Frau sitzt in der Straße.",
    "Heute essen sie in der Straße.",
    "Dort sieht sie die NATO und essen den Fisch.",
]


def learn(lines: list[str]) -> Truecaser:
    truecaser = Truecaser.learn(lines)
    assert truecaser is not None
    return truecaser


@pytest.mark.parametrize(
    "text",
    ["EIN MANN", "EIN MANN AUF DER STRAßE", "УЛИЦА", "ΜΙΑ ΓΥΝΑΙΚΑ", "A-B", "5 KM!", "ՄԱՐԴ", "NO 1ª", "ᲥᲐᲠᲗᲣᲚᲘ"],
)
def test_lines_in_capitals(text: str) -> None:
    assert is_capitals(text)


@pytest.mark.parametrize(
    "text", ["", "I", "42", "Ein Mann", "EIN mANN", "УЛИЦа", "...", "男の人", "ᎠᏂᏴᏫᏯ", "ქართული", "שלום", "ß ß"]
)
def test_lines_that_are_not_in_capitals(text: str) -> None:
    assert not is_capitals(text)


# From the Unicode Character Database, SpecialCasing.txt.
@pytest.mark.parametrize(
    ("language", "text", "capitals"),
    [
        ("de", "ein kleiner Spaß", "EIN KLEINER SPASS"),
        ("tr", "diyarbakır ili", "DİYARBAKIR İLİ"),
        ("az_AZ", "bakı şəhəri", "BAKI ŞƏHƏRİ"),
        ("en", "istanbul", "ISTANBUL"),
        ("ru", "улица", "УЛИЦА"),
        ("el", "ο άνθρωπος", "Ο ΑΝΘΡΩΠΟΣ"),
        ("fr", "un élève", "UN ÉLÈVE"),
    ],
)
def test_capitals_of_a_language(language: str, text: str, capitals: str) -> None:
    assert write_capitals(text, language) == capitals


@pytest.mark.parametrize(
    "line", [*GERMAN, "Der Mann sitzt dort.", "Den Fisch essen sie in München.", "NATO", "", "5 %"]
)
def test_text_in_usual_case_stays(line: str) -> None:
    truecaser = learn(GERMAN)
    assert truecaser.restore(line) == line
    assert truecaser.restore(line) == line  # also when its words are remembered


@pytest.mark.parametrize(
    ("line", "usual"),
    [
        ("EIN MANN SIEHT DIE STRASSE.", "Ein Mann sieht die Straße."),
        ("ein mann sieht die straße.", "Ein Mann sieht die Straße."),
        ("Ein Mann Sieht Die Straße.", "Ein Mann sieht die Straße."),
        ("EIN MANN SIEHT DIE STRAßE. DER HUND SITZT.", "Ein Mann sieht die Straße. Der Hund sitzt."),
        ("die frau sieht die nato", "Die Frau sieht die NATO"),
        ("„DIE FRAU SITZT“", "„Die Frau sitzt“"),
        ("Die Frau SIEHT den Hund.", "Die Frau sieht den Hund."),
        ("IN MUNCHEN SITZT DER FISCH", "In München sitzt der Fisch"),
        ("4 MANN", "4 Mann"),
    ],
)
def test_text_in_unusual_case(line: str, usual: str) -> None:
    assert learn(GERMAN).restore(line) == usual


def test_a_corpus_in_lower_case() -> None:
    truecaser = learn(["i can 't see him .", "the man sees the dog .", "the dog sees the man ."])
    for line in ("THE MAN SEES THE CAT .", "The Man Sees The Cat .", "the man sees the cat ."):
        assert truecaser.restore(line) == "the man sees the cat ."


def test_unknown_words_have_the_form_of_rare_words() -> None:
    lines = [f"Da ist {stem.title()}ung, wie {stem}end." for stem in ("acht", "form", "hoff", "mein", "neig", "ordn")]
    truecaser = learn([*lines, "Da ist Baum, Haus, Tisch, Rad, Bett."])
    assert truecaser.restore("DA IST HEIZUNG WIE HEIZEND") == "Da ist Heizung wie heizend"


def test_turkish_and_greek_capitals_find_their_words() -> None:
    turkish = learn(["Bu şehir Isparta ve İstanbul.", "Bir kız Isparta ve İstanbul için geldi."])
    assert turkish.restore("BU KIZ ISPARTA VE İSTANBUL İÇİN GELDİ") == "Bu kız Isparta ve İstanbul için geldi"
    greek = learn(["Ο άνθρωπος είναι εδώ.", "Εδώ είναι ένας άνθρωπος."])
    assert greek.restore("ΕΔΩ ΕΙΝΑΙ ΑΝΘΡΩΠΟΣ.") == "Εδώ είναι άνθρωπος."


@pytest.mark.parametrize(
    "lines", [["男が馬に乗る。", "女が NATO を見る。", "犬だ。"], ["ᎠᏂᏴᏫᏯ ᎤᏁᎦ", "ᎤᏁᎦ"], [], ["42"]]
)
def test_text_without_case_has_no_truecaser(lines: list[str]) -> None:
    assert Truecaser.learn(lines) is None


def test_cherokee_letters_stay() -> None:
    assert learn([*GERMAN, "ᎠᏂᏴᏫᏯ"]).restore("EIN ᎠᏂᏴᏫᏯ MANN") == "Ein ᎠᏂᏴᏫᏯ Mann"


TEXT = st.text(st.sampled_from("aAbBeEßẞiIİıǆéÉ .,'-!?1男Ꭰ\n\u0307"), max_size=40)


@given(st.lists(TEXT, max_size=8), TEXT)
def test_only_case_changes(lines: list[str], line: str) -> None:
    truecaser = Truecaser.learn(["Ein Satz mit Anfang.", *lines])
    if truecaser is None:
        return
    restored = truecaser.restore(line)
    assert Truecaser.parse(truecaser.dump()) == truecaser
    assert Truecaser.parse(truecaser.dump()).restore(line) == restored
    letters = [Counter(filter(lambda letter: not letter.isalpha(), text)) for text in (line, restored)]
    assert letters[0]["."] == letters[1]["."]
    assert letters[0][" "] == letters[1][" "]


def test_models_keep_their_tables(tmp_path: Path) -> None:
    config = TokenizerConfig(kind="words")
    tokenizers = train_tokenizers(config, [(line, "x") for line in GERMAN])
    assert tokenizers.truecaser == learn(GERMAN)
    save_tokenizers(tokenizers, tmp_path)
    assert load_tokenizers(config, tmp_path).truecaser == tokenizers.truecaser
    plain = train_tokenizers(TokenizerConfig(kind="words", truecase=False), [(line, "x") for line in GERMAN])
    assert plain.truecaser is None
    assert load_tokenizers(TokenizerConfig(kind="words", truecase=False), tmp_path).truecaser is None


@pytest.mark.parametrize(
    "change",
    [
        {"forms": []},
        {"forms": {"a": "A"}},
        {"forms": {"a": []}},
        {"forms": {"a": [1]}},
        {"accents": {"a": 1}},
        {"endings": {}},
        {"title": 1},
        {"more": True},
    ],
)
def test_damaged_tables_are_one_clear_line(change: dict[str, object], tmp_path: Path) -> None:
    config = TokenizerConfig(kind="words")
    save_tokenizers(train_tokenizers(config, [(line, "x") for line in GERMAN]), tmp_path)
    path = tmp_path / "truecase.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ModelError, match=r"truecase.json: not readable tables of a truecaser .*copy the model folder"):
        load_tokenizers(config, tmp_path)
