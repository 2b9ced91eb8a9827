"""tokenizers/tags.py: tags follow the ids of any tokenizer, and no text encodes to one."""

import pickle
from pathlib import Path
from typing import Literal

import pytest

from nmt.config.schema import TokenizerConfig
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import train_tokenizers
from nmt.tokenizers.files import load_tokenizers, save_tokenizers

PAIRS = [("a red cat", "eine rote Katze"), ("the house", "das Haus"), ("<2de> is a tag", "ein Etikett")]
TAGS = ("<2de>", "<2fr>", "<bt>")
KINDS = {"unigram": 284, "bpe": 284, "words": 30, "characters": 40}
Kind = Literal["unigram", "bpe", "words", "characters"]


def settings(kind: Kind, joint: bool = True, sampling: float = 0.0) -> TokenizerConfig:
    return TokenizerConfig(kind=kind, vocabulary_size=KINDS[kind], joint=joint, sampling=sampling)


@pytest.fixture(scope="module", params=KINDS)
def tokenizers(request: pytest.FixtureRequest) -> tuple[Tokenizers, Tokenizers]:
    """Without and with tags."""
    config = settings(request.param)
    return train_tokenizers(config, PAIRS), train_tokenizers(config, PAIRS, TAGS)


def test_tags_follow_the_vocabulary_and_the_text_stays(tokenizers: tuple[Tokenizers, Tokenizers]) -> None:
    plain, source = tokenizers[0].source, tokenizers[1].source
    assert source.size == plain.size + 3
    assert source.tokens([plain.size, 5, plain.size + 2]) == ["<2de>", *plain.tokens([5]), "<bt>"]
    text = "<2de> red <bt> cat"
    assert source.encode(text) == plain.encode(text)
    assert max(source.encode(text)) < plain.size
    assert source.encode_tags(("<2fr>", "<bt>")) == [plain.size + 1, plain.size + 2]
    ids = source.encode_tags(TAGS) + source.encode("cat")
    assert source.decode(ids) == plain.decode(plain.encode("cat"))


def test_translations_contain_neither_tags_nor_padding(tokenizers: tuple[Tokenizers, Tokenizers]) -> None:
    plain, source = tokenizers[0].source, tokenizers[1].source
    assert plain.producible == source.producible == range(3, plain.size) == range(3, source.size - 3)


def test_unknown_tags_are_refused(tokenizers: tuple[Tokenizers, Tokenizers]) -> None:
    plain, source = tokenizers[0].source, tokenizers[1].source
    assert plain.encode_tags(()) == []
    for tokenizer in (plain, source):
        with pytest.raises(KeyError, match="<xx>"):
            tokenizer.encode_tags(("<xx>",))


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_samples_contain_no_tags(kind: Kind) -> None:
    plain, source = (train_tokenizers(settings(kind, sampling=0.4), PAIRS, tags).source for tags in ((), TAGS))
    lines, seeds = ["a red cat", "the house", "<bt>"], [4, 5, 6]
    assert source.sample(lines, seeds) == plain.sample(lines, seeds)
    assert source.encode_lines(lines) == plain.encode_lines(lines)


@pytest.mark.parametrize("joint", [True, False])
def test_saved_and_loaded(joint: bool, tmp_path: Path) -> None:
    before = train_tokenizers(settings("words", joint), PAIRS, TAGS)
    save_tokenizers(before, tmp_path)
    after = load_tokenizers(settings("words", joint), tmp_path, TAGS)
    assert (before.source is before.target) == (after.source is after.target) == joint
    tags = [side.size - side.producible.stop for side in (after.source, after.target)]
    assert tags == [3, 3 if joint else 0]
    for same in (after.source, pickle.loads(pickle.dumps(before.source))):  # the loader pickles
        assert same.encode_tags(["<bt>"]) == before.source.encode_tags(["<bt>"])
        assert same.encode("a red cat") == before.source.encode("a red cat")
    assert load_tokenizers(settings("words", joint), tmp_path).source.size == after.source.size - 3
