"""Where the tokens of a text and of its translation are in the text."""

from pathlib import Path

import pytest

from nmt import Request, SearchOptions, Translator
from nmt.config.load import parse_config
from nmt.tokenizers.base import Spans, Tokenizers
from nmt.tokenizers.build import train_tokenizers
from nmt.tokenizers.case import Truecaser
from nmt.translation.segments import Segmenter

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"


def segmenter(normalization: str = "standard", max_tokens: int = 4) -> Segmenter:
    tokenizer = {"kind": "words", "vocabulary_size": 60, "normalization": normalization}
    config = parse_config({"data": {"target_language": "de"}, "tokenizer": tokenizer})
    built = train_tokenizers(config.tokenizer, [("one two three. Four", "x")], config.data.tags)
    truecaser = Truecaser.learn(["One two three.", "Four five six."] * 3)
    tokenizers = Tokenizers(
        source=built.source, target=built.target, normalizers=built.normalizers, truecaser=truecaser
    )
    return Segmenter(tokenizers, config.data, max_tokens)


@pytest.mark.parametrize("split", [False, True])
def test_each_source_token_is_found_in_the_text(split: bool) -> None:
    text = "  one\u00a0 two\u200bthree.  FOUR five SIX\u3000one two three"
    request, cutter = Request(text, split=split), segmenter()
    tokens = [token for segment in cutter.split(request, "") for token in cutter.tokenizer.tokens(segment.ids)]
    spans = cutter.locate(request)
    assert len(spans) == len(tokens)
    assert [text[start:end] for start, end in spans] == [
        "one", "two\u200bthree.", "FOUR", "five", "SIX", "one", "two", "three",
    ]  # fmt: skip


def test_blank_text_has_no_tokens() -> None:
    assert segmenter().locate(Request(" \t ")) == []


@pytest.mark.parametrize("split", [False, True])
def test_each_token_of_a_translation_is_found_in_its_text(split: bool) -> None:
    translator = Translator.load(MODEL)
    text = "ein mann. zwei hunde."
    options = SearchOptions(attention=True, nbest=2)
    for best in translator.nbest([Request(text, split=split)], options)[0]:
        assert len(best.spans) == len(best.tokens)
        assert "".join(best.text[start:end] for start, end in best.spans).replace(" ", "") == best.text.replace(" ", "")
    assert translator.nbest([text])[0][0].spans == []


def test_a_text_is_tokenized_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cutter, calls = segmenter(max_tokens=60), list[str]()
    locate = cutter.tokenizer.encode_spans

    def count(text: str) -> Spans:
        calls.append(text)
        return locate(text)

    monkeypatch.setattr(cutter.tokenizer, "encode_spans", count)
    assert len(cutter.locate(Request("one two three."))) == 3
    assert calls == ["One two three."]  # in the usual case
