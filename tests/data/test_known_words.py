"""The set of the source words of a training text."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from nmt.data.known_words import KnownWords
from nmt.errors import ModelError

WORDS = st.lists(st.sampled_from("abcdefgh").flatmap(lambda first: st.just(first * 3)), min_size=1, max_size=8)
LINES = st.lists(WORDS.map(" ".join), max_size=8)


@given(LINES, LINES)
def test_unknown_words_are_counted(known: list[str], lines: list[str]) -> None:
    seen = {word for line in known for word in line.split()}
    words = [word for line in lines for word in line.split()]
    assert KnownWords.learn(known, "en").count_unknown(lines, "en") == (
        sum(word not in seen for word in words),
        len(words),
    )


def test_case_and_punctuation_do_not_count() -> None:
    known = KnownWords.learn(["The house, the DOG's house (42)."], "en")
    assert len(known) == 4
    assert known.count_unknown(["the House! Dog's 42? cat", ""], "en") == (1, 5)


def test_languages_without_spaces_have_pairs_of_letters() -> None:
    known = KnownWords.learn(["私は学生です。"], "ja")
    assert known.count_unknown(["私は先生です。"], "ja") == (2, 5)
    assert known.count_unknown(["は"], "jpn-JP") == (1, 1)


def test_a_set_can_be_joined_and_stored() -> None:
    known = KnownWords.learn(["one two"], "en").join(KnownWords.learn(["two three"], "en"))
    assert len(known) == 3
    read = KnownWords.from_bytes(known.to_bytes(), "here")
    assert read.count_unknown(["one two three four"], "en") == (1, 4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 100,
        save({"other": np.zeros(3, dtype=np.uint32)}),
        save({"words": np.zeros(3, dtype=np.int32)}),
        save({"words": np.zeros((1, 3), dtype=np.uint32)}),
        save({"words": np.array([3, 2, 1], dtype=np.uint32)}),
    ],
)
def test_a_damaged_file_is_reported(content: bytes) -> None:
    with pytest.raises(ModelError, match=re.escape("words.safetensors: cannot be read (")):
        KnownWords.from_bytes(content, "words.safetensors")
