"""Batches that do not fit into memory are split, and only rounding changes."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from test_trainer import Factory, go, losses, weights

from nmt.data.batch import Batch
from nmt.data.cursor import UpdateSize
from nmt.errors import MachineError
from nmt.model.output import Readout
from nmt.system.memory import is_shortage
from nmt.training.memory import BatchLimit, largest_batch
from nmt.training.trainer import Trainer

SETTINGS = (
    "training.precision=fp32",
    "training.batch_tokens=96",
    "training.accumulate=2",
    "model.dropout=0.3",
)
SHORTAGES = (torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory"))


@pytest.fixture
def trainers(tmp_path: Path) -> Factory:
    return Factory(tmp_path)


def shorten(trainer: Trainer, most: int, where: str, error: Exception) -> list[int]:
    """Let batches of more than `most` ids fail, at once or after half of their gradients. Returns their sizes."""
    failed: list[int] = []
    forward = trainer.network.forward

    def short(batch: Batch, *arguments: Any, **terms: Any) -> Readout:
        if batch.padded_size <= most:
            return forward(batch, *arguments, **terms)
        failed.append(batch.padded_size)
        if where == "forward":
            raise error
        handle = trainer.network.source_embedding.weight.register_hook(fail)
        handles.append(handle)
        return forward(batch, *arguments, **terms)

    def fail(gradient: torch.Tensor) -> None:
        assert any(weight.grad is not None for weight in trainer.network.parameters())  # there is something to undo
        handles.pop().remove()
        raise error

    handles: list[Any] = []
    trainer.network.forward = short  # type: ignore[method-assign]
    return failed


@pytest.mark.parametrize("error", SHORTAGES, ids=["cuda", "cpu"])
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_split_batches_change_no_figures(
    trainers: Factory, where: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    config = trainers.config(*SETTINGS)
    plain, short = trainers.trainer(config), trainers.trainer(config)
    failed = shorten(short, most=40, where=where, error=error)
    go(plain)
    go(short)
    assert len(failed) > 1
    assert failed == sorted(failed, reverse=True)  # what did not fit is not tried again
    assert len(set(failed)) == len(failed)
    assert short.position == plain.position
    assert losses(short) == pytest.approx(losses(plain), rel=1e-4)
    torch.testing.assert_close(weights(short.network), weights(plain.network), rtol=1e-3, atol=1e-4)
    assert len([record for record in caplog.records if "too little memory" in record.message]) == 1
    assert "there is too little memory for the largest batches" in caplog.text


def test_the_largest_batch_is_tried_first(trainers: Factory, caplog: pytest.LogCaptureFixture) -> None:
    config = trainers.config(*SETTINGS)
    plain, probed = trainers.trainer(config), trainers.trainer(config)
    failed = shorten(probed, most=40, where="backward", error=SHORTAGES[0])
    probed.probe(largest_batch(10, 3, 3))
    assert failed == [80]
    assert "there is too little memory" in caplog.text
    assert all(weight.grad is None for weight in probed.network.parameters())
    assert probed.position.update == 0
    probed.network.forward = plain.network.forward.__func__.__get__(probed.network)  # type: ignore[method-assign,attr-defined]
    probed.limit = BatchLimit()
    go(plain)
    go(probed)
    assert torch.equal(weights(probed.network), weights(plain.network))


def test_a_pair_that_does_not_fit(trainers: Factory) -> None:
    trainer = trainers.trainer(trainers.config(*SETTINGS))
    shorten(trainer, most=0, where="forward", error=SHORTAGES[0])
    with pytest.raises(MachineError, match=r"single pair of \d+ and \d+ tokens; lower data.max_length"):
        go(trainer)


def test_other_errors_are_not_hidden(trainers: Factory) -> None:
    trainer = trainers.trainer(trainers.config(*SETTINGS))
    shorten(trainer, most=0, where="forward", error=RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        go(trainer)


def test_out_of_memory_errors() -> None:
    for error in (
        *SHORTAGES,
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        RuntimeError("could not create a primitive"),
    ):
        assert is_shortage(error)
    with pytest.raises(RuntimeError) as real:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_shortage(real.value)
    assert not is_shortage(RuntimeError("expected scalar type Float"))
    assert not is_shortage(
        RuntimeError("could not create a primitive descriptor for the LSTM forward propagation primitive")
    )


def test_halves_are_the_same_pairs() -> None:
    """The same ids at the same places of the update, without the padding that only the other half needs."""
    batch = tiny.batch()
    limit = BatchLimit()
    assert limit.split([batch]) == [batch]
    assert limit.lower([batch])
    parts = limit.split([batch])
    assert [part.sentences for part in parts] == [1, 2]
    assert not limit.lower(parts)
    parts = limit.split([batch])
    assert [part.sentences for part in parts] == [1, 1, 1]
    assert [part.first for part in parts] == [0, 1, 2]
    assert {part.update_sentences for part in parts} == {3}
    for row, part in enumerate(parts):
        assert part.source.tolist() == [batch.source[row, : batch.source_lengths[row]].tolist()]
        assert part.target.tolist() == [batch.target[row, : batch.target_lengths[row]].tolist()]
    with pytest.raises(MachineError):
        limit.lower(parts)


def test_the_largest_batch() -> None:
    batch = largest_batch(2, 3, 4)
    assert (batch.source.shape, batch.target.shape) == ((2, 4), (2, 5))
    assert batch.source_lengths.tolist() == [4, 4]


REAL = """
import json, resource, sys
import tiny, torch
from test_memory import gradients, wide

torch.set_num_threads(1)
trainer, batch = wide()
gradients(trainer, batch.halves()[0].halves()[0].halves()[0])  # what torch needs once
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]), before[1]))
short, losses = gradients(trainer, batch)
resource.setrlimit(resource.RLIMIT_AS, before)
parts, trainer.limit = len(trainer.limit.split([batch])), type(trainer.limit)()
plain, reference = gradients(trainer, batch)
torch.testing.assert_close(short, plain, rtol=1e-3, atol=1e-2)
print(json.dumps([parts, losses, reference]))
"""


def wide() -> tuple[Trainer, Batch]:
    """A trainer with a network and a batch that need more than a hundred megabytes."""
    config = tiny.config(Path("none"), "training.precision=fp32", "training.ema=0")
    sizes = {"embedding_size": 64, "encoder_size": 256, "decoder_size": 256}
    trainer = Trainer(
        tiny.network(**sizes, dropout=0.3),
        source=SimpleNamespace(size=UpdateSize()),
        tokenizers=None,  # type: ignore[arg-type]
        config=config,
        validate=None,  # type: ignore[arg-type]
        checkpoints=None,  # type: ignore[arg-type]
    )
    return trainer, largest_batch(600, 7, 7)


def gradients(trainer: Trainer, batch: Batch) -> tuple[torch.Tensor, float]:
    loss, _ = trainer._compute_gradients([batch])
    found = torch.cat([weight.grad.flatten() for weight in trainer.network.parameters() if weight.grad is not None])
    trainer.network.zero_grad()
    return found, loss


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and limits of memory")
def test_real_memory_limit() -> None:
    command = [sys.executable, "-c", REAL, str(80 << 20)]
    # What is freed goes back to the system at once, so that the limit that is left is the same on every machine.
    returned = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    environment = {"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1", **returned}
    answer = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert answer.returncode == 0, answer.stderr
    assert "there is too little memory for the largest batches" in answer.stderr
    parts, short, plain = json.loads(answer.stdout)
    assert parts > 1
    assert short == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("largest", [0, 1, 2])
def test_the_largest_batch_is_the_one_that_did_not_fit(largest: int) -> None:
    """Wherever it is, and though another batch has more sentences."""
    batches = [largest_batch(6, 1, 1), largest_batch(5, 1, 1)]
    batches.insert(largest, largest_batch(4, 9, 9))
    limit = BatchLimit()
    assert limit.lower(batches)
    assert limit.too_large == 4 * (10 + 10)
    parts = limit.split(batches)
    assert [part.sentences for part in parts] == [[2, 2, 6, 5], [6, 2, 2, 5], [6, 5, 2, 2]][largest]
    assert not limit.lower(parts)
    assert limit.too_large == 2 * (10 + 10)
