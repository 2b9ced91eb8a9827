"""Shortlists from pairs whose translations are known."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import tiny

from nmt.config.schema import TokenizerConfig
from nmt.data.batching import text_batches
from nmt.data.pair import Pair
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import train_tokenizers
from nmt.training import lexicon
from nmt.training.shortlist import learn_shortlist
from nmt.types import EOS, Batch

DICTIONARY = dict(tiny.PAIRS)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """Sentences of one to five words, translated word for word, in reverse."""
    random = np.random.default_rng(1)
    sentences = [random.choice(list(DICTIONARY), random.integers(1, 6)).tolist() for _ in range(300)]
    return [Pair(" ".join(words), " ".join(DICTIONARY[word] for word in reversed(words))) for words in sentences]


def tokenizers_of(pairs: list[Pair], **settings: bool) -> Tokenizers:
    return train_tokenizers(
        TokenizerConfig(kind="words", vocabulary_size=60, **settings), [pair.sides for pair in pairs]
    )


@pytest.mark.parametrize("joint", [True, False])
def test_the_best_piece_is_the_translation(pairs: list[Pair], joint: bool) -> None:
    tokenizers = tokenizers_of(pairs, joint=joint)
    learned = learn_shortlist(text_batches(pairs, tokenizers, 200), tokenizers, frequent=0, best=2)
    assert learned.best.shape == (tokenizers.source.size, 2)
    for word, translation in DICTIONARY.items():
        (source,), (target,) = tokenizers.source.encode(word), tokenizers.target.encode(translation)
        assert learned.best[source, 0] == target


def test_the_frequent_pieces_are_everywhere_and_nowhere_else(pairs: list[Pair]) -> None:
    pairs = [Pair(pair.source, f"{pair.target} ja ja ja nein nein") for pair in pairs]
    tokenizers = tokenizers_of(pairs, joint=False)
    learned = learn_shortlist(text_batches(pairs, tokenizers, 200), tokenizers, frequent=2, best=50)
    assert learned.frequent.tolist() == tokenizers.target.encode("ja nein")
    assert not np.isin(learned.best, learned.frequent).any()


def test_what_was_hardly_seen_may_stand_for_itself(pairs: list[Pair]) -> None:
    tokenizers = tokenizers_of([*pairs, Pair("amy ben", "amy otto")], joint=False)
    learned = learn_shortlist(text_batches(pairs, tokenizers, 200), tokenizers)
    amy, ben = tokenizers.source.encode("amy ben")
    assert learned.best[amy, 0] == tokenizers.target.encode("amy")[0]
    assert (learned.best[amy, 1:] == EOS).all()
    assert (learned.best[ben] == EOS).all()  # it has no namesake


def test_no_more_is_read_than_is_enough(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizers = tokenizers_of(pairs)
    read = 0

    def batches() -> Iterator[Batch]:
        nonlocal read
        for batch in text_batches(pairs, tokenizers, 200):
            read += 1
            yield batch

    learn_shortlist(batches(), tokenizers)
    whole, read = read, 0
    monkeypatch.setattr(lexicon, "_CELLS", 1000)
    learn_shortlist(batches(), tokenizers)
    assert read < whole / 2


def test_tags_are_candidates_of_nothing(pairs: list[Pair]) -> None:
    config = TokenizerConfig(kind="words", vocabulary_size=60)
    tokenizers = train_tokenizers(config, [pair.sides for pair in pairs], ["<2de>", "<rare>"])
    tagged = [replace(pair, tags=("<2de>",)) for pair in pairs]
    learned = learn_shortlist(text_batches(tagged, tokenizers, 200), tokenizers, frequent=5, best=9)
    assert learned.best.shape[0] == tokenizers.source.size
    assert max(learned.best.max(), learned.frequent.max()) < tokenizers.target.size - 2
    assert (learned.best[tokenizers.source.size - 2] != EOS).any()  # it goes with the pieces of its language
