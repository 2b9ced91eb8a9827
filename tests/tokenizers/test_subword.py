"""tokenizers/subword.py: exact round trips, sampling, and errors that say what to change."""

import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.schema import TokenizerConfig
from nmt.errors import ConfigError
from nmt.tokenizers.subword import SubwordTokenizer
from nmt.types import BOS, EOS, PAD, SPECIAL_TOKENS, UNK

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
DICE = random.Random(1)
WORDS = ["".join(DICE.choices(SYLLABLES, k=DICE.choice((1, 2, 2, 3)))) for _ in range(80)]
LINES = [" ".join(DICE.choices(WORDS, k=8)) for _ in range(60)] + [
    "the cat sat on the mat, the cats sit on mats",
    "a dog ran in the park; the dogs run in parks",
    "the old man reads a book about the older men",
    "der alte Mann liest ein Buch über ältere Männer",
    "die Katzen saßen auf den Matten",
]
KINDS = ("unigram", "bpe")
SEEDS = range(len(LINES))


def train(kind: str = "unigram", size: int = 320, lines: list[str] = LINES, **changes: Any) -> SubwordTokenizer:
    config = TokenizerConfig(**{"kind": kind, "vocabulary_size": size, **changes})
    return SubwordTokenizer.train(config, lines, "the training text")


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> SubwordTokenizer:
    return train(request.param, sampling=0.3)


AWKWARD = [
    "",
    " ",
    "  two  spaces  ",
    "\ttab\tand\x00nul",
    "▁ U+2581 ▁▁a",
    "▅ U+2585",
    "\uebb5 \uebb50 \uebb51 ▁\uebb5▁1",
    "emoji 👩‍👩‍👧 ",
    "line\u2028and\x0cpage\rbreak",
    "</s> <s> <unk> <pad> <0x41>",
    "e\u0301 é ﬁ ½",
    "日本語 العربية",
    " ⁇ ",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_round_trip_of_awkward_text(tokenizer: SubwordTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.sample([text], [1])[0]) == text


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LIKELY_TROUBLE = st.text(st.sampled_from("a the▁\uebb501 <>▅\t\r"))


@settings(max_examples=200)
@given(text=ANY_TEXT | LIKELY_TROUBLE, seed=st.integers(0, 2**32 - 1))
def test_round_trip_of_any_text(tokenizer: SubwordTokenizer, text: str, seed: int) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not {PAD, UNK, BOS, EOS} & set(ids)
    assert tokenizer.decode(tokenizer.sample([text], [seed])[0]) == text


def test_lone_surrogate_becomes_the_replacement_character(tokenizer: SubwordTokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"


@settings(max_examples=20)
@given(texts=st.lists(ANY_TEXT))
def test_lines_are_encoded_as_one_by_one(tokenizer: SubwordTokenizer, texts: list[str]) -> None:
    assert tokenizer.encode_lines(texts) == [tokenizer.encode(text) for text in texts]


def test_special_ids_and_size(tokenizer: SubwordTokenizer) -> None:
    assert tokenizer.size == 320
    assert tuple(tokenizer.tokens(range(4))) == SPECIAL_TOKENS
    assert len(set(tokenizer.tokens(range(tokenizer.size)))) == tokenizer.size


def test_decode_skips_special_ids(tokenizer: SubwordTokenizer) -> None:
    ids = tokenizer.encode("the cat")
    assert tokenizer.decode([BOS, *ids[:1], PAD, *ids[1:], EOS, PAD, PAD]) == "the cat"
    assert tokenizer.decode([]) == ""


def test_decode_shows_unknown(tokenizer: SubwordTokenizer) -> None:
    assert "⁇" in tokenizer.decode([UNK])


@settings(max_examples=50)
@given(ids=st.lists(st.integers(0, 319)))
def test_decode_takes_any_ids(tokenizer: SubwordTokenizer, ids: list[int]) -> None:
    """A network may put out any sequence of pieces: bytes that are not UTF-8, an escape without its end."""
    assert isinstance(tokenizer.decode(ids), str)


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_deterministic(kind: str, tmp_path: Path) -> None:
    for name in "ab":
        train(kind).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_kinds_differ() -> None:
    lines = [train(kind).encode_lines(LINES) for kind in KINDS]
    assert lines[0] != lines[1]


def test_long_lines_are_learned_from() -> None:
    """SentencePiece's default leaves out lines over 4192 bytes."""
    assert "▁zebra" in train("bpe", 272, ["zebra " * 2000]).tokens(range(272))


def test_lines_with_a_reserved_character_are_learned_from() -> None:
    """SentencePiece leaves out lines with U+2585."""
    assert "▁zebra" in train("bpe", 272, ["zebra zebra ▅"] * 9).tokens(range(272))


def test_without_byte_fallback_rare_text_is_unknown() -> None:
    tokenizer = train(size=100, byte_fallback=False)
    assert UNK in tokenizer.encode("日本")
    assert tokenizer.decode(tokenizer.encode("the 日 cat")) == "the  ⁇  cat"
    assert not any(piece.startswith("<0x") for piece in tokenizer.tokens(range(tokenizer.size)))


def test_character_coverage_spells_rare_characters_in_bytes() -> None:
    lines = [*LINES, "q"]
    assert "q" in train(lines=lines).tokens(range(320))
    covered = train(lines=lines, character_coverage=0.995)
    assert "q" not in covered.tokens(range(320))
    assert covered.decode(covered.encode("q")) == "q"


def test_symbols_stay_whole() -> None:
    for kind in KINDS:
        tokenizer = train(kind, symbols=("<2de>", "a,b", "New York", "▁x"), sampling=0.9)
        for text in ("<2de> go", "in New York", "a,b a,b", "the<2de>the", "▁x"):
            for ids in (tokenizer.encode(text), *tokenizer.sample([text] * 5, range(5))):
                assert tokenizer.decode(ids) == text
        assert "<2de>" in tokenizer.tokens(tokenizer.sample(["the <2de> cat"], [1])[0])
        assert "New▁York" in tokenizer.tokens(tokenizer.encode("in New York"))


@pytest.mark.parametrize("symbols", [("",), ("<s>",), ("<pad>", "x"), ("x", "x")])
def test_symbols_that_cannot_be(symbols: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^tokenizer\.symbols: "):
        train(symbols=symbols)


@pytest.mark.parametrize("kind", KINDS)
def test_further_symbols(kind: str) -> None:
    before = train(kind, sampling=0.3, symbols=("<2de>",))
    after = before.add_symbols(("<2fr>", "New York"))
    assert after.size == before.size + 2
    for text in ("<2fr> the cat", "in New York", "▁x <2de>"):
        for ids in (after.encode(text), *after.sample([text] * 5, range(5))):
            assert after.decode(ids) == text
    assert before.size in after.sample(["the<2fr>cat"], [1])[0]
    assert after.sample(LINES, SEEDS) == before.sample(LINES, SEEDS)
    for symbol in ("<2de>", "", "<s>"):
        with pytest.raises(ConfigError, match=r"^tokenizer\.symbols: "):
            before.add_symbols((symbol,))


def find_number(pattern: str, message: str) -> int:
    found = re.search(pattern, message)
    assert found
    return int(found[1])


@pytest.mark.parametrize("kind", KINDS)
def test_too_large_vocabulary_is_as_large_as_the_text_allows(kind: str) -> None:
    largest = train(kind, 8000)
    assert largest.size < 8000
    exact = train(kind, largest.size)
    assert exact.vocabulary() == largest.vocabulary() == train(kind, largest.size + 1).vocabulary()
    assert train(kind, largest.size - 1).size == largest.size - 1


@pytest.mark.parametrize("kind", KINDS)
def test_too_small_vocabulary_names_the_smallest_that_works(kind: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^tokenizer\.vocabulary_size: 100 is too small for the training text"
    ) as caught:
        train(kind, 100)
    smallest = find_number(r"need (\d+)", str(caught.value))
    assert train(kind, smallest).size == smallest
    with pytest.raises(ConfigError, match=f"{smallest - 1} is too small"):
        train(kind, smallest - 1)


@pytest.mark.parametrize("kind", KINDS)
class TestSampling:
    def test_is_a_pure_function_of_the_seed(self, kind: str) -> None:
        tokenizer = train(kind, sampling=0.3)
        first = tokenizer.sample(LINES, SEEDS)
        tokenizer.sample(LINES, range(8, 8 + len(LINES)))
        assert tokenizer.sample(LINES, SEEDS) == first
        assert tokenizer.sample(LINES, range(8, 8 + len(LINES))) != first

    def test_a_sample_depends_on_its_own_seed_alone(self, kind: str) -> None:
        tokenizer = train(kind, sampling=0.3)
        seeds = [3, 2**32 - 1, 3, 0, 17]
        together = tokenizer.sample(LINES[:1] * 5, seeds)
        assert together == [tokenizer.sample(LINES[:1], [seed])[0] for seed in seeds]
        assert together[0] == together[2]

    def test_varies_within_a_call(self, kind: str) -> None:
        assert len({tuple(ids) for ids in train(kind, sampling=0.3).sample(LINES[:1] * 20, range(20))}) > 5

    def test_strength_changes_the_pieces(self, kind: str) -> None:
        texts = LINES * 5
        plain = train(kind).encode_lines(texts)
        pieces = {alpha: train(kind, sampling=alpha).sample(texts, range(len(texts))) for alpha in (0.05, 0.9)}
        changed = {alpha: sum(new != old for new, old in zip(pieces[alpha], plain, strict=True)) for alpha in pieces}
        # a small α flattens the distribution over segmentations; a small dropout leaves most merges in place
        assert changed[0.05] > changed[0.9] if kind == "unigram" else changed[0.05] < changed[0.9]

    def test_zero_is_the_best_segmentation(self, kind: str) -> None:
        tokenizer = train(kind, sampling=0.0)
        assert tokenizer.sample(LINES, SEEDS) == tokenizer.encode_lines(LINES)


def test_samples_are_the_same_in_another_process(tmp_path: Path) -> None:
    expected = []
    for kind in KINDS:
        tokenizer = train(kind, sampling=0.3)
        tokenizer.save(tmp_path / kind)
        expected.append(tokenizer.sample(LINES[:5], SEEDS[:5]))
    code = (
        "import sys, pathlib; from nmt.tokenizers.subword import SubwordTokenizer;"
        "paths = map(pathlib.Path, sys.argv[1:3]);"
        "print([SubwordTokenizer.load(path, 0.3).sample(sys.argv[3:], range(5)) for path in paths])"
    )
    command = [sys.executable, "-c", code, *(str(tmp_path / kind) for kind in KINDS), *LINES[:5]]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str(expected)


def test_error_in_sampling_is_passed_on() -> None:
    not_text: Any = None
    with pytest.raises((TypeError, AttributeError)):
        train(sampling=0.1).sample([not_text], [1])
