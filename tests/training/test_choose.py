"""Training on a text without a configuration."""

import itertools
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from nmt.config.load import load_config
from nmt.errors import ConfigError, DataError
from nmt.training.choose import recipe as recipe_module
from nmt.training.choose.rules import SMALL
from nmt.training.choose.run import train_on_text
from nmt.training.choose.speed import Speed, measure_speed
from nmt.training.choose.text import Text, find_text
from nmt.training.run import train
from nmt.translation.translator import Translator

SETTINGS = (
    "tokenizer.vocabulary_size=290",
    "model.embedding_size=16",
    "model.encoder_size=16",
    "model.decoder_size=16",
    "training.epochs=1",
    "training.batch_tokens=200",
    "training.log_every=1",
    "training.shortlist=false",
    "validation.every=100",
    "training.threads=1",
    "training.device=cpu",
)


@pytest.fixture
def text(tmp_path: Path) -> Text:
    prefix = tiny.write_corpus(tmp_path)
    return find_text(str(prefix), source_language="en", target_language="de")


def read_losses(output: Path) -> list[float]:
    records = map(json.loads, (output / "metrics.jsonl").read_text("utf-8").splitlines())
    return [record["loss"] for record in records if record["kind"] == "train"]


def test_a_text_becomes_a_model_and_the_recipe_repeats_it(
    text: Text, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    output = tmp_path / "run"
    train_on_text(text, output, overrides=SETTINGS)
    assert len(Translator.load(output).translate(["red cat"])) == 1
    lines = [line for line in caplog.messages if re.match("text|network|training|time|recipe|test set|to trans", line)]
    assert [re.split("[:,]", line)[0] for line in lines] == [
        *("text", "network", "training", "time", "recipe", "test set", "to translate")
    ]
    for line, expected in zip(
        lines,
        (
            "116 training pairs, en (232 words, 12 different, Latin letters) and de (232 words, 12 different, ",
            "LSTM, 1 + 1 layers of 16 and 16 units, dropout 0.5",
            "BLEU or chrF2 chooses the checkpoint",
            "s for an update, as measured; memory: ",
            f"{output / 'recipe.yaml'} (nmt-train",
            "14 pairs: BLEU ",
            f"nmt-translate {output} < FILE",
        ),
        strict=True,
    ):
        assert expected in line
    assert "held out: 14 for validation and 14 as the test set" in lines[0]
    assert "version:" in lines[5]
    files = {f"{name}.{side}" for name in ("train", "valid", "test") for side in ("en", "de")}
    assert files <= {path.name for path in (output / "data").iterdir()}
    assert (output / "train.log").read_text("utf-8").count("text: 116 training pairs") == 1

    train(load_config(output / "recipe.yaml"), tmp_path / "again")
    assert read_losses(tmp_path / "again") == read_losses(output)
    for name in ("tokenizer.model", "model.safetensors"):
        assert (tmp_path / "again" / "best" / name).read_bytes() == (output / "best" / name).read_bytes()


def test_the_recipe_has_the_settings_of_the_user(text: Text, tmp_path: Path) -> None:
    train_on_text(text, tmp_path / "run", overrides=(*SETTINGS, "tokenizer.joint=false", "training.max_updates=2"))
    config = load_config(tmp_path / "run" / "recipe.yaml")
    assert config.model.encoder_size == 16
    assert config.model.layer_norm
    assert (config.tokenizer.joint, config.model.tied_embeddings) == (False, "two_way")
    assert (config.training.max_updates, config.training.warmup, config.validation.every) == (2, 0, 100)
    assert len(read_losses(tmp_path / "run")) == 2


def test_given_sets_are_not_cut_off(text: Text, tmp_path: Path) -> None:
    sets = tmp_path / "sets"
    sets.mkdir()
    prefix = tiny.write_corpus(sets)
    given = Text(source_language="en", target_language="de", train=text.train, valid=str(prefix), test=str(prefix))
    settings = (*SETTINGS, "training.max_updates=1", "data.drop_overlap=false", "validation.sentences=4")
    train_on_text(given, tmp_path / "run", overrides=settings)
    data = load_config(tmp_path / "run" / "recipe.yaml").data
    assert [corpus.path for corpus in data.train] == [text.train]
    assert [corpus.path for corpus in (*data.valid, *data.held_out)] == [str(prefix)] * 2
    assert not (tmp_path / "run" / "data").exists()


def test_a_given_validation_set_leaves_the_test_set_to_be_cut_off(text: Text, tmp_path: Path) -> None:
    (tmp_path / "valid.tsv").write_text("en\tde\nred dog and cat\trot hund und katze\n", encoding="utf-8")
    given = Text(source_language="en", target_language="de", train=text.train, valid=str(tmp_path / "valid.tsv"))
    train_on_text(given, tmp_path / "run", overrides=(*SETTINGS, "training.max_updates=1"))
    data = load_config(tmp_path / "run" / "recipe.yaml").data
    assert [corpus.path for corpus in data.valid] == [str(tmp_path / "valid.tsv")]
    assert [corpus.path for corpus in data.held_out] == [str(tmp_path / "run" / "data" / "test")]
    assert not (tmp_path / "run" / "data" / "valid.en").exists()


def test_resuming_keeps_the_recipe(text: Text, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    output = tmp_path / "run"
    train_on_text(text, output, overrides=(*SETTINGS, "training.max_updates=2"), resume=True)
    recipe = (output / "recipe.yaml").read_bytes()
    with pytest.raises(ConfigError, match="already contains a training run; add --resume"):
        train_on_text(text, output, overrides=SETTINGS)
    with pytest.raises(ConfigError, match=r"--minutes: the length of the training in .* is chosen already"):
        train_on_text(text, output, resume=True, minutes=1)
    train_on_text(text, output, overrides=("training.max_updates=4",), resume=True)
    assert (output / "recipe.yaml").read_bytes() == recipe
    assert f"continuing with {output / 'recipe.yaml'}" in caplog.messages
    assert len(read_losses(output)) == 4


def test_training_ends_in_time_on_a_machine_that_becomes_slower(
    text: Text, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    times = itertools.count(step=100.0)  # a second becomes longer than planned
    overrides = (*SETTINGS, "training.epochs=100", "training.max_updates=500")
    train_on_text(text, tmp_path / "run", overrides=overrides, minutes=60, clock=lambda: next(times))
    done = len(read_losses(tmp_path / "run"))
    assert 5 < done < 60
    assert "the time is over: training was slower than planned; --resume continues it" in caplog.messages
    assert any(message.startswith("test set, ") for message in caplog.messages)
    assert (tmp_path / "run" / "best").is_dir()
    train_on_text(text, tmp_path / "run", overrides=(f"training.max_updates={done + 2}",), resume=True)
    assert len(read_losses(tmp_path / "run")) == done + 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model.dropuot=1",), r"command line: model.dropuot: unknown key; did you mean model.dropout\?"),
        (("tokenizer.joint=maybe",), "tokenizer.joint: must be true or false"),
        (("data.train=other",), "data.train: the text is given already"),
        (("training.start_from=nowhere",), "nowhere: no such folder"),
    ],
)
def test_faults_are_reported_before_any_work(
    text: Text, tmp_path: Path, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(Exception, match=message):
        train_on_text(text, tmp_path / "run", overrides=overrides)
    assert not (tmp_path / "run").exists()


def test_a_missing_text_is_reported_before_any_work(tmp_path: Path) -> None:
    text = Text(source_language="en", target_language="de", train=str(tmp_path / "none.tsv"))
    with pytest.raises(DataError, match=r"none\.tsv: no such file"):
        train_on_text(text, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_links_in_the_output_folder_are_refused(text: Text, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "data").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="data: a link; remove it"):
        train_on_text(text, tmp_path / "run")


def choose(text: Text, output: Path, minutes: float | None, monkeypatch: pytest.MonkeyPatch, **speed: Any) -> Any:
    """Choose a recipe as if a small and a large network had these speeds."""
    asked = []

    def measure(config: Any, **_: Any) -> Speed:
        small = config.model.encoder_size == SMALL.encoder
        asked.append(config.model.encoder_size)
        return Speed(
            update=speed["small"] if small else speed["large"],
            epoch=100,
            validation=1.0,
            ending=5.0,
            memory=None,
            parameters=1,
        )

    monkeypatch.setattr(recipe_module, "measure_speed", measure)
    recipe_module.choose_recipe(text, output, minutes=minutes)
    return load_config(output / "recipe.yaml"), asked


def test_minutes_shorten_the_training_and_then_the_network(
    text: Text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed = {"small": 0.02, "large": 0.2}
    free, asked = choose(text, tmp_path / "free", None, monkeypatch, **speed)
    assert (free.training.max_updates, free.validation.every, asked) == (None, 250, [512])
    long, _ = choose(text, tmp_path / "long", 1000, monkeypatch, **speed)
    assert long.training == free.training
    short, asked = choose(text, tmp_path / "short", 4, monkeypatch, **speed)
    assert asked == [512]
    assert 600 <= short.training.max_updates < 1200
    assert short.training.warmup < free.training.warmup
    assert short.training.ema < free.training.ema
    assert short.validation.every < free.validation.every
    assert short.model == free.model
    shorter, asked = choose(text, tmp_path / "shorter", 1, monkeypatch, **speed)
    assert asked == [512, 256]
    assert 600 <= shorter.training.max_updates < 2600
    assert shorter.model.encoder_size == SMALL.encoder
    assert shorter.training.batch_tokens <= SMALL.batch
    text_of_recipe = (tmp_path / "shorter" / "recipe.yaml").read_text("utf-8")
    assert "because there is too little time for a larger one" in text_of_recipe
    assert "instead of 6,000, because of the time" in text_of_recipe


def test_the_measured_speed(text: Text, tmp_path: Path) -> None:
    config = tiny.config(Path(text.train), "training.epochs=1", "training.batch_tokens=200")
    speed = measure_speed(config, tmp_path / "run", torch.device("cpu"), pairs=144)
    together = measure_speed(config, tmp_path / "run", torch.device("cpu"), pairs=144, processes=2)
    assert together.epoch == -(-speed.epoch // 2)
    train(config, tmp_path / "run")
    assert speed.epoch == len(read_losses_of_epoch(tmp_path / "run"))
    assert 0 < speed.update < 10
    assert 0 < speed.validation < 10
    assert speed.memory is None or speed.memory > 10_000_000
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"best", "checkpoints"}


def read_losses_of_epoch(output: Path) -> range:
    """The numbers of the updates of a training of one epoch."""
    (checkpoint,) = (output / "checkpoints").iterdir()
    return range(int(checkpoint.name.rpartition("-")[2]))
