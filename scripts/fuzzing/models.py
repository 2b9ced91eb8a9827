"""Small models to damage. Some are trained within seconds, and others are models of older versions in tests/models."""

import itertools
import logging
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.config.load import parse_config
from nmt.config.schema import Config
from nmt.training.run import train

ROOT = Path(__file__).resolve().parents[2]

ENGLISH = ("one", "two", "three", "red", "green", "blue", "cat", "dog", "house")
GERMAN = ("eins", "zwei", "drei", "rot", "grün", "blau", "katze", "hund", "haus")

_MODEL = {"embedding_size": 16, "encoder_size": 32, "decoder_size": 32, "dropout": 0}
_KINDS: dict[str, dict[str, Any]] = {
    "words": {"tokenizer": {"kind": "words"}, "model": {"decoder": "parallel", "decoder_layers": 2}},
    "subwords": {
        "tokenizer": {"kind": "bpe", "vocabulary_size": 60, "joint": False, "byte_fallback": False},
        "model": {"tied_embeddings": "two_way", "cell": "gru"},
        "training": {"optimizer": "muon", "ema": 0, "shortlist": False},
    },
}


def write_corpus(folder: Path) -> Path:
    """Write a corpus of word pairs. Return the common prefix of its two files."""
    pairs = list(itertools.product(zip(ENGLISH, GERMAN, strict=True), repeat=2))
    for side, ending in enumerate(("en", "de")):
        lines = (f"{first[side]} {second[side]}\n" for first, second in pairs)
        (folder / f"text.{ending}").write_text("".join(lines), encoding="utf-8")
    return folder / "text"


def configure(prefix: Path, kind: str) -> Config:
    """Return the configuration of a training run of a second."""
    settings = _KINDS[kind]
    content = {
        "data": {"train": str(prefix), "valid": str(prefix), "drop_overlap": False},
        "tokenizer": {"vocabulary_size": 60, **settings["tokenizer"]},
        "model": {**_MODEL, **settings["model"]},
        "training": {"epochs": 2, "batch_tokens": 64, "warmup": 5, "threads": 1, "device": "cpu"}
        | settings.get("training", {}),
        "validation": {"sentences": 8, "metric": "loss"},
    }
    return parse_config(content)


def train_outputs(folder: Path) -> dict[str, Path]:
    """Train a model of each kind. Return the output folders.

    Another process trains. After a process has trained, processes that are forked from it cannot train.
    """
    prefix = write_corpus(folder)
    for kind in _KINDS:
        process = multiprocessing.get_context("fork").Process(
            target=_train_quietly, args=(configure(prefix, kind), folder / kind)
        )
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"the training of {kind} failed")
    return {kind: folder / kind for kind in _KINDS}


def _train_quietly(config: Config, output: Path) -> None:
    logging.getLogger("nmt").setLevel(logging.ERROR)
    train(config, output)


def copy_models(folder: Path, outputs: dict[str, Path]) -> dict[str, Path]:
    """Copy the newest checkpoint of each training run and the models of older versions to model folders."""
    found = {kind: CheckpointFolder(output).all()[-1] for kind, output in outputs.items()}
    for path in sorted((ROOT / "tests" / "models").glob("*/*/config.yaml")):
        found[f"{path.parent.parent.name} {path.parent.name}"] = path.parent
    for name, path in found.items():
        shutil.copytree(path, folder / name)
    return {name: folder / name for name in found}
