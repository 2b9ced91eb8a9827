"""Updates of stored and streamed corpora, by weights and temperature."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import tiny
import torch

from nmt.data.batching import Batches
from nmt.data.corpora import build_update_source
from nmt.data.cursor import Cursor, Update, UpdateSize
from nmt.data.prepare import prepare
from nmt.data.readers import read_corpora
from nmt.data.stream import Stream
from nmt.data.updates import UpdateOptions, UpdateSource
from nmt.tokenizers.build import train_tokenizers


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tiny.write_corpus(tmp_path)


def source(folder: Path, corpora: str, *overrides: str) -> UpdateSource:
    config = tiny.config(folder, f"data.train={corpora}", "training.schedule=constant", *overrides)
    tokenizers = train_tokenizers(
        config.tokenizer, (pair.sides for pair in read_corpora(config.data.train, config.data))
    )
    stores = [] if config.data.streams else prepare(config, tokenizers, folder.parent / "prepared")
    options = UpdateOptions(size=UpdateSize(tokens=64), sampling=False, seed=1)
    return build_update_source(config.data, stores, tokenizers, options)


def updates_of_an_epoch(source: UpdateSource) -> int:
    with contextlib.closing(source.updates(Cursor())) as updates:
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
    with contextlib.closing(source(prefix, corpora).updates(Cursor())) as updates:
        epoch = list(itertools.takewhile(lambda update: not update.after.epoch, updates))
    lengths = torch.cat([batch.source_lengths for update in epoch for batch in update.batches])
    assert 0.65 < float((lengths == 2).float().mean()) < 0.85


@pytest.mark.parametrize(
    ("temperature", "shares"), [("null", (100, 4)), ("1", (100, 4)), ("2", (87, 17)), ("100", (53, 51))]
)
def test_temperature_makes_weights_from_sizes(temperature: str, shares: tuple[int, int], tmp_path: Path) -> None:
    """√100 to √4 is 5 to 1: of the 104 pairs of an epoch, 87 and 17."""
    for words, size in ((1, 100), (5, 4)):
        lines = "".join("word " * words + f"{number}\tx\n" for number in range(size))
        (tmp_path / f"{words}.tsv").write_text(lines)
    corpora = str([str(tmp_path / f"{words}.tsv") for words in (1, 5)])
    updates = source(tmp_path, corpora, f"data.temperature={temperature}", "data.valid=[]")
    with contextlib.closing(updates.updates(Cursor())) as first:
        epoch = list(first_epoch(first))
    lengths = torch.cat([batch.source_lengths for update in epoch for batch in update.batches])
    assert (int((lengths == 3).sum()), int((lengths == 7).sum())) == shares


def first_epoch(updates: Iterable[Update]) -> Iterator[Update]:
    """The updates of the first epoch."""
    for update in updates:
        yield update
        if update.after.epoch:
            return
