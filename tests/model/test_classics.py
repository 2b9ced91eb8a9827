"""Core modules mention each classic architecture in one table only."""

import typing
from collections.abc import Mapping
from pathlib import Path

import pytest

import nmt.model
from nmt.config.schema import ModelConfig
from nmt.model.parts import ATTENTIONS, CELLS
from nmt.model.seq2seq import DECODERS, OUTPUTS, STACKS

ROOT = Path(nmt.model.__file__).parent
TABLES = {"parts.py", "seq2seq.py"}


def test_only_the_tables_name_the_classics() -> None:
    for path in ROOT.glob("*.py"):
        assert ("classics" in path.read_text(encoding="utf-8")) == (path.name in TABLES), path


def test_each_classic_is_named_once_by_an_import() -> None:
    tables = "".join((ROOT / name).read_text(encoding="utf-8") for name in TABLES)
    for path in (ROOT / "classics").glob("[a-z]*.py"):
        assert tables.count(f"from nmt.model.classics.{path.stem} import") == 1, path


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("cell", CELLS),
        ("attention", ATTENTIONS),
        ("encoder_stack", STACKS),
        ("decoder", DECODERS),
        ("output", OUTPUTS),
    ],
)
def test_choices_of_keys_equal_the_tables(key: str, table: Mapping[str, type]) -> None:
    assert set(typing.get_args(typing.get_type_hints(ModelConfig)[key])) == set(table)
