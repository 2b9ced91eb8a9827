"""Removed keys and values: a model folder may name them where they are off; elsewhere they are refused in one line."""

from typing import Any

import pytest

from nmt.config.load import parse_config
from nmt.config.schema import Config
from nmt.errors import ConfigError

OFF: dict[str, dict[str, Any]] = {
    "model": {"cell": "gru", "output": "copy", "mixtures": 7, "zoneout": 0.0},
    "training": {"coverage_loss": 0.0, "scheduled_sampling": 0},
}


def faults(content: dict[str, Any], *overrides: str, trained: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(content, overrides, trained=trained)
    return str(caught.value).splitlines()


def test_a_model_folder_may_name_removed_keys_that_are_off() -> None:
    config = parse_config(OFF, trained=True)
    assert (config.model.cell, config.model.output) == ("gru", "copy")
    assert config.training == Config().training
    config = parse_config({"model": {"word_dropout": 0.1}, "training": {"r_drop": 1.0}}, trained=True)
    assert config == parse_config({}, trained=True)  # these keys only affected training
    assert OFF["model"]["zoneout"] == 0.0  # the content is not changed


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("model", "zoneout", 0.1), ("training", "coverage_loss", 1.0), ("training", "scheduled_sampling", 0.2)],
)
def test_a_model_folder_that_uses_a_removed_key_names_the_last_version(section: str, key: str, value: float) -> None:
    (fault,) = faults({section: {key: value}}, trained=True)
    assert fault == f"configuration: {section}.{key}: {value} was removed after nmt 0.1.0; use that version"


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(
    ("key", "value"), [("cell", "sru"), ("cell", "ssru"), ("output", "mixture"), ("output", "latent")]
)
def test_removed_values_are_refused_everywhere(key: str, value: str, trained: bool) -> None:
    (fault,) = faults({"model": {key: value}}, trained=trained)
    assert fault == f"configuration: model.{key}: {value} was removed after nmt 0.1.0; use that version"


def test_a_new_configuration_may_not_name_removed_keys() -> None:
    found = faults(OFF, "training.scheduled_sampling=0")
    assert [fault.split(": ")[:2] for fault in found] == [
        ["configuration", "model.mixtures"],
        ["configuration", "model.zoneout"],
        ["configuration", "training.coverage_loss"],
        ["command line", "training.scheduled_sampling"],
    ]
    assert all(fault.endswith("removed after nmt 0.1.0; delete the key, or use that version") for fault in found)


def test_keys_that_were_removed_later_name_their_version() -> None:
    (fault,) = faults({"training": {"r_drop": 1.0}})
    expected = "training.r_drop: removed after nmt 0.2.0; delete the key, or use that version"
    assert fault == f"configuration: {expected}"


def test_sections_that_are_not_mappings_are_still_reported() -> None:
    (fault,) = faults({"model": [1]})
    assert fault.startswith("configuration: model: must hold keys")
