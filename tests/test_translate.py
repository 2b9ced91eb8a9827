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
from nmt.files import CHECKSUMS, checksum
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
    assert len(translator.translate(["x" * 50])) == 1  # no place to split at


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            "one two. three four five. six",
            ["one two. ", "three four five. six"],
        ),  # 8 characters are the middle's; 25 not
        ("one two three four", ["one two ", "three four"]),
        ("aaaaaaaa", ["aaaa", "aaaa"]),
        ("一二三。四五六", ["一二三。", "四五六"]),
        ("end of it. ", ["end ", "of it. "]),
    ],
)
def test_long_lines_are_cut_near_the_middle_between_sentences_or_words(line: str, parts: list[str]) -> None:
    cut = translate._middle(line)
    assert [line[:cut], line[cut:]] == parts


def test_parts_are_translated_as_lines_of_their_own(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = Translator.load(model)
    alone = translator.translate(["red cat.", "blue dog."])
    monkeypatch.setattr(translate, "MAX_PIECES", 8)
    assert translator.translate(["red cat.  blue dog."]) == [" ".join(alone)]


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
    french = trained(folder, "french", "training.epochs=1")
    config = (french / "best").resolve() / "config.yaml"
    content = config.read_text("utf-8").replace("target_language: de", "target_language: fr").encode()
    config.write_bytes(content)
    files = sorted(path for path in config.parent.iterdir() if path.name != CHECKSUMS)
    (config.parent / CHECKSUMS).write_text("".join(f"{checksum(path)}  {path.name}\n" for path in files))
    with pytest.raises(
        ModelError, match=r"first and .*french: no ensemble, one translates en to de, the other en to fr"
    ):
        Translator.load(model, french)
    with pytest.raises(ConfigError, match="no model"):
        Translator.load()


def test_line_breaks_that_bytes_spell() -> None:
    assert one_line("a\nb\r\nc") == "a b  c"
