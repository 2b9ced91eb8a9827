"""A small model, and a validation text for what is chosen after training."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nmt.checkpoint.folder import load_model
from nmt.config.corpus import CorpusConfig
from nmt.config.schema import Config

MODEL = Path(__file__).parent / "models" / "0.1.0" / "parallel"
LINES = [line for line in (MODEL.parent / "source.txt").read_text(encoding="utf-8").splitlines() if len(line) < 200]


def copy_model(folder: Path) -> Path:
    """Copy the model into a folder, and return its path."""
    shutil.copytree(MODEL, folder / "model")
    return folder / "model"


def write_validation(folder: Path, references: Sequence[str]) -> Config:
    """Write a validation text with LINES as sources, and return the configuration of a training with it."""
    for name, lines in {"valid.en": LINES, "valid.de": references}.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    config = load_model(MODEL).config
    return replace(config, data=replace(config.data, valid=(CorpusConfig(path=str(folder / "valid")),)))
