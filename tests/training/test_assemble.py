"""Sizes of updates and batches by the configuration."""

from pathlib import Path
from unittest.mock import Mock

import pytest
import tiny

from nmt.checkpoint.folder import TrainingState
from nmt.config.schema import DataConfig, TrainingConfig
from nmt.data.cursor import UpdateSize, World
from nmt.training.assemble import choose_update_size, count_shares, make_largest_batch
from nmt.training.resume import Checkpoint, Position


def settings(tokens: int, sentences: int | None = None, accumulate: int = 1) -> TrainingConfig:
    return TrainingConfig(batch_tokens=tokens, batch_sentences=sentences, accumulate=accumulate)


def test_an_update_is_the_batch_of_all_processes_and_accumulations() -> None:
    assert choose_update_size(settings(10), World(), None) == UpdateSize(tokens=10)
    world = World(rank=1, size=3)
    assert choose_update_size(settings(10, 4, 2), world, None) == UpdateSize(tokens=60, sentences=24)


@pytest.mark.parametrize(
    ("changed", "tokens"), [(settings(10, 4, 2), 99), (settings(11, 4, 2), 22), (settings(10, 5, 2), 20)]
)
def test_a_resumed_training_keeps_its_size_unless_settings_change(changed: TrainingConfig, tokens: int) -> None:
    checkpoint = Checkpoint(
        folder=Path("none"),
        config=Mock(training=settings(10, 4, 2)),
        state=TrainingState(tensors={}, progress=""),
        position=Position(size=UpdateSize(tokens=99, sentences=7)),
    )
    assert choose_update_size(changed, World(), checkpoint).tokens == tokens


@pytest.mark.parametrize(
    ("tokens", "sentences", "size", "processes", "shares"),
    [
        (10, None, UpdateSize(tokens=10), 1, 1),
        (10, None, UpdateSize(tokens=11), 1, 2),  # never more than the configured tokens
        (10, None, UpdateSize(tokens=40), 2, 2),
        (10, 2, UpdateSize(tokens=10, sentences=7), 1, 4),
        (10, 2, UpdateSize(tokens=60, sentences=4), 1, 6),
        (10, 2, UpdateSize(tokens=10, sentences=9), 2, 3),
    ],
)
def test_shares_of_a_process(tokens: int, sentences: int | None, size: UpdateSize, processes: int, shares: int) -> None:
    assert count_shares(settings(tokens, sentences), World(size=processes), size) == shares


@pytest.mark.parametrize(
    ("size", "shares", "pairs"),
    [
        (UpdateSize(tokens=100), 1, 11),  # of 9 tokens with EOS
        (UpdateSize(tokens=100), 3, 4),
        (UpdateSize(tokens=100, sentences=5), 1, 5),
        (UpdateSize(tokens=1), 2, 1),
    ],
)
def test_the_largest_batch(size: UpdateSize, shares: int, pairs: int) -> None:
    stores = [Mock(longest=lambda: (8, 3)), Mock(longest=lambda: (2, 6))]
    batch = make_largest_batch(DataConfig(), stores, size, shares)  # type: ignore[arg-type]
    assert (batch.sentences, batch.source.size(1), batch.target.size(1)) == (pairs, 9, 7)


def test_the_largest_batch_of_a_stream_has_the_longest_allowed_pairs() -> None:
    batch = make_largest_batch(DataConfig(max_length=4), [], UpdateSize(tokens=50), 1)
    assert (batch.sentences, batch.source.size(1), batch.target.size(1)) == (10, 5, 5)


def test_the_epoch_of_a_position(tmp_path: Path) -> None:
    limits = tiny.config(tmp_path / "text", "training.epochs=2")
    first = Position()
    assert first.epoch == 0
    begun = Position.from_json(first.to_json().replace('"update": 0', '"update": 5'))
    assert (begun.update, begun.epoch) == (5, 1)
    done = Position.from_json(first.to_json().replace('"epoch": 0', '"epoch": 2'))
    assert (done.epoch, done.has_ended(limits), begun.has_ended(limits)) == (2, True, False)
