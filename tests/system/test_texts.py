"""Texts as callers pass them: a string is one text, and whatever is not text is named with its position."""

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nmt.config.load import parse_config
from nmt.errors import DataError, Interrupted
from nmt.evaluation.scores import evaluate
from nmt.metrics.standard import BLEU
from nmt.system.texts import as_sets, as_texts


def count_up() -> Iterator[str]:
    yield from ("one", "two")


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("abc", ["abc"]),
        ("", [""]),
        (np.str_("abc"), ["abc"]),
        ([], []),
        (("one", "two"), ["one", "two"]),
        (count_up(), ["one", "two"]),
        (np.array(["one", "two"]), ["one", "two"]),
        (np.array(["one", "two"], dtype=object), ["one", "two"]),
        ({"one": 1, "two": 2}.keys(), ["one", "two"]),
    ],
)
def test_texts_in_any_iterable(given: Any, texts: list[str]) -> None:
    found = as_texts(given, "texts")
    assert found == texts
    assert all(type(text) is str for text in found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"texts is None; give a str"),
        (5, r"texts is int \(5\); give a str"),
        (b"abc", r"texts is bytes \(b'abc'\); decode it: texts\.decode\(\)"),
        ({"a": "b"}, r"texts is dict"),
        ({"a"}, r"texts is set"),
        (np.array([["one"], ["two"]]), r"texts is numpy\.ndarray"),
        (["one", None], r"texts\[1\] is None, not a str"),
        (["one", float("nan")], r"texts\[1\] is float \(nan\), not a str"),
        ([np.float64("nan")], r"texts\[0\] is numpy\.float64"),
        (["one", "two", 3], r"texts\[2\] is int \(3\), not a str"),
        ([b"one"], r"texts\[0\] is bytes"),
        ([["one"], ["two"]], r"texts\[0\] is list"),
        ((text for text in (*count_up(), None)), r"texts\[2\] is None"),
    ],
)
def test_what_is_not_text_is_named(given: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        as_texts(given, "texts")


def test_sets_of_references() -> None:
    assert as_sets("one two", "references") == [["one two"]]
    assert as_sets(["one", "two"], "references") == [["one", "two"]]
    assert as_sets([("one", "two"), count_up()], "references") == [["one", "two"]] * 2
    assert as_sets(np.array([["one", "two"]]), "references") == [["one", "two"]]
    faults: list[tuple[Any, str]] = [
        (None, "references is None"), ({"a": ["b"]}, "references is dict"), ([None], r"references\[0\] is None"),
        (["one", ["two"]], r"references\[1\] is list"), ([["one", 2]], r"references\[0\]\[1\] is int"),
    ]  # fmt: skip
    for given, message in faults:
        with pytest.raises(TypeError, match=message):
            as_sets(given, "references")
    with pytest.raises(DataError, match="no references"):
        as_sets([], "references")


def test_a_string_is_never_read_as_letters() -> None:
    one = evaluate("Das alte Haus.", "Das sehr alte Haus.", source="The old house.", metrics="chrf")
    assert one == evaluate(["Das alte Haus."], [["Das sehr alte Haus."]], metrics=["chrf"])
    assert one.sentences == 1
    bleu = BLEU()
    assert bleu.score("ein altes kleines Haus", "ein altes kleines Haus") == pytest.approx(100)
    assert bleu.score_sentence("ein Haus", "ein Haus") == pytest.approx(100)
    assert bleu.score(["a b c d", "e"], ["a b c d", "e"]) == pytest.approx(100)
    with pytest.raises(DataError, match="2 hypotheses but 1 references"):
        bleu.score(["a", "b"], ["a"])
    with pytest.raises(TypeError, match=r"hypotheses\[1\] is None"):
        evaluate(["a", None], ["a", "b"])  # type: ignore[list-item]
    assert parse_config({}, "training.seed=7").training.seed == 7
    with pytest.raises(TypeError, match=r"overrides\[0\] is int"):
        parse_config({}, [3])  # type: ignore[list-item]


def test_an_interruption_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(Interrupted("stopped", 15)))
    assert (str(error), error.signal) == ("stopped", 15)
