"""Text in C: the same tokens, the same text and the same translations as in Python."""

import random
import struct
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from c_library import BAD_ARGUMENT, BAD_FILE, BAD_LANGUAGE, BAD_TEXT, NO_FILE, CError, CModel
from hypothesis import given
from hypothesis import strategies as st
from random_models import ENGLISH, ODD_LINES, save_network

from nmt import SearchOptions, Translator
from nmt.checkpoint.c_file import _compute_checksum, build_file
from nmt.checkpoint.export import export
from nmt.checkpoint.folder import load_model
from nmt.tokenizers.base import Tokenizers

LINES = [
    *ODD_LINES,
    "the red dog " * 40,
    "housecat" * 40,
    "ΟΔΟΣ ΤΗΣ ΑΘΗΝΑΣ",
]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"decoder": "input_feeding", "attention": "general", "bridge": "final"},
    {"decoder": "input_feeding", "decoder_layers": 3, "residual": True, "layer_norm": True, "bridge": "none"},
    {"cell": "gru", "encoder_layers": 3, "residual": True, "tied_embeddings": "two_way", "attention": "additive"},
    {"cell": "rnn", "decoder_layers": 1, "tied_embeddings": "none", "attention": "multi_head", "layer_norm": True},
    {"cell": "gru", "decoder": "input_feeding", "residual": False, "encoder_size": 20, "decoder_size": 20},
]
TOKENIZERS: list[dict[str, Any]] = [
    {"kind": "unigram", "vocabulary_size": 340},
    {"kind": "bpe", "vocabulary_size": 120, "byte_fallback": False, "joint": False},
]
ODD = "▁\uebb5ςΣσİıßẞﬁ①Ǆǆ\u0307\u0301\u0345\u1f80가각\u1100\u1161\u11a8\U0001f468\u200d.!?…"
CHARACTERS = st.one_of(
    st.sampled_from(sorted({*"".join(LINES), *ODD})),
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
)
TEXTS = st.one_of(st.text(CHARACTERS), st.lists(st.sampled_from(" ".join(LINES).split()), max_size=12).map(" ".join))


@pytest.mark.parametrize(("settings", "tokenizer"), [*zip(SETTINGS, TOKENIZERS * 3, strict=True)])
def test_translations_of_every_kind_of_network(
    tmp_path: Path, settings: dict[str, Any], tokenizer: dict[str, Any]
) -> None:
    model = save_network(
        tmp_path, settings, {"normalization": "standard", **tokenizer}, tags=tokenizer["kind"] == "bpe"
    )
    export(model, tmp_path / "int8")
    translator = Translator.load(tmp_path / "int8", precision="int8")
    library = CModel(build_file(load_model(model), model))
    for beam in (1, 4):
        own = [text.replace("\0", " ") for text in translator.translate(LINES, SearchOptions(beam=beam), protect=False)]
        assert [library.translate(line, beam=beam) for line in LINES] == own
        assert library.translate("\n".join(LINES), beam=beam) == "\n".join(own)


def test_the_length_penalty_of_the_model_is_the_default(tmp_path: Path) -> None:
    folder = save_network(tmp_path, {}, {"normalization": "standard", **TOKENIZERS[0]})
    model = load_model(folder)
    validation = replace(model.config.validation, length_penalty=3.5)
    longer = replace(model, config=replace(model.config, validation=validation))
    usual, library = (CModel(build_file(one, folder)) for one in (model, longer))
    assert [library.translate(line) for line in LINES] == [usual.translate(line, length_penalty=3.5) for line in LINES]
    assert [usual.translate(line) for line in LINES] == [library.translate(line, length_penalty=1.0) for line in LINES]


@pytest.mark.parametrize(
    ("language", "targets"),
    [
        ("el", ["Η κόκκινη γάτα βλέπει.", "Δύο σκύλοι τρέχουν!", "Το μπλε σπίτι είναι ΤΟ σπίτι."]),
        ("tr", ["Kırmızı kedi evi görüyor.", "İki köpek koşuyor!", "Mavi ev ısındı."]),
        ("ja", ["赤い猫が見る。", "二匹の犬が走る！", "青い家。"]),
    ],
)
def test_capitals_and_spaces_of_languages(tmp_path: Path, language: str, targets: list[str]) -> None:
    model = save_network(tmp_path, {}, {"kind": "unigram", "vocabulary_size": 340}, language=language, targets=targets)
    export(model, tmp_path / "int8")
    library = CModel(build_file(load_model(model), model))
    lines = [line.upper() for line in ENGLISH] + [" ".join(ENGLISH)]
    own = Translator.load(tmp_path / "int8", precision="int8").translate(lines, protect=False)
    assert [library.translate(line) for line in lines] == [text.replace("\0", " ") for text in own]
    assert library.targets == [language]


class Both:
    """A model file that is open, and the same tokenizers in Python."""

    def __init__(self, folder: Path, tokenizer: dict[str, Any]) -> None:
        model = load_model(save_network(folder, {}, tokenizer))
        self.content = build_file(model, folder / "model")
        self.library, self.tokenizers = CModel(self.content), model.tokenizers


@pytest.fixture(
    scope="module",
    params=[
        {"kind": "unigram", "vocabulary_size": 420, "normalization": "standard"},
        {"kind": "unigram", "vocabulary_size": 120, "byte_fallback": False, "symbols": ("<x>", "red c", "d▁")},
        {"kind": "bpe", "vocabulary_size": 420, "symbols": ("<x>", "sees t"), "normalization": "nfkc"},
        {"kind": "bpe", "vocabulary_size": 150, "byte_fallback": False, "joint": False},
    ],
    ids=["unigram", "unigram-unknown", "bpe", "bpe-unknown"],
)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(tmp_path_factory.mktemp("text"), request.param)


def prepare(tokenizers: Tokenizers, text: str) -> str:
    text = tokenizers.normalizers.source.normalize(text).strip()
    return tokenizers.truecaser.restore(text) if tokenizers.truecaser else text


@given(text=TEXTS)
def test_normalization_and_case_of_any_text(both: Both, text: str) -> None:
    for form in (text, text.upper(), text.lower(), text.title()):
        assert both.library.prepare(form) == prepare(both.tokenizers, form)


def test_every_character_is_normalized_alike(both: Both) -> None:
    different = [
        code
        for code in range(1, sys.maxunicode + 1)
        if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Co", "Lo")
        and both.library.prepare(f"x{chr(code)}y") != prepare(both.tokenizers, f"x{chr(code)}y")
    ]
    assert different == []


@given(text=st.one_of(TEXTS, st.lists(st.sampled_from(["red c", "d▁", "<x>", "sees t", *"rdcs<x>"])).map("".join)))
def test_tokens_of_any_text(both: Both, text: str) -> None:
    ids = both.tokenizers.source.encode(text)
    assert both.library.encode(text) == ids


@given(data=st.data())
def test_text_of_any_tokens(both: Both, data: st.DataObject) -> None:
    target = both.tokenizers.target  # translations have no special tokens, which are 0 to 3
    ids = data.draw(st.lists(st.integers(4, target.size - 1)))
    text = target.decode(ids)
    if "\0" not in text:  # strings of C end there
        assert both.library.decode(ids) == text


def test_sentences(both: Both) -> None:
    sentences = ["A red cat sees the house.", "Two dogs run!", "The blue house is 3.5 m high.", "Mr. Dog sees the cat…"]
    apart = [both.library.translate(sentence, split=0) for sentence in sentences]
    assert both.library.translate(" ".join(sentences), split=1) == " ".join(filter(None, apart))
    assert both.library.translate(" ".join(sentences), split=0) != " ".join(filter(None, apart))


@given(text=TEXTS)
def test_any_text_is_translated_into_as_many_lines(both: Both, text: str) -> None:
    assert both.library.translate(text, beam=1).count("\n") == text.count("\n")


def test_threads_share_a_model(both: Both) -> None:
    """The rows of the table are computed when they are needed, by whichever thread needs them first."""
    expected = [both.library.translate(line) for line in LINES[:6]]
    fresh = CModel(both.content)
    with ThreadPoolExecutor(4) as pool:
        found = [list(pool.map(fresh.translate, LINES[:6])) for _ in range(4)]
    assert found == [expected] * 4


def test_errors(both: Both, tmp_path: Path) -> None:
    cases: list[tuple[Any, int, str]] = [
        (lambda: CModel(tmp_path / "missing"), NO_FILE, "cannot be read"),
        (lambda: CModel(b""), BAD_FILE, "damaged"),
        (lambda: both.library.translate(b"\xff"), BAD_TEXT, "not UTF-8"),
        (lambda: both.library.translate(b"\xed\xa0\x80"), BAD_TEXT, "not UTF-8"),
        (lambda: both.library.translate(b"\xe4"), BAD_TEXT, "not UTF-8"),
        (lambda: both.library.translate("a" * (1 << 20) + "a"), BAD_TEXT, "a line of more than"),
        (lambda: both.library.translate("a", to=b"xx"), BAD_LANGUAGE, "does not translate into this language"),
        (lambda: both.library.translate("a", beam=0), BAD_ARGUMENT, "out of its bounds"),
        (lambda: both.library.translate("a", length_penalty=-2), BAD_ARGUMENT, "out of its bounds"),
    ]
    for call, status, message in cases:
        with pytest.raises(CError, match=message) as caught:
            call()
        assert caught.value.status == status
    assert str(CError(99)) == "unknown status"


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), end=st.floats(0, 1))
def test_damaged_files_are_refused(both: Both, place: float, bit: int, end: float) -> None:
    changed = bytearray(both.content)
    changed[int(place * len(changed))] ^= 1 << bit
    for content in (bytes(changed), both.content[: int(end * (len(both.content) - 1))]):
        with pytest.raises(CError) as caught:
            CModel(content)
        assert caught.value.status == BAD_FILE


@given(seed=st.integers(0, 1 << 32))
def test_hostile_files_do_no_harm(both: Both, seed: int) -> None:
    """Numbers are changed, and the checksum fits them. A model opens or not, and its text is whatever it is."""
    generator = random.Random(seed)
    changed = bytearray(both.content)
    header = 24 + 76 + 64 + 4 + 16 * 27
    for _ in range(generator.randint(1, 4)):
        place = generator.randrange(24, header if generator.random() < 0.4 else len(changed) - 8) // 4 * 4
        value = generator.choice([0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 255, generator.randrange(1 << 32)])
        struct.pack_into("<I", changed, place, value)
    struct.pack_into("<Q", changed, 16, _compute_checksum(bytes(changed[24:])))
    try:
        library = CModel(bytes(changed))
        for line in (*ENGLISH, "Ünïcödé 字 ΣΑΣ. İ"):
            library.prepare(line)
            library.encode(line)
            library.translate(line, beam=2, max_length_factor=1)
    except (CError, UnicodeDecodeError):
        pass
