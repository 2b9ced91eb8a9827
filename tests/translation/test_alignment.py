"""The alignment of words: weights against matrix products, links written by hand, and texts with copied things."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt import Request, SearchOptions, Translator
from nmt.translation.alignment import align_words, find_words, share_weights, sum_weights
from nmt.translation.tagged import Anchor, TaggedText, map_spans, trace

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"
TRANSLATOR = Translator.load(MODEL)
ATTENTION = SearchOptions(beam=1, attention=True)

spans = st.lists(st.integers(0, 3), min_size=1, max_size=5).map(
    lambda lengths: [(sum(lengths[:place]), sum(lengths[: place + 1])) for place in range(len(lengths))]
)
cuts = st.lists(st.booleans(), min_size=15, max_size=15)


def cut(places: list[bool]) -> list[tuple[int, int]]:
    """Return units that end where `places` is true. They cover all characters."""
    ends = [place for place, ends in enumerate(places, start=1) if ends or place == len(places)]
    return list(zip([0, *ends], ends, strict=False))


def overlap(spans: list[tuple[int, int]], units: list[tuple[int, int]]) -> np.ndarray:
    """Return the share (spans, units) of the characters of each span that is in each unit."""
    shared: np.ndarray = np.array([[max(0, min(b, d) - max(a, c)) for c, d in units] for a, b in spans], dtype=float)
    return np.asarray(shared / np.maximum(shared.sum(axis=1, keepdims=True), 1))


@given(source=spans, target=spans, source_cuts=cuts, target_cuts=cuts, data=st.data())
def test_weights_are_products_of_the_shares(
    source: list[tuple[int, int]],
    target: list[tuple[int, int]],
    source_cuts: list[bool],
    target_cuts: list[bool],
    data: st.DataObject,
) -> None:
    row = st.lists(st.floats(0, 1), min_size=len(source), max_size=len(source))
    attention = data.draw(st.lists(row, min_size=len(target), max_size=len(target)))
    sources, targets = cut(source_cuts), cut(target_cuts)
    owned = overlap(target, targets)
    expected = (owned / np.maximum(owned.sum(axis=0), 1e-9)).T @ np.array(attention) @ overlap(source, sources)
    found = sum_weights(attention, source, target, sources, targets)
    assert np.allclose(found, expected)
    assert np.allclose(share_weights(found), expected / np.maximum(expected.sum(axis=0), 1e-6))


def link(weights: list[list[float]]) -> list[tuple[int, int]]:
    """Align words of one token each."""
    sources, targets = ([(place, place + 1) for place in range(size)] for size in (len(weights[0]), len(weights)))
    return align_words(weights, sources, targets, sources, targets)


def test_a_word_is_aligned_to_the_word_of_which_it_has_the_largest_share() -> None:
    assert link([[0.9, 0.1], [0.6, 0.4]]) == [(0, 0), (1, 1)]


def test_a_source_word_that_is_left_is_aligned_if_a_word_looks_at_it() -> None:
    assert link([[0.7, 0.1, 0.2], [0.0, 0.8, 0.0]]) == [(0, 0), (1, 1), (2, 0)]
    assert link([[0.7, 0.1, 0.05], [0.0, 0.8, 0.04]]) == [(0, 0), (1, 1)]


def test_a_word_that_looks_at_nothing_is_not_aligned() -> None:
    assert link([[0.0, 0.0], [0.0, 0.5]]) == [(1, 1)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  a  man. ", ["a", "man"]),
        ("„Ein“ Hund, don't!", ["Ein", "Hund", "don't"]),
        ("a - b ...", ["a", "-", "b", "..."]),
    ],
)
def test_words_have_no_marks_around_them(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in find_words(text)] == words
    assert len(words) == len(text.split())


def test_tokens_are_words_without_spaces() -> None:
    assert find_words("ab c", [(0, 0), (0, 1), (1, 4)]) == [(0, 1), (1, 4)]


@pytest.mark.parametrize("text", ["ein mann", "zwei  hunde , ein mann .", "ein {0} mann https://a.org/b zwei", "5", ""])
def test_links_are_positions_of_words(text: str) -> None:
    ((translation, *_),) = TRANSLATOR.nbest([text], ATTENTION)
    for source, target in translation.word_alignment:
        assert source < len(text.split())
        assert target < len(translation.text.split())
    assert bool(translation.word_alignment) == bool(text)
    ((plain, *_),) = TRANSLATOR.nbest([text], SearchOptions(beam=1))
    assert plain.word_alignment == []


def test_copied_things_are_aligned_to_themselves() -> None:
    text = "zwei {0} hunde https://a.org/b ein mann"
    ((translation, *_),) = TRANSLATOR.nbest([text], ATTENTION)
    ((plain, *_),) = TRANSLATOR.nbest(["zwei hunde ein mann"], ATTENTION)
    words = translation.text.split()
    things = {(1, words.index("{0}")), (3, words.index("https://a.org/b"))}
    rest = set(translation.word_alignment) - things
    assert things < set(translation.word_alignment)
    kept = [place for place, word in enumerate(words) if word not in ("{0}", "https://a.org/b")]
    assert rest == {([0, 2, 4, 5][source], kept[target]) for source, target in plain.word_alignment}


def test_the_parts_of_a_text_are_aligned_to_their_own_sources() -> None:
    request = Request("ein mann. zwei hunde.", split=True, options=ATTENTION)
    ((translation, *_),) = TRANSLATOR.nbest([request])
    first = len(TRANSLATOR.translate("ein mann.", SearchOptions(beam=1))[0].split())
    assert all((source < 2) == (target < first) for source, target in translation.word_alignment)


def test_markup_has_no_word_alignment() -> None:
    ((translation, *_),) = TRANSLATOR.nbest([Request("<b>ein</b> mann", markup="html", options=ATTENTION)])
    assert translation.word_alignment == []
    assert translation.alignment


def test_symbols_are_traced_to_the_things_in_their_place() -> None:
    things = [Anchor(position=2, content="{0}", symbol="①"), Anchor(position=4, content="a b")]
    tagged = TaggedText(text="x ① y", stacks=[()] * 5, anchors=things)
    places, spans = trace(tagged, "x {0} a b y")
    assert spans == [(2, 5), (6, 9)]
    assert places == [0, 1, 4, 5, 10]
    assert map_spans([(0, 1), (2, 3), (0, 0)], places) == [(0, 1), (4, 5), (0, 0)]
