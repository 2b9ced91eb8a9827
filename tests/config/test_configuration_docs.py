"""docs/configuration.md is made from nmt/config/schema.py and says everything there is to say."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from nmt.config.fields import docs_of, fields_of
from nmt.config.schema import Config, CorpusConfig

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "write-configuration-docs"))


def test_the_page_is_what_the_script_writes(script: dict[str, Any]) -> None:
    assert PAGE.read_text(encoding="utf-8") == script["document"](), "run scripts/write-configuration-docs"


@pytest.mark.parametrize("kind", [CorpusConfig, *(section.type for section in fields_of(Config).values())])
def test_every_key_is_in_the_page_with_its_docstring(kind: type) -> None:
    docs = docs_of(kind)
    rows = PAGE.read_text(encoding="utf-8").splitlines()
    for name in fields_of(kind):
        assert len(docs[name]) > 10
        assert any(row.startswith(f"| `{name}` |") and f"| {docs[name]}" in row for row in rows)


def test_no_docstring_breaks_the_table() -> None:
    for row in PAGE.read_text(encoding="utf-8").splitlines():
        assert not row.startswith("|") or row.count("|") == 5


def test_the_page_shows_values_defaults_and_conditions() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for expected in (
        "| `cell` | `lstm`, `gru`, `rnn`, `layer_norm_lstm`, `sru`, `ssru` | `lstm` |",
        "| `dropout` | number, from 0 to 0.95 | `0.3` |",
        "| `max_updates` | whole number, at least 1 | `null` |",
        "| `betas` | list of 2, each number, at least 0 and below 1 | `[0.9, 0.98]` |",
        "| `residual` | true or false | `true` |",
        "Only with `training.schedule: plateau`. |",
        "| `train` | [corpus](#corpora), or a list of them | `[]` |",
    ):
        assert expected in page
