"""Training pairs with placeholders and terms, and the lexicon of words that finds both."""

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.schema import TokenizerConfig
from nmt.data.augmentation import Augmenter
from nmt.data.cursor import UpdateSize
from nmt.data.lemmas import Lemmatizer
from nmt.data.pair import Pair
from nmt.data.updates import BatchMaker, UpdateOptions
from nmt.data.word_lexicon import learn_word_lexicon
from nmt.data.word_links import WORD, WordLexicon
from nmt.tokenizers.build import add_symbols, train_tokenizers
from nmt.tokenizers.files import add_tags
from nmt.types import EOS, PLACEHOLDERS, TERM_TAGS

ENGLISH = ["dog", "cat", "house", "green", "sees", "quickly", "garden", "ladder"]
GERMAN = ["Hund", "Katze", "Haus", "grünes", "sieht", "schnell", "Garten", "Leiter"]


def corpus(count: int = 300) -> list[tuple[str, str]]:
    """Random sentences that are translated word for word, in reverse order."""
    random = np.random.default_rng(1)
    chosen = [random.choice(8, random.integers(1, 6), replace=False) for _ in range(count)]
    return [
        (" ".join(ENGLISH[i] for i in words) + ".", " ".join(GERMAN[i] for i in reversed(words)) + ".")
        for words in chosen
    ]


@pytest.fixture(scope="module")
def lexicon() -> WordLexicon:
    learned = learn_word_lexicon(corpus())
    return WordLexicon(strengths=learned.strengths)  # in this corpus, every word is frequent


def test_words_are_linked_to_their_translations(lexicon: WordLexicon) -> None:
    for source, target in corpus(30):
        words, others = WORD.findall(source), WORD.findall(target)
        assert lexicon.align(words, others) == [(place, len(words) - 1 - place) for place in range(len(words))]
    assert lexicon.align(["dog", "unknown"], ["fremd"]) == []


def test_frequent_words_are_known() -> None:
    frequent = learn_word_lexicon([("the dog", "der Hund"), ("The cat", "die Katze")]).frequent
    assert frequent == (frozenset({"the", "dog", "cat"}), frozenset({"der", "hund", "die", "katze"}))
    assert learn_word_lexicon([]).strengths == {}


@given(seed=st.integers(0, 2**32 - 1))
def test_placeholders_are_the_same_on_both_sides(lexicon: WordLexicon, seed: int) -> None:
    augmenter = Augmenter(lexicon=lexicon, placeholder_share=1.0)
    source, target = "dog sees Maria at 10:30 garden.", "Garten 10:30 Maria sieht Hund."
    pair = augmenter.augment(Pair(source, target), seed).pair
    symbols = [[letter for letter in text if letter in PLACEHOLDERS] for text in pair.sides]
    assert sorted(symbols[0]) == sorted(symbols[1]) == sorted(set(symbols[0]))
    assert symbols[0]
    assert augmenter.augment(Pair(source, target), seed).pair == pair
    left, right = ({*text.replace("(", "").replace('"', "").split()} for text in pair.sides)
    assert {"dog", "sees"} <= left
    assert {"Hund.", "sieht"} <= right or {"Hund", "sieht"} <= right


def test_names_numbers_and_things_are_replaced(lexicon: WordLexicon) -> None:
    augmenter = Augmenter(lexicon=lexicon, placeholder_share=1.0)
    pair = Pair("Maria sees a@b.org 12 dog in taxi", "Maria sieht a@b.org 12 Hund in taxi")
    replaced = set[str]()
    for seed in range(300):
        text = augmenter.augment(pair, seed).pair.source
        replaced |= {*pair.source.split()} - {*text.split()}
    assert replaced == {"Maria", "a@b.org", "12", "taxi"}


@given(seed=st.integers(0, 2**32 - 1), number=st.integers(0, 299))
def test_terms_are_words_with_their_translations(lexicon: WordLexicon, seed: int, number: int) -> None:
    pair = Pair(*corpus()[number])
    example = Augmenter(lexicon=lexicon, term_share=1.0, find_lemma=str.upper).augment(pair, seed)
    assert example.pair.target == pair.target
    assert example.terms
    translations = dict(zip(ENGLISH, GERMAN, strict=True))
    before = WORD.findall(pair.source)
    for start, end, target in example.terms:
        words = WORD.findall(example.pair.source[:start]), example.pair.source[start:end].split()
        position = len(words[0])
        if len(words[1]) == 1:
            assert target in {translations[before[position]].upper(), *map(str.upper, GERMAN)}


def test_the_share_is_that_of_the_configuration(lexicon: WordLexicon) -> None:
    augmenter = Augmenter(lexicon=lexicon, placeholder_share=0.25, term_share=0.5)
    pairs = [Pair(*sides) for sides in corpus()]
    examples = [augmenter.augment(pair, seed) for seed, pair in enumerate(pairs * 5)]
    changed = sum(any(symbol in example.pair.target for symbol in PLACEHOLDERS) for example in examples)
    assert changed / len(examples) == pytest.approx(0.25, abs=0.05)
    assert sum(bool(example.terms) for example in examples) / len(examples) == pytest.approx(0.5, abs=0.05)


def test_dictionary_forms() -> None:
    lemmatizer = Lemmatizer(["de-AT", "xx"])
    assert [lemmatizer.find(word) for word in ("Häuser", "ging", "Steigleiter")] == ["Haus", "gehen", "Steigleiter"]
    assert pickle.loads(pickle.dumps(lemmatizer.find))("Hunde") == "Hund"
    assert Lemmatizer(["xx"]).find("Häuser") == "Häuser"


class _Texts:
    """Pairs as text, as a store has them."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs

    def pair(self, index: int) -> Pair:
        return self.pairs[index]


def test_batches_have_placeholders_and_terms(lexicon: WordLexicon) -> None:
    trained = train_tokenizers(TokenizerConfig(kind="bpe", vocabulary_size=300), corpus())
    tokenizers = add_tags(add_symbols(trained, PLACEHOLDERS), TERM_TAGS)
    options = UpdateOptions(
        size=UpdateSize(tokens=1000),
        sampling=False,
        seed=1,
        augmenter=Augmenter(lexicon=lexicon, placeholder_share=1.0, term_share=1.0),
    )
    assert options.needs_text
    pairs = [Pair(*sides) for sides in corpus(20)]
    (batch,) = BatchMaker(tokenizers, options).make_batches(_Texts(pairs), range(20), 0, 0, 0)  # type: ignore[arg-type]
    begin, between, end = tokenizers.source.encode_tags(TERM_TAGS)
    symbols = {tokenizers.target.encode(symbol)[-1] for symbol in PLACEHOLDERS}
    for source, target in zip(batch.source.tolist(), batch.target.tolist(), strict=True):
        assert source.count(begin) == source.count(between) == source.count(end) >= 1
        assert sorted(symbols & {*source}) == sorted(symbols & {*target})
        assert symbols & {*target}
        assert EOS in target
        assert not {begin, between, end} & {*target}
