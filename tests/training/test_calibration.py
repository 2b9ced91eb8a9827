"""nmt/training/calibration.py: confidences that agree with the validation text."""

import itertools
import logging
import statistics
from pathlib import Path

import numpy as np
import pytest
from validation_text import LINES, copy_model, write_validation

from nmt.checkpoint.configuration import load_folder_config
from nmt.config.schema import Config
from nmt.search.options import SearchOptions
from nmt.training import calibration as module
from nmt.training.calibration import add_calibration, fit_calibration
from nmt.translation.translator import Translator


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return copy_model(tmp_path)


def write_sure_words(folder: Path, model: Path) -> Config:
    """Write a validation text that has most of the words that the model is sure of, and few of the others."""
    found = [best for best, *_ in Translator.load(model).nbest(LINES, SearchOptions(attention=True), protect=False)]
    middle = statistics.median(word.probability for best in found for word in best.words)
    references, count = list[str](), itertools.count()
    for best in found:
        kept = [(word.probability > middle) != (next(count) % 4 == 0) for word in best.words]
        texts = [best.text[word.start : word.end] if keep else "-" for word, keep in zip(best.words, kept, strict=True)]
        references.append(" ".join(texts))
    return write_validation(folder, references)


def test_a_known_relation_is_found() -> None:
    random = np.random.default_rng(1)
    probabilities = random.uniform(0.01, 0.99, 20_000)
    confidences = 1 / (1 + np.exp(-(0.6 * np.log(probabilities / (1 - probabilities)) - 0.3)))
    found = fit_calibration(probabilities.tolist(), (random.uniform(size=20_000) < confidences).tolist())
    assert found is not None
    assert (found.scale, found.offset) == pytest.approx((0.6, -0.3), abs=0.03)


def test_nothing_is_fitted_to_few_words_or_to_a_false_relation() -> None:
    assert fit_calibration([0.5] * 499, [True] * 499) is None
    assert fit_calibration([0.9] * 500 + [0.1] * 500, [False] * 500 + [True] * 500) is None


def test_all_words_can_be_right() -> None:
    found = fit_calibration([0.9] * 300 + [0.2] * 300, [True] * 600)
    assert found is None or found.compute_confidence(0.9) > 0.95


def test_the_calibration_is_stored_and_used(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FEWEST_WORDS", 10)
    caplog.set_level(logging.INFO)
    options = SearchOptions(attention=True)
    before = [best for best, *_ in Translator.load(model).nbest(LINES, options, protect=False)]
    add_calibration(model, write_sure_words(tmp_path, model))
    assert "confidence: expected calibration error" in caplog.text
    settings = load_folder_config(model).validation
    assert (settings.confidence_scale, settings.confidence_offset) != (1.0, 0.0)
    after = [best for best, *_ in Translator.load(model).nbest(LINES, options, protect=False)]
    assert [best.text for best in after] == [best.text for best in before]
    for old, new in zip(before, after, strict=True):
        assert [word.probability for word in new.words] == [word.probability for word in old.words]
        assert [word.confidence for word in new.words] != [word.confidence for word in old.words] or not old.words


def test_a_model_is_calibrated_once(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FEWEST_WORDS", 10)
    config = write_sure_words(tmp_path, model)
    add_calibration(model, config)
    written = (model / "config.yaml").read_bytes()
    add_calibration(model, config)
    assert (model / "config.yaml").read_bytes() == written
