"""docs/configuration.md is made from nmt/config/schema.py and says everything there is to say."""

import dataclasses
import runpy
from pathlib import Path
from typing import Any

import pytest

from nmt.config.schema import (
    Config,
    CorpusConfig,
    DataConfig,
    ModelConfig,
    TokenizerConfig,
    TrainingConfig,
    ValidationConfig,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "write-configuration-docs"))


def test_the_page_is_what_the_script_writes(script: dict[str, Any]) -> None:
    assert PAGE.read_text(encoding="utf-8") == script["document"](), "run scripts/write-configuration-docs"


def test_every_section_stands_in_the_page(script: dict[str, Any]) -> None:
    assert script["SECTIONS"] == tuple(field.name for field in dataclasses.fields(Config))


@pytest.mark.parametrize(
    "kind", [DataConfig, CorpusConfig, TokenizerConfig, ModelConfig, TrainingConfig, ValidationConfig]
)
def test_every_key_stands_in_the_page_with_a_docstring_of_its_own(kind: type, script: dict[str, Any]) -> None:
    meanings = script["docstrings"](kind)
    rows = PAGE.read_text(encoding="utf-8").splitlines()
    for field in dataclasses.fields(kind):
        assert len(meanings[field.name]) > 10
        assert any(
            row.startswith(f"| `{field.name}` |") and row.endswith(f"| {meanings[field.name]} |") for row in rows
        )


def test_no_docstring_breaks_the_table() -> None:
    for row in PAGE.read_text(encoding="utf-8").splitlines():
        assert not row.startswith("|") or row.count("|") == 5


def test_values_and_defaults_are_told() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for expected in (
        "| `cell` | `lstm`, `gru`, `rnn`, `layer_norm_lstm`, `sru`, `ssru` | `lstm` |",
        "| `dropout` | number, 0 to 0.95 | `0.3` |",
        "| `max_updates` | whole number, at least 1 | `null` |",
        "| `betas` | list of 2 numbers | `[0.9, 0.98]` |",
        "| `residual` | true or false | `true` |",
        "| `train` | [corpus](#corpora), or a list of them | `[]` |",
    ):
        assert expected in page
