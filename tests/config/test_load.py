"""Configurations are read from files with overrides, and written so that they can be read again."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_faults import find_faults

from nmt.config.corpus import CorpusConfig
from nmt.config.load import dump_config, load_config, parse_config
from nmt.config.schema import Config, ModelConfig
from nmt.errors import ConfigError


class TestFile:
    def test_an_empty_file_gives_the_defaults(self, tmp_path: Path) -> None:
        (tmp_path / "c.yaml").write_text("# nothing\n")
        assert load_config(tmp_path / "c.yaml") == Config()

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read \(No such file or directory\); check"):
            load_config(tmp_path / "none.yaml")

    @pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"a: b: c", b"\t- x"])
    def test_invalid_yaml_is_reported_on_one_line(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "c.yaml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"c\.yaml: not valid YAML") as caught:
            load_config(tmp_path / "c.yaml")
        assert "\n" not in str(caught.value)

    def test_a_key_that_is_given_twice(self, tmp_path: Path) -> None:
        (tmp_path / "c.yaml").write_text("training: {epochs: 3}\nmodel: {}\ntraining: {learning_rate: 0.1}\n")
        with pytest.raises(ConfigError, match=r"c\.yaml: not valid YAML .*training is given twice.*line 3"):
            load_config(tmp_path / "c.yaml")

    def test_overrides_have_precedence(self, tmp_path: Path) -> None:
        (tmp_path / "c.yaml").write_text("training: {epochs: 3, warmup: 7}\n")
        training = load_config(tmp_path / "c.yaml", ["training.epochs=5"]).training
        assert (training.epochs, training.warmup) == (5, 7)


class TestPlace:
    """A fault names the file or the command line, wherever the value comes from."""

    def test_faults_name_their_place(self) -> None:
        with pytest.raises(ConfigError) as caught:
            parse_config({"model": {"cel": "gru"}}, ["training.epoch=2", "nonsense", "model.dropout=x"], where="c.yaml")
        assert [line.split(": ")[:2] for line in str(caught.value).split("\n")] == [
            ["command line", "'nonsense'"],
            ["c.yaml", "model.cel"],
            ["command line", "model.dropout"],
            ["command line", "training.epoch"],
        ]

    def test_a_value_that_cannot_be_read_has_no_further_faults(self) -> None:
        model = {"encoder_size": "large", "decoder_size": 8, "attention": "dot"}  # the default would not fit either
        assert find_faults({"model": model}) == ["model.encoder_size: must be a whole number, not 'large'"]

    def test_faults_in_lists(self, tmp_path: Path) -> None:
        (tmp_path / "c.yaml").write_text("training: {freeze: [encoder]}")
        for override in ("training.freeze=[encodr]", "data.train=[{path: a, weigth: 2}]"):
            with pytest.raises(ConfigError, match=r"^command line: "):
                load_config(tmp_path / "c.yaml", [override])
        (tmp_path / "c.yaml").write_text("training: {freeze: [encodr]}")
        with pytest.raises(ConfigError, match=r"c\.yaml: training\.freeze"):
            load_config(tmp_path / "c.yaml", ["training.epochs=2"])

    def test_rules_between_keys(self, tmp_path: Path) -> None:
        (tmp_path / "c.yaml").write_text("model: {attention: dot}")
        with pytest.raises(ConfigError, match=r"c\.yaml: model\.attention: dot needs"):
            load_config(tmp_path / "c.yaml", ["model.decoder_size=8"])


class TestOverrides:
    def test_one_key_is_set_and_the_others_stay(self) -> None:
        content = {"model": {"embedding_dropout": 0.1, "cell": "gru"}}
        given = ["model.embedding_dropout=0.2", "training.epochs=3", "data.train=[a, {path: b}]"]
        config = parse_config(content, given)
        assert (config.model.embedding_dropout, config.model.cell, config.training.epochs) == (0.2, "gru", 3)
        assert config.data.train == (CorpusConfig(path="a"), CorpusConfig(path="b"))
        assert content == {"model": {"embedding_dropout": 0.1, "cell": "gru"}}

    def test_the_last_one_wins_and_null_is_none(self) -> None:
        assert parse_config({}, ["training.epochs=3", "training.epochs=4"]).training.epochs == 4
        assert parse_config({"training": {"threads": 2}}, ["training.threads=null"]).training.threads is None
        assert parse_config({"model": None}, ["model.cell=rnn"]).model.cell == "rnn"

    def test_a_value_may_contain_an_equals_sign(self) -> None:
        assert parse_config({}, ["training.start_from=a=b"]).training.start_from == "a=b"

    @pytest.mark.parametrize("override", ["dropout=0.1", "model.dropout", "model.=1", "=", ""])
    def test_invalid_override(self, override: str) -> None:
        assert find_faults({}, override) == [
            f"{override!r}: an override is written section.key=value, model.dropout=0.2 for example"
        ]

    def test_faults_in_overrides(self) -> None:
        assert find_faults({}, "model.dropout=[", "model.dropuot=1", "other.key=1") == [
            "model.dropout: '[' is not a YAML value",
            "model.dropuot: unknown key; did you mean model.dropout?",
            "other: unknown key; allowed are data, tokenizer, model, training, validation",
        ]

    def test_a_section_that_holds_no_keys(self) -> None:
        (fault,) = find_faults({"model": [1]}, "model.cell=gru")
        assert fault.startswith("model: must hold keys (")


FULL = {
    "data": {
        "source_language": "ja",
        "train": [{"path": "a", "weight": 2}, {"dataset": "d", "split": "s", "streaming": True, "weight": 1}],
        "valid": "v",
        "held_out": ["x", {"source": "é", "target": "日本"}],
    },
    "tokenizer": {"symbols": ["<2de>", "no", "1e-3", "▁"]},
    "training": {"betas": [0.8, 0.99], "learning_rate": "1e-3", "max_updates": 7, "ema": 0},
}


class TestDump:
    @pytest.mark.parametrize("content", [{}, FULL])
    def test_what_is_written_is_read_back(self, content: dict[str, object], tmp_path: Path) -> None:
        config = parse_config(content)
        (tmp_path / "c.yaml").write_text(dump_config(config), encoding="utf-8")
        assert load_config(tmp_path / "c.yaml") == config

    def test_every_key_is_written_in_the_order_of_the_schema(self) -> None:
        content = yaml.safe_load(dump_config(Config()))
        assert list(content) == [section.name for section in dataclasses.fields(Config)]
        for name, keys in content.items():
            assert list(keys) == [field.name for field in dataclasses.fields(getattr(Config(), name))]

    def test_text_is_readable(self) -> None:
        assert "target: 日本" in dump_config(parse_config(FULL))


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().model.dropout = 0.5  # type: ignore[misc]


def test_differences_of_trained_networks() -> None:
    model = ModelConfig()
    assert model.list_differences(ModelConfig(cell="gru", layer_norm=True)) == ["cell", "layer_norm"]
    names = ("dropout", "embedding_dropout", "state_dropout", "output_dropout", "forget_bias")
    training_only: dict[str, Any] = dict.fromkeys(names, 0.9)
    assert model.list_differences(ModelConfig(**training_only)) == []
