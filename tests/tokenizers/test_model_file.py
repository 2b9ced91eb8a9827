"""tokenizers/model_file.py against SentencePiece's own reading of the same file."""

import contextlib
import io
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.tokenizers.model_file import append_symbols, read_model

LINES = ["the cat sat on the mat", "die Katze saß auf der Matte", "a dog ran in the park <x>"] * 5


def train(kind: str, **options: Any) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=model, model_type=kind, minloglevel=2, **options
    )
    return model.getvalue()


BYTES: dict[str, Any] = {"vocab_size": 285, "byte_fallback": True, "user_defined_symbols": ["<x>", "New York"]}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_agrees_with_sentencepiece(kind: str) -> None:
    content = train(kind, **BYTES)
    model, processor = read_model(content), sentencepiece.SentencePieceProcessor(model_proto=content)
    assert model.kind == kind
    assert model.symbols == {"<x>": 3, "New York": 4}
    assert [processor.id_to_piece(id_) for id_ in model.byte_ids] == [f"<0x{byte:02X}>" for byte in range(256)]
    assert {text: processor.piece_to_id(text) for text in model.pieces} == {
        text: id_ for text, (id_, _) in model.pieces.items()
    }
    assert {id_: processor.get_score(id_) for id_, _ in model.pieces.values()} == dict(model.pieces.values())
    assert len(model.pieces) + len(model.symbols) + len(model.byte_ids) + 3 == processor.get_piece_size()


@pytest.mark.parametrize("kind", ["word", "char"])
def test_other_kinds_are_named(kind: str) -> None:
    model = read_model(train(kind, vocab_size=20, hard_vocab_limit=False))
    assert model.kind == kind
    assert not model.byte_ids


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_symbols_are_added_at_the_end(kind: str) -> None:
    content = train(kind, **BYTES)
    symbols = ["<fr>", "▁Käse▁", "x" * 300, "y" * 128]  # from 128 on, a length takes two bytes
    before, processor = (
        sentencepiece.SentencePieceProcessor(model_proto=model) for model in (content, append_symbols(content, symbols))
    )
    size = before.get_piece_size()
    assert [processor.id_to_piece(id_) for id_ in range(size)] == [before.id_to_piece(id_) for id_ in range(size)]
    assert [processor.id_to_piece(id_) for id_ in range(size, processor.get_piece_size())] == symbols
    assert processor.encode("the cat") == before.encode("the cat")
    assert [size, size + 2] == [id_ for id_ in processor.encode(f"a<fr>{symbols[2]}") if id_ >= size]
    known = read_model(append_symbols(content, symbols)).symbols
    assert known == {**read_model(content).symbols, **{symbol: size + i for i, symbol in enumerate(symbols)}}


@settings(max_examples=200)
@given(st.binary())
def test_noise_is_damaged_at_worst(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        read_model(content)


def test_cut_piece_is_damaged() -> None:
    content = train("bpe", vocab_size=60)
    whole = read_model(content)
    start = content.index(max(whole.pieces).encode())
    with pytest.raises(ValueError, match="it is damaged"):
        read_model(content[: start + 2])
