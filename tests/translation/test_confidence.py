"""nmt/translation/confidence.py: the words of a translation, and how sure the model is of them."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.translation.confidence import Calibration, match_words, rate_words
from nmt.translation.request import Translation

GERMAN = Translation(
    text="Ein Hund.",
    score=0.0,
    source_tokens=[],
    tokens=["▁Ein", "▁Hun", "d", "."],
    alignment=[],
    spans=[(0, 3), (3, 7), (7, 8), (8, 9)],
    token_log_probabilities=[math.log(value) for value in (0.5, 0.25, 0.5, 1.0)],
)
JAPANESE = replace(GERMAN, text="犬がいる", tokens=["▁", "犬", "が", "いる"], spans=[(0, 0), (0, 1), (1, 2), (2, 4)])


def test_words_are_separated_by_spaces() -> None:
    words = rate_words(GERMAN, "de", Calibration())
    assert [(word.start, word.end) for word in words] == [(0, 3), (4, 9)]
    assert [word.probability for word in words] == pytest.approx([0.5, 0.125])
    assert [word.confidence for word in words] == pytest.approx([0.5, 0.125])
    assert replace(GERMAN, words=words).confidence == pytest.approx(0.3125)


def test_tokens_are_words_in_languages_without_spaces() -> None:
    words = rate_words(JAPANESE, "ja", Calibration())
    assert [(word.start, word.end) for word in words] == [(0, 1), (1, 2), (2, 4)]
    assert [word.probability for word in words] == pytest.approx([0.25, 0.5, 1.0])


@pytest.mark.parametrize("change", [{"spans": []}, {"token_log_probabilities": []}])
def test_nothing_is_known_without_spans_or_probabilities(change: dict[str, list[float]]) -> None:
    one = replace(GERMAN, **change)  # type: ignore[arg-type]
    assert rate_words(one, "de", Calibration()) == []
    assert one.confidence is None


def test_a_calibration_changes_confidences() -> None:
    words = rate_words(GERMAN, "de", Calibration(scale=2.0, offset=-1.0))
    assert [word.probability for word in words] == pytest.approx([0.5, 0.125])
    # log(0.5 / 0.5) = 0 and log(0.125 / 0.875) = -log(7)
    expected = [1 / (1 + math.exp(1.0)), 1 / (1 + math.exp(2 * math.log(7) + 1))]
    assert [word.confidence for word in words] == pytest.approx(expected)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 10), st.floats(-10, 10))
def test_confidences_keep_the_order_of_probabilities(one: float, other: float, scale: float, offset: float) -> None:
    calibration = Calibration(scale=scale, offset=offset)
    low, high = sorted((one, other))
    assert 0 <= calibration.compute_confidence(low) <= calibration.compute_confidence(high) <= 1


def test_words_of_the_human_translation() -> None:
    def match(one: Translation, reference: str, language: str) -> list[bool]:
        return match_words(replace(one, words=rate_words(one, language, Calibration())), reference, language)

    assert match(GERMAN, "Kein Hund.", "de") == [False, True]
    assert match(GERMAN, "Hund. Ein", "de") == [True, False]  # not at the same place
    assert match(GERMAN, "", "de") == [False, False]
    assert match(JAPANESE, "猫がいた", "ja") == [False, True, False]
