"""The tokenizers in the folder of prepared data."""

import os
from pathlib import Path

import pytest
import tiny

from nmt.training.vocabulary import TOKENIZERS, load_prepared, prepare_tokenizers


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tiny.write_corpus(tmp_path)


def prepare(prefix: Path, folder: Path, *overrides: str) -> int:
    """Prepare the tokenizers. Returns the number of the folder on disk, which is another one after learning."""
    config = tiny.config(prefix, *overrides)
    prepare_tokenizers(config, None, folder)
    assert load_prepared(config, folder).source.encode("one two")
    return os.stat(folder / TOKENIZERS).st_ino


def test_tokenizers_are_learned_once(prefix: Path, tmp_path: Path) -> None:
    first = prepare(prefix, tmp_path / "prepared")
    assert prepare(prefix, tmp_path / "prepared") == first
    assert prepare(prefix, tmp_path / "prepared", "training.epochs=9", "model.cell=gru") == first


@pytest.mark.parametrize(
    "override",
    [
        "tokenizer.vocabulary_size=50",
        "tokenizer.kind=characters",
        "tokenizer.joint=false",
        "tokenizer.truecase=false",
        "tokenizer.normalization=nfc",
        "data.max_ratio=5",
        "data.drop_overlap=true",
    ],
)
def test_other_settings_need_other_tokenizers(prefix: Path, tmp_path: Path, override: str) -> None:
    first = prepare(prefix, tmp_path / "prepared", "data.valid=null")
    settings = [override, "data.valid=null"]
    if override.startswith("tokenizer.joint"):
        settings.append("model.tied_embeddings=two_way")
    if override.startswith("data.drop_overlap"):
        (tmp_path / "valid.tsv").write_text("en\tde\none two\teins zwei\n", encoding="utf-8")
        settings[1] = f"data.valid={tmp_path / 'valid.tsv'}"
    assert prepare(prefix, tmp_path / "prepared", *settings) != first


def test_other_text_needs_other_tokenizers(prefix: Path, tmp_path: Path) -> None:
    first = prepare(prefix, tmp_path / "prepared")
    with prefix.with_suffix(".en").open("a") as english, prefix.with_suffix(".de").open("a") as german:
        english.write("seven\n")
        german.write("sieben\n")
    assert prepare(prefix, tmp_path / "prepared") != first


def test_damaged_tokenizers_are_learned_again(prefix: Path, tmp_path: Path) -> None:
    prepare(prefix, tmp_path / "prepared")
    path = tmp_path / "prepared" / TOKENIZERS / "tokenizer.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    prepare(prefix, tmp_path / "prepared")
    assert path.read_bytes() == whole
