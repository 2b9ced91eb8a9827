"""Normalization: test vectors, properties, and the document in the model folder.

tests/tokenizers/normalization.json lists texts over many scripts, what the standard rules make of them, and the origin
of each character, so that implementations in other languages can be held equal.
"""

import itertools
import json
import pickle
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.tokenizers.normalization import Normalizer, Normalizers
from nmt.tokenizers.normalization_rules import Rules
from nmt.tokenizers.standard_rules import build_normalizers

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "normalization.json").read_text(encoding="utf-8"))
STANDARD = build_normalizers("standard")
CHOICES = {name: build_normalizers(name) for name in ("standard", "nfc", "nfkc", "none")}

IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
WHITE = regex.compile(r"\p{White_Space}")
# Characters that rules look at, so that texts of them reach every rule often.
ODD = (
    "aZ1.'\"` \t\n\u00a0\u2009\u3000\u200b\u200c\u200d\u00ad\ufeff\u200e\ufe0e\ufe0f\u20e3\u0301\u0323\u0308"
    "\u3099\u0345éﬁ“’«Ａ！ｶﾞ가\u1100\u1161\u11a8कषर\u094d\u09cdনന\u0d4d\u09c7\u09be\u09d7میآﻻ۲❤👍🏽👩🏴🇩"
    "\U000e0067\U000e007f1#*\u180e\u1820\u180bขខ\u17b4𝐇\u1fef\u037e\u212b\u0344\u0f73\u2126\ufdfa\u3164\x00\x1b\x85"
)
TEXTS = st.one_of(st.text(st.sampled_from(ODD), max_size=12), st.text(max_size=12))
NORMALIZERS = st.sampled_from(
    [(name, side) for name in ("standard", "nfc", "nfkc", "none") for side in ("source", "target")]
)


def choose(choice: tuple[str, str]) -> Normalizer:
    normalizer: Normalizer = getattr(CHOICES[choice[0]], choice[1])
    return normalizer


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{case['kind']} {case['side']} {case['input']!a}")
def test_vectors(case: dict[str, Any]) -> None:
    normalizer: Normalizer = getattr(STANDARD, case["side"])
    assert normalizer.normalize(case["input"]) == case["output"]
    assert normalizer.align(case["input"]) == (case["output"], [tuple(span) for span in case["offsets"]])


def test_there_are_vectors_of_many_kinds() -> None:
    assert len(VECTORS) >= 300
    assert len({case["kind"] for case in VECTORS}) >= 20


@given(NORMALIZERS, TEXTS)
def test_normalizing_twice_changes_nothing(choice: tuple[str, str], text: str) -> None:
    once = choose(choice).normalize(text)
    assert choose(choice).normalize(once) == once


@given(NORMALIZERS, TEXTS)
def test_alignment(choice: tuple[str, str], text: str) -> None:
    normalized, offsets = choose(choice).align(text)
    assert normalized == choose(choice).normalize(text)
    assert len(offsets) == len(normalized)
    assert all(0 <= start < end <= len(text) for start, end in offsets)
    assert all(a <= c and b <= d for (a, b), (c, d) in itertools.pairwise(offsets))
    covered = {index for start, end in offsets for index in range(start, end)}
    lost = [character for index, character in enumerate(text) if index not in covered]
    assert not "".join(map(choose(choice).normalize, lost))  # everything visible is the origin of something


@given(TEXTS)
@example("e\u200b\u0301")
@example("\u200b\ufe0f \u2028\u3000")
def test_standard_text(text: str) -> None:
    """What the standard rules promise, by Unicode's own properties."""
    source, target = STANDARD.source.normalize(text), STANDARD.target.normalize(text)
    for normalized in (source, target):
        assert unicodedata.is_normalized("NFC", normalized)
        assert not any(unicodedata.category(character) == "Cc" for character in normalized)
        assert normalized == normalized.strip()
        kept = set(IGNORABLE.findall(normalized))
        assert all(
            character in "\u200c\u200d\ufe0f\u180b\u180c\u180d\u180e\u180f" or "\U000e0020" <= character <= "\U000e007f"
            for character in kept - ({"\u200b"} if normalized is target else set())
        )
    assert WHITE.sub(" ", source).split(" ") == (source.split() or [""])
    assert not set("‘’‚‛“”„‟«»‹›`´′″") & set(source)


@given(TEXTS)
def test_a_text_is_blank_if_nothing_is_visible(text: str) -> None:
    visible = regex.sub(r"[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}\p{Noncharacter_Code_Point}]", "", text)
    visible = regex.sub("[\u2800\ufff9-\ufffc]", "", visible)
    for normalizer in (STANDARD.source, STANDARD.target):
        assert bool(normalizer.normalize(text)) == bool(visible)


@given(st.text(max_size=20))
def test_forms_are_those_of_unicode(text: str) -> None:
    for side in ("source", "target"):
        assert choose(("nfc", side)).normalize(text) == unicodedata.normalize("NFC", text)
        assert choose(("nfkc", side)).normalize(text) == unicodedata.normalize("NFKC", text)
        assert choose(("none", side)).normalize(text) is text


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="`"), max_size=30))
def test_ascii_text_keeps_everything_but_extra_spaces(text: str) -> None:
    for normalizer in (STANDARD.source, STANDARD.target):
        assert normalizer.normalize(text) == " ".join(text.split())


def test_plain_text_is_returned_as_it_is() -> None:
    for text in ("A man rides a horse.", "Ein Mann fährt über Brücken.", "男の人が馬に乗る。", "می\u200cخواهم"):
        assert STANDARD.source.normalize(text) == text
    text = "Ein Mann fährt."
    assert STANDARD.source.normalize(text) is text


@pytest.mark.parametrize("choice", CHOICES)
def test_the_document_is_read_back(choice: str) -> None:
    document = CHOICES[choice].dump()
    again = Normalizers.parse(document)
    assert again == CHOICES[choice]
    assert again.dump() == document
    assert again.source.normalize("‘e\u0301’\u00a0") == CHOICES[choice].source.normalize("‘e\u0301’\u00a0")
    assert document.isascii()
    assert len(document) < 100_000


def test_normalizers_travel_to_other_processes() -> None:
    again = pickle.loads(pickle.dumps(STANDARD))
    assert again == STANDARD
    assert again.source.normalize("a\u00a0b") == "a b"


RULES = Rules().to_plain()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spaces": ["20-10"]}, "not a range"),
        ({"spaces": ["110000"]}, "not a range"),
        ({"spaces": "20"}, "not a list"),
        ({"remove": [32]}, "not a range"),
        ({"remove": ["0-FFFFF"]}, "more than 100,000"),
        ({"remove": ["0-FFFF"] * 3}, "more than 100,000"),
        ({"form": "NFD"}, "form must be"),
        ({"form": ["NFC"]}, "form must be"),
        ({"collapse": 1}, "collapse must be"),
        ({"keep": {}}, "keep must be"),
        ({"keep": [{"before": []}]}, "a context must"),
        ({"keep": [{"characters": ["20"], "after": 3}]}, "not a list"),
        ({"replace": {"": "a"}}, "must map"),
        ({"replace": {"a": 1}}, "must map"),
        ({"replace": []}, "must map"),
        ({"shift": {"41-42": ""}}, "first replacement"),
        ({"shift": {"41-42": "\U0010ffff"}}, "first replacement"),
        ({"shift": {"x": "a"}}, "not a range"),
        ({"extra": 1}, "must have the keys"),
    ],
)
def test_faulty_rules_are_refused(change: dict[str, Any], message: str) -> None:
    document = {"format": 1, "source": {**RULES, **change}, "target": RULES}
    with pytest.raises(ValueError, match=message):
        Normalizers.parse(json.dumps(document))


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"format": 2}', '{"format": 1}', "[" * 10**5, '{"format": 1'])
def test_other_documents_are_refused(document: str) -> None:
    with pytest.raises(ValueError, match=r"format|Expecting|nested"):
        Normalizers.parse(document)
