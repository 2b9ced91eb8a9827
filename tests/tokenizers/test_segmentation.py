"""tokenizers/segmentation.py against SentencePiece's best segmentation, its n-best list and its own sampling."""

import math
import random
from collections import Counter
from typing import Any

import pytest
import sentencepiece

from nmt.config.schema import TokenizerConfig
from nmt.tokenizers.model_file import SubwordModel, read_model
from nmt.tokenizers.segmentation import Sampler
from nmt.tokenizers.subword import SubwordTokenizer
from nmt.types import UNK

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
DICE = random.Random(1)
WORDS = ["".join(DICE.choices(SYLLABLES, k=DICE.choice((1, 2, 2, 3)))) for _ in range(80)]
LINES = [" ".join(DICE.choices(WORDS, k=8)) for _ in range(60)]
SEEDS = range(4000)  # neighbouring seeds give independent samples


def trained(kind: str, **changes: Any) -> tuple[SubwordModel, sentencepiece.SentencePieceProcessor]:
    config = TokenizerConfig(**{"kind": kind, "vocabulary_size": 330, **changes})
    content = SubwordTokenizer.train(config, LINES, "text")._model
    return read_model(content), sentencepiece.SentencePieceProcessor(model_proto=content)


TEXTS = [*LINES, "", " ", "a  b ", "日本 ba", "zzzz", "😀\x00▁ ba"]


def test_dropout_near_zero_is_sentencepiece_bpe() -> None:
    model, processor = trained("bpe")
    texts = [processor.normalize(text) for text in TEXTS]
    assert Sampler(model, 1e-12).sample(texts, SEEDS[: len(texts)]) == processor.encode(TEXTS)


def test_dropout_of_every_merge_leaves_characters() -> None:
    model, processor = trained("bpe")
    texts = [processor.normalize(text) for text in TEXTS]
    spelled = [[id_ for character in text for id_ in one_character(processor, character)] for text in texts]
    assert Sampler(model, 1.0).sample(texts, SEEDS[: len(texts)]) == spelled


def one_character(processor: sentencepiece.SentencePieceProcessor, character: str) -> list[int]:
    id_ = processor.piece_to_id(character)
    return [id_] if id_ != UNK else [processor.piece_to_id(f"<0x{byte:02X}>") for byte in character.encode()]


def test_high_power_is_sentencepiece_best_unigram_segmentation() -> None:
    model, processor = trained("unigram")
    texts = [processor.normalize(text) for text in TEXTS]
    assert Sampler(model, 1e4).sample(texts, SEEDS[: len(texts)]) == processor.encode(TEXTS)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_unigram_frequencies_are_powers_of_the_probabilities(alpha: float) -> None:
    """All segmentations of some words and their scores come from SentencePiece's n-best search."""
    model, processor = trained("unigram")
    text, count = " ".join(WORDS[:4]), 4000
    nbest = processor.nbest_encode(text, nbest_size=512)
    weights = {tuple(ids): math.exp(alpha * sum(map(processor.get_score, ids))) for ids in nbest}
    assert 5 < len(weights) < 512  # all of them
    found = Counter(map(tuple, Sampler(model, alpha).sample([processor.normalize(text)] * count, SEEDS[:count])))
    assert set(found) <= set(weights)
    for ids, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(found[ids] - count * share) < 5 * math.sqrt(count * share * (1 - share)) + 1


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_dropout_frequencies_are_those_of_sentencepiece(dropout: float) -> None:
    model, processor = trained("bpe")
    word, count = max(WORDS, key=len), 3000
    ours = Counter(map(tuple, Sampler(model, dropout).sample([processor.normalize(word)] * count, SEEDS[:count])))
    theirs = Counter(
        tuple(processor.encode(word, enable_sampling=True, alpha=dropout, nbest_size=-1)) for _ in range(count)
    )
    assert len(ours) > 2
    for ids in ours.keys() | theirs.keys():
        share = (ours[ids] + theirs[ids]) / (2 * count)
        assert abs(ours[ids] - theirs[ids]) < 6 * math.sqrt(2 * count * share * (1 - share)) + 1


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_without_byte_pieces_neighbouring_unknown_characters_are_one(kind: str) -> None:
    model, processor = trained(kind, vocabulary_size=90, byte_fallback=False)
    text = "ba 日本語 日ba本"
    assert [id_ for id_ in processor.encode(text) if id_ == UNK] == [UNK] * 3
    for ids in Sampler(model, 0.5).sample([processor.normalize(text)] * 20, SEEDS[:20]):
        assert ids.count(UNK) == 3


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_pieces_over_words_are_sampled_where_the_model_has_them(kind: str) -> None:
    """A model trained elsewhere may have pieces with spaces inside."""
    pieces = {"▁a": (4, -1.0), "▁": (5, -2.0), "a": (6, -2.0), "▁a▁a": (7, -1.5)}
    model = SubwordModel(kind=kind, pieces=pieces, symbols={}, byte_ids=[])
    samples = Sampler(model, 0.5).sample(["▁a▁a"] * 100, SEEDS[:100])
    assert [7] in samples
    assert [4, 4] in samples


def test_longest_symbol_wins() -> None:
    model = SubwordModel(kind="bpe", pieces={"▁": (4, 0.0)}, symbols={"<x": 5, "<x>": 6}, byte_ids=[])
    assert Sampler(model, 0.5).sample(["▁<x>▁<x"], [1]) == [[4, 6, 4, 5]]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_long_text_takes_no_recursion(kind: str) -> None:
    model, processor = trained(kind)
    text = "".join(WORDS) * 20  # one word of several thousand characters
    (ids,) = Sampler(model, 0.2).sample([processor.normalize(text)], [1])
    assert processor.decode(ids) == text


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_long_words_are_sampled_alike_and_not_kept(kind: str) -> None:
    model, processor = trained(kind)
    text = processor.normalize("".join(WORDS[:20]))
    sampler, kept = Sampler(model, 0.3), Sampler(model, 0.3)
    assert sampler.sample([text], [7]) == kept.sample([text], [7])
    segment: Any = sampler._segment
    segmenter = segment.__self__
    cache = segmenter._lattice if kind == "unigram" else segmenter._cached
    assert cache.cache_info().currsize == 0
    sampler.sample([processor.normalize(WORDS[0])], [7])
    assert cache.cache_info().currsize == 1


def test_a_merge_whose_parts_are_gone_is_not_applied() -> None:
    """In abc, bc merges first, so the proposed merge ab is stale."""
    pieces = {"a": (4, -9.0), "b": (5, -9.0), "c": (6, -9.0), "bc": (7, -1.0), "ab": (8, -2.0)}
    model = SubwordModel(kind="bpe", pieces=pieces, symbols={}, byte_ids=[])
    assert Sampler(model, 1e-12).sample(["abc"], [1]) == [[4, 7]]


def test_the_leftmost_of_equal_merges_is_first() -> None:
    pieces = {"a": (4, -9.0), "aa": (5, -1.0)}
    model = SubwordModel(kind="bpe", pieces=pieces, symbols={}, byte_ids=[])
    assert Sampler(model, 1e-12).sample(["aaa"], [1]) == [[5, 4]]


def test_unknown_characters_score_below_every_piece() -> None:
    """Without a piece for b, the pieces around it are still chosen, and b costs ten more than the lowest score."""
    pieces = {"a": (4, -1.0), "aba": (5, -20.0)}
    model = SubwordModel(kind="unigram", pieces=pieces, symbols={}, byte_ids=[])
    counts = Counter(map(tuple, Sampler(model, 1.0).sample(["aba"] * 2000, SEEDS[:2000])))
    # log P of [a, UNK, a] is -1 - 30 - 1 = -32, of [aba] -20.
    assert counts[(5,)] == 2000
    model = SubwordModel(kind="unigram", pieces={"a": (4, -1.0), "aba": (5, -13.0)}, symbols={}, byte_ids=[])
    counts = Counter(map(tuple, Sampler(model, 0.1).sample(["aba"] * 2000, SEEDS[:2000])))
    # -1 - 23 - 1 = -25 against -13: at α = 0.1 the share of [aba] is 1 / (1 + exp(-1.2)) = 0.77.
    assert abs(counts[(5,)] - 2000 * 0.769) < 100
