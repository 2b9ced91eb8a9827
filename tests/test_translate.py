"""Translator: lines in, translations out, whatever the lines are and however they are batched."""

import logging
import math
from pathlib import Path

import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt import Translator, translate
from nmt.errors import ConfigError, ModelError
from nmt.search.options import SearchOptions
from nmt.train import train
from nmt.translate import one_line

LINES = [f"{a} {b}" for a, _ in tiny.PAIRS for b, _ in tiny.PAIRS[:4]] + [
    "",
    "red",
    "one two three four five six",
    "cat " * 30,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def trained(folder: Path, name: str, *overrides: str) -> Path:
    prefix = tiny.write_corpus(folder)
    sizes = ["tokenizer.kind=bpe", "tokenizer.vocabulary_size=300", "training.epochs=8", "training.learning_rate=0.01"]
    train(tiny.config(prefix, *sizes, *overrides), folder / name)
    return folder / name


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return trained(folder, "first")


@pytest.mark.parametrize("beam", [1, 4])
def test_batch_size_changes_nothing(model: Path, beam: int) -> None:
    options = SearchOptions(beam=beam)
    outputs = [Translator.load(model, batch_size=size).translate(LINES, options) for size in (1, 7, 64)]
    assert outputs[0] == outputs[1] == outputs[2]
    assert len(set(outputs[0])) > 10


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(max_size=15), max_size=6))
def test_a_line_for_a_line(model: Path, lines: list[str]) -> None:
    output = Translator.load(model).translate(lines, SearchOptions(beam=2))
    assert len(output) == len(lines)
    for line, translation in zip(lines, output, strict=True):
        assert "\n" not in translation
        assert line.strip() or translation == ""


def test_nbest(model: Path) -> None:
    best = Translator.load(model).nbest(["red cat", ""], SearchOptions(beam=4, nbest=3))
    scores = [translation.score for translation in best[0]]
    assert scores == sorted(scores, reverse=True)
    assert len({tuple(translation.tokens) for translation in best[0]}) == 3
    assert [translation.text for translation in best[1]] == [""]


def test_long_lines_are_split_with_a_warning(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(translate, "MAX_PIECES", 8)
    translator = Translator.load(model)
    line = "red cat. blue dog. green house."
    options = SearchOptions(attention=True)
    with caplog.at_level(logging.WARNING):
        (whole,), (other,) = translator.nbest([line, "one"], options, numbers=[41, 42])
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["line 41"]
    assert len(whole.source_tokens) > 8
    assert max(whole.alignment) >= 8
    assert other.text == translator.translate(["one"])[0]
    words = Translator.load(model).translate(["x" * 50])  # no place to split at
    assert len(words) == 1


def test_an_ensemble_is_the_mean_of_its_members(folder: Path, model: Path) -> None:
    other = trained(folder, "second", "training.seed=2", "model.decoder=input_feeding", "model.cell=gru")
    options = SearchOptions(beam=1)
    both = Translator.load(model, other).nbest(["red cat"], options)[0][0]
    assert math.isfinite(both.score)
    twice = Translator.load(model, model).nbest(LINES[:5], options)
    once = Translator.load(model).nbest(LINES[:5], options)
    for same, single in zip(twice, once, strict=True):
        assert same[0].text == single[0].text
        assert same[0].score == pytest.approx(single[0].score, abs=1e-5)


def test_models_that_do_not_fit(folder: Path, model: Path) -> None:
    words = trained(folder, "words", "tokenizer.kind=words", "tokenizer.vocabulary_size=60")
    with pytest.raises(ModelError, match="no ensemble, their source vocabularies differ"):
        Translator.load(model, words)
    with pytest.raises(ConfigError, match="no model"):
        Translator.load()


def test_line_breaks_that_bytes_spell() -> None:
    assert one_line("a\nb\r\nc") == "a b  c"
