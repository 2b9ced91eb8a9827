"""tokenizers/vocabulary.py: the baselines."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.schema import TokenizerConfig
from nmt.errors import DataError
from nmt.tokenizers.vocabulary import CharacterTokenizer, WordTokenizer
from nmt.types import BOS, EOS, PAD, SPECIAL_TOKENS, UNK

LINES = ["b a b", "c  b a", "d"]


def words(size: int = 100, lines: list[str] = LINES) -> WordTokenizer:
    return WordTokenizer.train(TokenizerConfig(kind="words", vocabulary_size=size), lines, "the text")


def characters(size: int = 100, lines: list[str] = LINES) -> CharacterTokenizer:
    return CharacterTokenizer.train(TokenizerConfig(kind="characters", vocabulary_size=size), lines, "the text")


def test_words_are_ordered_by_frequency_then_by_occurrence() -> None:
    assert words().tokens(range(words().size)) == [*SPECIAL_TOKENS, "b", "a", "c", "d"]


def test_characters_are_ordered_by_frequency_then_by_occurrence() -> None:
    expected = [character for character, _ in Counter("".join(LINES)).most_common()]
    assert characters().tokens(range(4, characters().size)) == expected == [" ", "b", "a", "c", "d"]


@pytest.mark.parametrize("train", [words, characters])
def test_vocabulary_size_counts_the_special_pieces(train: Callable[..., CharacterTokenizer | WordTokenizer]) -> None:
    assert train(6).size == 6
    assert train(100).size < 100


def test_rest_is_unknown_and_shown() -> None:
    tokenizer = words(6)
    assert tokenizer.encode("b c a d") == [4, UNK, 5, UNK]
    assert tokenizer.decode(tokenizer.encode("b c a d")) == "b ⁇ a ⁇"
    assert characters(6).decode(characters(6).encode("b a")) == "b ⁇"


def test_words_lose_only_repeated_spaces() -> None:
    tokenizer = words(lines=["a\tb c\u00a0d"])
    assert tokenizer.decode(tokenizer.encode("  a\tb   c\u00a0d ")) == "a\tb c\u00a0d"


@pytest.mark.parametrize("train", [words, characters])
def test_special_ids_are_skipped(train: Callable[..., CharacterTokenizer | WordTokenizer]) -> None:
    tokenizer = train()
    ids = tokenizer.encode("a b")
    assert tokenizer.decode([BOS, *ids, EOS, PAD]) == "a b"
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("train", [words, characters])
def test_sample_is_encode(train: Callable[..., CharacterTokenizer | WordTokenizer]) -> None:
    assert (
        train().sample(LINES, range(len(LINES)))
        == train().encode_lines(LINES)
        == [train().encode(line) for line in LINES]
    )


def test_names_of_special_pieces_are_ordinary_words() -> None:
    tokenizer = words(lines=["<s> </s> <unk>"])
    assert not {PAD, UNK, BOS, EOS} & set(tokenizer.encode("<s> </s> <unk>"))
    assert tokenizer.decode(tokenizer.encode("<s> </s> <unk>")) == "<s> </s> <unk>"


@settings(max_examples=50)
@given(lines=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_characters_round_trip_through_a_file(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    if not any(lines):
        return
    tokenizer = characters(10_000, lines)
    path = tmp_path_factory.mktemp("vocabulary") / "tokenizer.json"
    tokenizer.save(path)
    loaded = CharacterTokenizer.load(path)
    for line in lines:
        assert loaded.decode(loaded.encode(line)) == line
        assert loaded.encode(line) == tokenizer.encode(line)


def test_surrogates_are_replaced() -> None:
    tokenizer = characters(lines=["a\ud800"])
    assert tokenizer.decode(tokenizer.encode("a\ud800")) == "a\ufffd"


@pytest.mark.parametrize("train", [words, characters])
def test_no_text_is_a_data_error(train: Callable[..., CharacterTokenizer | WordTokenizer]) -> None:
    with pytest.raises(DataError, match="the text: contains no text"):
        train(lines=["", ""])
