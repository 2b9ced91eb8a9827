"""Every file in configs/ loads, says in its first line what it is, and trains."""

from pathlib import Path

import pytest
import tiny
import torch

from nmt.checkpoint.folder import load_model
from nmt.commands.train import main

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
LARGE = {"bideep", "gnmt-small", "luong", "rnmt-small"}


def test_there_are_configs() -> None:
    names = {"quickstart", "multi30k-en-de", "bahdanau", "luong", "gnmt-small", "bideep", "rnmt-small"}
    assert names <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LARGE else []) for path in CONFIGS],
)
def test_a_few_updates(path: Path, tmp_path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    prefix = tiny.write_corpus(tmp_path)
    overrides = [
        f"data.train={prefix}",
        f"data.valid={prefix}",
        "data.source_language=en",
        "data.target_language=de",
        "data.drop_overlap=false",
        "tokenizer.source_model=null",
        "tokenizer.vocabulary_size=290",
    ]
    overrides += ["training.max_updates=2", "training.threads=1", "validation.sentences=2"]
    assert main([str(path), *overrides, "--output", str(tmp_path / "run")]) == 0
    weights = load_model(tmp_path / "run").network.parameters()
    assert all(torch.isfinite(weight).all() for weight in weights)
