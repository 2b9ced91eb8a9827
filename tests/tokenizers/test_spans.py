"""The part of a text that each token covers, and the characters that truecasing changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.schema import TokenizerConfig
from nmt.tokenizers.base import UNKNOWN_TEXT, Tokenizer, replace_surrogates
from nmt.tokenizers.case import Truecaser
from nmt.tokenizers.subword import SubwordTokenizer
from nmt.tokenizers.tags import TaggedTokenizer
from nmt.tokenizers.vocabulary import CharacterTokenizer, WordTokenizer
from nmt.types import BOS, EOS, UNK

LINES = ["der alte Mann liest ein Buch", "die Katzen saßen auf den Matten", "a dog ran in the park"] * 3


def train(kind: str, **changes: Any) -> Tokenizer:
    config = TokenizerConfig(**{"kind": kind, "vocabulary_size": 290, **changes})
    if kind == "words":
        return WordTokenizer.train(config, LINES, "the text")
    if kind == "characters":
        return CharacterTokenizer.train(config, LINES, "the text")
    return SubwordTokenizer.train(config, LINES, "the text")


BYTES = {kind: train(kind) for kind in ("unigram", "bpe")}
texts = st.text(max_size=20) | st.text(alphabet="▁\uebb5 01aeß你🐴", max_size=20)


@pytest.mark.parametrize("kind", BYTES)
@given(text=texts)
def test_spans_of_subwords_cover_the_text(kind: str, text: str) -> None:
    tokenizer = BYTES[kind]
    ids, spans = tokenizer.encode(text), tokenizer.encode_spans(text)
    assert len(spans) == len(ids)
    end = 0
    for span, before in zip(spans, [(0, 0), *spans], strict=False):
        assert span == before or span[0] == end  # the bytes of one character share its span
        end = span[1]
    assert end == len(text)
    assert tokenizer.decode(ids) == replace_surrogates(text)
    assert tokenizer.decode_spans(ids) == spans


def test_spans_of_words_characters_and_unknown_tokens() -> None:
    words, characters = train("words"), train("characters")
    assert words.encode_spans("  ein  Huhn ") == [(2, 5), (7, 11)]
    assert words.decode_spans([BOS, *words.encode("ein Huhn Mann"), EOS]) == [(0, 0), (0, 3), (4, 5), (6, 10), (10, 10)]
    assert characters.encode_spans("aQ") == characters.decode_spans(characters.encode("aQ")) == [(0, 1), (1, 2)]
    bare = train("unigram", byte_fallback=False, vocabulary_size=60)
    text = bare.decode(ids := bare.encode("ein 你"))
    parts = [text[start:end] for start, end in bare.decode_spans(ids)]
    assert "".join(parts) == text
    assert parts[ids.index(UNK)].strip() == UNKNOWN_TEXT
    assert [("ein 你")[start:end] for start, end in bare.encode_spans("ein 你")][-1] == "你"


def test_tags_cover_nothing() -> None:
    tagged = TaggedTokenizer(BYTES["bpe"], ["<2de>"])
    ids = [*tagged.encode_tags(["<2de>"]), *tagged.encode("ein")]
    assert tagged.decode_spans(ids) == [(0, 0), *BYTES["bpe"].encode_spans("ein")]
    assert tagged.encode_spans("ein") == BYTES["bpe"].encode_spans("ein")


def test_truecasing_aligns_characters() -> None:
    truecaser = Truecaser.learn(["Der Mann geht auf die Straße.", "Die Frau sieht ein Haus."] * 3)
    assert truecaser
    for line in ("DER MANN GEHT AUF DIE STRASSE!", "Der Mann geht.", "die frau, die straße"):
        restored, spans = truecaser.align(line)
        assert restored == truecaser.restore(line)
        assert len(spans) == len(restored)
        for letter, (start, end) in zip(restored, spans, strict=True):
            assert letter.upper() in line[start:end].upper() or line[start:end] == "STRASSE"
    restored, spans = truecaser.align("DIE STRASSE!")
    assert (restored, spans[4:]) == ("Die Straße!", [(4, 11)] * 6 + [(11, 12)])
