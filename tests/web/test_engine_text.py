"""The functions of text in JavaScript give the same results as those in Python."""

import json
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from javascript import Engine

from nmt.config.schema import TokenizerConfig
from nmt.data.things import find_things
from nmt.tokenizers.case import Truecaser, fold, is_capitals, write_capitals, write_title
from nmt.tokenizers.standard_rules import build_normalizers
from nmt.tokenizers.subword import SubwordTokenizer
from nmt.translation.guards import find_loop

VECTORS = json.loads((Path(__file__).parents[1] / "tokenizers" / "normalization.json").read_text(encoding="utf-8"))
LINES = [
    "A man rides a horse near the “old” bridge — at 5 o'clock.",
    "Ein Mädchen fährt Fahrrad, während die Großmutter Äpfel schält.",
    "Die NATO und der HERR Müller in Straßburg…",
    "▁ and \uebb5 stay.",
    "Η ΟΔΟΣ ΤΗΣ Αθήνας είναι μεγάλη.",
    "你好,世界! Привет, мир. สวัสดี",
    "Zażółć gęślą jaźń",
]
THINGS = [
    "See https://example.org/a(b)?c=d, or www.example.com/x.",
    "Write to anna.b@example.co.uk; it costs $1,234.50 or 12 %.",
    "Press {0}s, %s, %(name)s, ${HOME}, {{ user }} and <NAME>.",
    "Open /etc/hosts, C:\\Windows\\x and report.v2.pdf at example.org.",
    "@user said #tag on 2024-05-06T10:00Z, 1.5.2024 and 12:30.",
    "🙂👍🏽 flags 🇩🇪 and 👩‍👩‍👧 `code` ``more``",
    "1102 km, 3.5 km/h, −4.5 °C, (http://a.b/c).",
]
# Letters that both Unicode versions know. Cherokee letters are left alone by truecasing.
LETTERS = [
    chr(code)
    for code in range(sys.maxunicode)
    if unicodedata.category(chr(code)) in ("Lu", "Ll", "Lt") and "CHEROKEE" not in unicodedata.name(chr(code))
]
CHARACTERS = st.one_of(
    st.sampled_from(sorted(set("".join(LINES + THINGS)))),
    # Left out: characters that are new in Unicode, which Node.js can know before Python does.
    st.characters(max_codepoint=0x1FFFF, exclude_categories=("Cs", "Cn")),
)
TEXTS = st.one_of(st.text(CHARACTERS), st.lists(st.sampled_from("".join(LINES).split()), max_size=12).map(" ".join))
NORMALIZERS = build_normalizers("standard")


@pytest.mark.parametrize("side", ["source", "target"])
def test_normalization_matches_the_vectors(engine: Engine, side: str) -> None:
    own = [vector for vector in VECTORS if vector["side"] == side]
    assert own
    rules = json.loads(NORMALIZERS.dump())[side]
    results = engine.ask("normalize", rules, [vector["input"] for vector in own])
    assert results == [vector["output"] for vector in own]


@given(text=TEXTS)
def test_normalization_of_any_text(engine: Engine, text: str) -> None:
    assert engine.ask("normalize", json.loads(NORMALIZERS.dump())["source"], [text]) == [
        NORMALIZERS.source.normalize(text)
    ]


def test_letters_are_folded_and_capitalized_alike(engine: Engine) -> None:
    assert engine.ask("fold", LETTERS) == [fold(letter) for letter in LETTERS]
    # Left out: lower-case letters whose upper case is new in Unicode, and rare Greek letters with two marks.
    usual = [x for x in LETTERS if x.upper() != x or unicodedata.category(x) != "Ll"]
    words = [f"{letter}a" for letter in usual if "AND YPOGEGRAMMENI" not in unicodedata.name(letter)]
    assert engine.ask("title", words) == [write_title(word) for word in words]
    assert engine.ask("capitals", [f"{letter}A" for letter in LETTERS]) == [
        is_capitals(f"{letter}A") for letter in LETTERS
    ]
    for language in ("de", "tr", "el"):
        assert engine.ask("upper", LINES, language) == [write_capitals(line, language) for line in LINES]


@given(text=TEXTS)
def test_truecasing_of_any_text(engine: Engine, text: str) -> None:
    truecaser = Truecaser.learn(LINES * 3)
    assert truecaser
    forms = [text, text.upper(), text.lower(), text.title()]
    assert engine.ask("restore", json.loads(truecaser.dump()), forms) == [truecaser.restore(form) for form in forms]


@pytest.fixture(
    scope="module",
    params=[
        TokenizerConfig(kind="unigram", vocabulary_size=420),
        TokenizerConfig(kind="unigram", vocabulary_size=120, byte_fallback=False, symbols=("<x>", "Die NA", "ä▁")),
        TokenizerConfig(kind="bpe", vocabulary_size=420, symbols=("<x>", "rides a")),
        TokenizerConfig(kind="bpe", vocabulary_size=150, byte_fallback=False),
    ],
    ids=["unigram", "unigram-unknown", "bpe", "bpe-unknown"],
)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, SubwordTokenizer]:
    trained = SubwordTokenizer.train(request.param, LINES * 20, "the lines")
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    trained.save(path)
    return str(path), trained


@given(text=st.one_of(TEXTS, st.lists(st.sampled_from([*"<x>äDie NA▁", "<x>", "ä▁", "rides a"])).map("".join)))
def test_segmentation_of_any_text(engine: Engine, tokenizer: tuple[str, SubwordTokenizer], text: str) -> None:
    path, own = tokenizer
    found = engine.ask("encode", path, [text, *LINES])
    assert found == [own.encode(text), *map(own.encode, LINES)]
    assert engine.ask("decode", path, found) == [own.decode(ids) for ids in found]
    assert engine.ask("spell", path, [text]) == [[*own.spell(text)]]


@given(data=st.data())
def test_the_text_of_any_tokens(engine: Engine, tokenizer: tuple[str, SubwordTokenizer], data: st.DataObject) -> None:
    path, own = tokenizer
    ids = data.draw(st.lists(st.integers(0, own.size - 1)))
    assert engine.ask("decode", path, [ids]) == [own.decode(ids)]


def test_spellings(engine: Engine, tokenizer: tuple[str, SubwordTokenizer]) -> None:
    path, own = tokenizer
    assert [bytes(spelling) for spelling in engine.ask("spellings", path)] == own.spellings


@given(data=st.data())
def test_loops(engine: Engine, tokenizer: tuple[str, SubwordTokenizer], data: st.DataObject) -> None:
    path, own = tokenizer
    few = data.draw(st.lists(st.integers(4, own.size - 1), min_size=1, max_size=4))
    ids = data.draw(st.lists(st.sampled_from(few), max_size=40))
    loop = find_loop(ids, own)
    assert engine.ask("loop", path, [ids]) == [loop and {"text": loop.text, "period": loop.period}]


def test_things_of_every_kind(engine: Engine) -> None:
    assert engine.ask("things", THINGS) == [[line[a:b] for a, b, _ in find_things(line)] for line in THINGS]


@given(text=st.lists(st.sampled_from(" ".join(THINGS).split()) | st.text(CHARACTERS, max_size=3)).map(" ".join))
def test_things_of_any_text(engine: Engine, text: str) -> None:
    assert engine.ask("things", [text]) == [[text[start:end] for start, end, _ in find_things(text)]]


@pytest.mark.parametrize(
    "sentences",
    [
        ["A man rides. ", "A dog runs! ", "(Is it late?) ", "Yes…"],
        ["Mr. Smith met Dr. Jones on 3. May at 5 p.m. near the U.S. border. ", "J. S. Bach played."],
        ["Er sagte: „Komm!“ ", "Sie kam. ", "„Gut.“"],
        ["He said “Stop!” and left."],
        ["这是一句话。", "这是另一句。", "“好！”", "他说。"],
        ["यह एक वाक्य है। ", "यह दूसरा है।"],
        ["node.js is 3.5 times as fast"],
    ],
)
def test_sentences(engine: Engine, sentences: list[str]) -> None:
    assert engine.ask("sentences", ["".join(sentences)]) == [sentences]


@given(text=TEXTS)
def test_sentences_joined_are_the_text(engine: Engine, text: str) -> None:
    assert ["".join(found) for found in engine.ask("sentences", [text])] == [text]
