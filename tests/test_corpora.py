"""Updates and validation pairs as the configuration of the corpora says."""

import contextlib
import itertools
from pathlib import Path

import pytest
import tiny
import torch

from nmt.data.batching import Batches
from nmt.data.corpora import update_source, validation_pairs
from nmt.data.prepare import prepare
from nmt.data.readers import read_corpora
from nmt.data.stream import Stream
from nmt.data.updates import UpdateOptions, UpdateSource
from nmt.errors import DataError
from nmt.tokenizers.build import train_tokenizers
from nmt.types import Place


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tiny.write_corpus(tmp_path)


def source(folder: Path, corpora: str) -> UpdateSource:
    config = tiny.config(folder, f"data.train={corpora}", "training.schedule=constant")
    tokenizers = train_tokenizers(config.tokenizer, read_corpora(config.data.train, config.data))
    stores = [] if config.data.streams else prepare(config, tokenizers, folder.parent / "prepared")
    options = UpdateOptions(update_tokens=64, sampling=False, seed=1)
    return update_source(config.data, stores, tokenizers, options)


def updates_of_an_epoch(source: UpdateSource) -> int:
    with contextlib.closing(source.updates(Place())) as updates:
        return next(number for number, update in enumerate(updates, start=1) if update.after.epoch)


def test_pairs_are_stored_or_streamed(prefix: Path) -> None:
    stored, streamed = source(prefix, str(prefix)), source(prefix, f"[{{path: {prefix}, streaming: true}}]")
    assert isinstance(stored, Batches)
    assert isinstance(streamed, Stream)
    assert updates_of_an_epoch(stored) == updates_of_an_epoch(streamed)


def test_weights_are_those_of_the_corpora(prefix: Path, tmp_path: Path) -> None:
    for ending in ("en", "de"):
        (tmp_path / f"one.{ending}").write_text("cat\n", encoding="utf-8")
    corpora = f"[{{path: {prefix}, weight: 1}}, {{path: {tmp_path / 'one'}, weight: 3}}]"
    with contextlib.closing(source(prefix, corpora).updates(Place())) as updates:
        epoch = list(itertools.takewhile(lambda update: not update.after.epoch, updates))
    lengths = torch.cat([batch.source_lengths for update in epoch for batch in update.batches])
    assert 0.65 < float((lengths == 2).float().mean()) < 0.85


def test_validation_pairs(prefix: Path, tmp_path: Path) -> None:
    pairs = validation_pairs(tiny.config(prefix, "validation.sentences=3"))
    assert pairs == [("one one", "eins eins"), ("one two", "eins zwei"), ("one three", "eins drei")]
    for ending in ("en", "de"):
        (tmp_path / f"none.{ending}").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.valid: the corpora hold no pair"):
        validation_pairs(tiny.config(tmp_path / "none"))
