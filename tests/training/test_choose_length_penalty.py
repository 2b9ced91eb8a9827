"""nmt/training/choose/length_penalty.py: the exponent that gains on the validation text, and what it changes."""

import logging
from pathlib import Path
from typing import Any

import pytest
from validation_text import LINES, copy_model, write_validation

from nmt import Request
from nmt.checkpoint.configuration import load_folder_config
from nmt.search.options import SearchOptions
from nmt.training.choose import length_penalty as module
from nmt.training.choose.length_penalty import choose_length_penalty
from nmt.translation.translator import Translator


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return copy_model(tmp_path)


def test_the_exponent_that_gains_is_kept_and_used(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "_OTHERS", (10.0,))  # the model is sure of its words, so 2 would change nothing
    long = SearchOptions(length_penalty=10.0)
    usual, wanted = Translator.load(model).translate(LINES), Translator.load(model).translate(LINES, long)
    assert usual != wanted
    choose_length_penalty(model, write_validation(tmp_path, wanted))
    assert load_folder_config(model).validation.length_penalty == 10
    assert "length penalty: 10, because BLEU is" in caplog.text
    translator = Translator.load(model)
    assert translator.translate(LINES) == wanted
    assert translator.translate(LINES, SearchOptions(length_penalty=1.0)) == usual


def test_without_a_gain_it_stays_one(model: Path, tmp_path: Path) -> None:
    usual = Translator.load(model).translate(LINES)
    choose_length_penalty(model, write_validation(tmp_path, usual))
    assert load_folder_config(model).validation.length_penalty == 1
    assert Translator.load(model).translate(LINES) == usual


def test_a_given_exponent_is_kept(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_validation(tmp_path, LINES)
    choose_length_penalty(model, config)

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Translator, "load", fail)
    choose_length_penalty(model, config)


def test_each_way_has_the_same_default(model: Path, tmp_path: Path, each_way: None) -> None:
    choose_length_penalty(model, write_validation(tmp_path, LINES))
    translator = Translator.load(model, precision="fp32")
    (segment,) = translator.segmenter.split(Request(LINES[0]), "line 1")
    assert isinstance(segment.options, SearchOptions)
    assert segment.options.length_penalty == load_folder_config(model).validation.length_penalty
