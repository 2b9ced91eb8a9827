"""Small corpora, configurations, networks and batches that several tests use."""

from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.config.load import parse_config
from nmt.config.schema import Config, ModelConfig
from nmt.data.batch import Batch, pad
from nmt.model.cells import TorchLayer
from nmt.model.dropout import Randomness
from nmt.model.layer import RecurrentLayer
from nmt.model.seq2seq import Seq2Seq
from nmt.system.devices import runs_bf16
from nmt.training.objective import Likelihood

needs_bf16 = pytest.mark.skipif(not runs_bf16("cpu"), reason="this processor has no recurrent layers in bfloat16")

SIZE = 20  # tokens in a tiny vocabulary


# Parts that keep the common rules: teacher forcing equals steps, nothing depends on padding, an update may be cut.
PARTS: list[dict[str, Any]] = [
    {"state_dropout": 0.4},
    {"state_dropout": 0.4, "cell": "gru"},
    {"state_dropout": 0.4, "cell": "rnn", "encoder_layers": 2},
    {"cell": "layer_norm_lstm"},
    {"cell": "layer_norm_lstm", "state_dropout": 0.2},
    {"encoder_transitions": 2, "decoder_transitions": 3},
    {"encoder_transitions": 3, "decoder_transitions": 2, "cell": "gru", "state_dropout": 0.2},
    {"encoder_stack": "gnmt", "encoder_layers": 3, "bridge": "final"},
    {
        "encoder_stack": "alternating",
        "encoder_layers": 3,
        "encoder_transitions": 2,
        "bridge": "final",
        "layer_norm": True,
    },
]


def model_config(**settings: Any) -> ModelConfig:
    """An architecture from settings that a parametrized test has as strings."""
    return ModelConfig(**settings)


def network(seed: int = 1, **settings: Any) -> Seq2Seq:
    """A network small enough to check in every configuration; no dropout unless asked for."""
    small = {"embedding_size": 6, "encoder_size": 8, "decoder": "parallel", "decoder_layers": 2, "decoder_size": 8}
    off = {"dropout": 0.0, "embedding_dropout": 0.0, "output_dropout": 0.0}
    config = ModelConfig(**{**small, **off, **settings})
    return Seq2Seq(config, source_size=SIZE, target_size=SIZE, generator=torch.Generator().manual_seed(seed))


def fused(layer: RecurrentLayer) -> torch.nn.RNNBase:
    """Torch's own layer, whose weights an LSTM, a GRU or a plain RNN uses."""
    assert isinstance(layer, TorchLayer)
    return layer.fused


def randomness(seed: int = 1) -> Randomness:
    """What dropout masks are drawn from."""
    return Randomness(generator=torch.Generator().manual_seed(seed))


def cut(batch: Batch, first: int, last: int) -> Batch:
    """Pairs `first` to `last` of a batch, without the padding that only others needed."""
    rows = slice(first, last)
    source_lengths, target_lengths = batch.source_lengths[rows], batch.target_lengths[rows]
    return Batch(
        source=batch.source[rows, : int(source_lengths.max())],
        source_lengths=source_lengths,
        target=batch.target[rows, : int(target_lengths.max())],
        target_lengths=target_lengths,
    )


def logits(network: Seq2Seq, batch: Batch, randomness: Randomness | None = None) -> torch.Tensor:
    """Teacher-forced scores of the vocabulary at the target tokens, (R, V)."""
    return network.output(network(batch, randomness).vectors)  # type: ignore[no-any-return]


def loss(network: Seq2Seq, batch: Batch, randomness: Randomness | None = None, **terms: Any) -> torch.Tensor:
    """The likelihood of a batch, with the terms of `Likelihood`."""
    return Likelihood(**terms)(network, batch, randomness)


def batch() -> Batch:
    """Three pairs of different lengths."""
    source, source_lengths = pad([[5, 6, 7, 8, 3], [9, 3], [10, 11, 12, 3]])
    target, target_lengths = pad([[6, 5, 3], [7, 3], [8, 9, 10, 11, 3]])
    return Batch(source=source, source_lengths=source_lengths, target=target, target_lengths=target_lengths)


PAIRS = [
    ("one", "eins"), ("two", "zwei"), ("three", "drei"), ("four", "vier"), ("five", "fünf"), ("six", "sechs"),
    ("red", "rot"), ("green", "grün"), ("blue", "blau"), ("cat", "katze"), ("dog", "hund"), ("house", "haus"),
]  # fmt: skip


def write_corpus(folder: Path) -> Path:
    """A corpus of word pairs in two files; returns their common prefix."""
    lines = [(f"{a} {b}", f"{x} {y}") for a, x in PAIRS for b, y in PAIRS]
    for side, ending in enumerate(("en", "de")):
        (folder / f"text.{ending}").write_text("".join(line[side] + "\n" for line in lines), encoding="utf-8")
    return folder / "text"


# Sizes with which the results of the packed engine hardly depend on the batch.
WHOLE_VECTORS = ("model.encoder_size=64", "model.decoder_size=64")


def config(prefix: Path, *overrides: str) -> Config:
    """A configuration that trains for a few updates within a second."""
    content = {
        "data": {"train": str(prefix), "valid": str(prefix), "drop_overlap": False},
        "tokenizer": {"kind": "words", "vocabulary_size": 60},
        "model": {
            "embedding_size": 16,
            "encoder_size": 16,
            "decoder": "parallel",
            "decoder_layers": 2,
            "decoder_size": 16,
            "dropout": 0.1,
            "embedding_dropout": 0.1,
            "output_dropout": 0.1,
        },
        "training": {
            "epochs": 3,
            "batch_tokens": 64,
            "learning_rate": 0.001,
            "warmup": 5,
            "threads": 1,
            "device": "cpu",
            "log_every": 4,
        },
        "validation": {"sentences": 8, "metric": "loss"},
    }
    return parse_config(content, overrides)
