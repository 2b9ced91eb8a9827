"""Several processes train like a single one, end together, and report an error once."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import ranks
import tiny
import torch
import yaml

from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.checkpoint.tensors import load_tensors
from nmt.commands.train import main
from nmt.config.load import dump_config
from nmt.config.schema import Config
from nmt.errors import DataError, Interrupted, MachineError
from nmt.training.distributed import ALONE, Processes, join_processes
from nmt.training.run import train
from nmt.training.trainer import Trainer

# Half the budget for each of two processes; all kinds of dropout, accumulation, validation in between.
SETTINGS = (
    "training.precision=fp32",
    "training.accumulate=2",
    "training.log_every=1",
    "training.checkpoint_every=4",
    "training.ema=0.9",
    "model.dropout=0.3",
    "validation.every=6",
)
WHOLE, HALF = "training.batch_tokens=48", "training.batch_tokens=24"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tiny.write_corpus(tmp_path)


@pytest.fixture
def whole(prefix: Path) -> Config:
    return tiny.config(prefix, *SETTINGS, WHOLE)


@pytest.fixture
def half(prefix: Path) -> Config:
    return tiny.config(prefix, *SETTINGS, HALF)


def losses(output: Path, kind: str = "train") -> list[float]:
    records = map(json.loads, (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [record["loss"] for record in records if record["kind"] == kind]


def newest(output: Path) -> Path:
    folder, complaints = CheckpointFolder(output).newest()
    assert folder
    assert not complaints
    return folder


def assert_alike(first: Path, second: Path) -> None:
    """Assert that two trainings differ only by rounding, since sums are made in another order."""
    assert losses(first) == pytest.approx(losses(second), rel=1e-4)
    assert losses(first, "valid") == pytest.approx(losses(second, "valid"), rel=1e-4)
    ours, theirs = (load_tensors(newest(output) / "model.safetensors") for output in (first, second))
    for name, weights in ours.items():
        torch.testing.assert_close(weights, theirs[name], rtol=1e-3, atol=1e-4)
    positions = [json.loads((newest(output) / "state.json").read_text()) for output in (first, second)]
    assert {**positions[0], "best": 0} == {**positions[1], "best": 0}


# ---- what the ranks do


def join_and_train(config: Config, output: Path, resume: bool = False, stop_after: int | None = None) -> str | None:
    """Train, and optionally let the last rank signal itself. Returns the message of the interruption."""
    with join_processes() as processes:
        if processes.world.rank == processes.world.size - 1:
            stop_itself(stop_after)
        try:
            train(config, output, resume=resume, processes=processes)
        except Interrupted as error:
            return str(error)
    return None


def stop_itself(update: int | None) -> None:
    original = Trainer.update_weights

    def stopping(trainer: Trainer, *arguments: Any) -> None:
        if trainer.position.update + 1 == update:  # in time for this update
            os.kill(os.getpid(), signal.SIGTERM)
        original(trainer, *arguments)

    Trainer.update_weights = stopping  # type: ignore[method-assign, assignment]


def exchange_messages() -> tuple[list[torch.Tensor], list[Any], Any]:
    with join_processes() as processes:
        rank = processes.world.rank
        generator = torch.Generator().manual_seed(rank)
        tensors = [torch.randn(size, generator=generator) for size in ((3,), (300, 200), (), (5, 2))]
        processes.sum(tensors)
        processes.barrier()
        return tensors, processes.gather(f"rank {rank}"), processes.once(lambda: {"rank": rank})


def claims() -> tuple[list[bool], bool]:
    with join_processes() as processes:
        asked = [processes.claim("one"), processes.claim("one"), processes.claim("other")]
        processes.barrier()
        return asked, processes.first


def leave_early() -> bool:
    """The last process leaves at once. Returns, in the first one, whether it could leave without waiting."""
    with join_processes() as processes:
        store = processes.store
        assert store
        if not processes.first:
            left = "left"
        else:
            try:
                store.wait(["left"], timedelta(seconds=0.3))
                return True
            except RuntimeError:
                return False
    store.set(left, "")
    return False


def train_by_command(config: Path, output: Path, fault: Callable[[], None], rank: int) -> None:
    if os.environ["RANK"] == str(rank):
        fault()
    sys.exit(main([str(config), "--output", str(output)]))


def kill_at_update_5() -> None:
    original = Trainer.update_weights

    def deadly(trainer: Trainer, *arguments: Any) -> None:
        if trainer.position.update == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        original(trainer, *arguments)

    Trainer.update_weights = deadly  # type: ignore[method-assign, assignment]


def data_error_at_update_5() -> None:
    original = Trainer.update_weights

    def faulty(trainer: Trainer, *arguments: Any) -> None:
        if trainer.position.update == 4:
            raise DataError("the shelf is empty")
        original(trainer, *arguments)

    Trainer.update_weights = faulty  # type: ignore[method-assign, assignment]


def nothing() -> None:
    pass


# ---- one process


def test_single_process_sends_no_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with join_processes() as processes:
        assert processes is ALONE
    tensor = torch.ones(3)
    processes.sum([tensor])
    processes.barrier()
    assert tensor.tolist() == [1, 1, 1]
    assert processes.gather(4) == [4]
    assert processes.once(lambda: 5) == 5
    assert processes.first
    assert processes.claim("word")


def test_each_process_uses_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
    cuda = torch.device("cuda")
    assert Processes().choose_device(cuda) == cuda
    assert Processes(local_rank=1, local_size=2).choose_device(cuda) == torch.device("cuda", 1)
    assert Processes(local_rank=2, local_size=3).choose_device(torch.device("cpu")).type == "cpu"
    with pytest.raises(MachineError, match="3 processes on a machine with 2 GPUs"):
        Processes(local_rank=2, local_size=3).choose_device(cuda)


def test_every_weight_gets_a_gradient() -> None:
    """A process without a pair contributes zeros, which must not add gradients to weights that have none elsewhere."""
    for decoder in ("parallel", "input_feeding"):
        network = tiny.network(decoder=decoder, decoder_layers=2)
        tiny.loss(network, tiny.batch()).backward()
        assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


# ---- two processes


def test_messages() -> None:
    (first, words, once), (second, *others) = ranks.results(exchange_messages)
    generators = [torch.Generator().manual_seed(rank) for rank in (0, 1)]
    for ours, theirs in zip(first, second, strict=True):
        parts = [torch.randn(ours.shape, generator=generator) for generator in generators]
        assert torch.equal(ours, theirs)
        torch.testing.assert_close(ours, parts[0] + parts[1])
    assert [words, once] == others == [["rank 0", "rank 1"], {"rank": 0}]


def test_one_process_gets_a_claim() -> None:
    asked, firsts = zip(*ranks.results(claims), strict=True)
    assert firsts == (True, False)
    assert sorted(one for one, _, _ in asked) == [False, True]
    assert sorted(other for _, _, other in asked) == [False, True]
    assert not any(again for _, again, _ in asked)


def test_a_process_that_ends_early_waits_for_the_others() -> None:
    assert ranks.results(leave_early) == [False, False]


def test_two_processes_train_as_one(whole: Config, half: Config, tmp_path: Path) -> None:
    train(whole, tmp_path / "one")
    ranks.results(join_and_train, half, tmp_path / "two")
    assert_alike(tmp_path / "two", tmp_path / "one")


def test_two_processes_fine_tune_as_one(prefix: Path, tmp_path: Path) -> None:
    """Frozen weights get no zeros as gradients: they would decay by them."""
    train(tiny.config(prefix, *SETTINGS, WHOLE, "training.max_updates=2"), tmp_path / "first")
    tuned = ("training.freeze=[encoder]", "training.weight_decay=0.5", "training.max_updates=6")
    settings = (*SETTINGS, *tuned, f"training.start_from={tmp_path / 'first'}", "training.schedule=constant")
    train(tiny.config(prefix, *settings, WHOLE), tmp_path / "one")
    ranks.results(join_and_train, tiny.config(prefix, *settings, HALF), tmp_path / "two")
    assert_alike(tmp_path / "two", tmp_path / "one")


def test_resuming_with_as_many_processes_is_exact(half: Config, tmp_path: Path) -> None:
    """A signal to any of them stops all of them after the same update."""
    ranks.results(join_and_train, half, tmp_path / "whole")
    words = ranks.results(join_and_train, half, tmp_path / "parts", False, 7)
    assert words == ["stopped after update 7; --resume continues from there"] * 2
    assert newest(tmp_path / "parts").name == "update-00000007"
    ranks.results(join_and_train, half, tmp_path / "parts", True)
    for name in ("model.safetensors", "training.safetensors", "state.json"):
        parts = [(newest(tmp_path / run) / name).read_bytes() for run in ("whole", "parts")]
        assert parts[0] == parts[1], name
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_resuming_with_more_and_with_fewer_processes(
    whole: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Updates keep their size: one process, then two, then one again."""
    train(whole, tmp_path / "one")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update_weights", Trainer.update_weights)
        stop_itself(5)
        with pytest.raises(Interrupted):
            train(whole, tmp_path / "mixed")
    ranks.results(join_and_train, whole, tmp_path / "mixed", True, 11)
    assert newest(tmp_path / "mixed").name == "update-00000011"
    train(whole, tmp_path / "mixed", resume=True)
    assert_alike(tmp_path / "mixed", tmp_path / "one")


def test_a_process_without_a_pair(prefix: Path, tmp_path: Path) -> None:
    """In updates of a single pair, the other process has no pair but must take part."""
    limits = ("training.max_updates=4", "training.batch_tokens=1", "training.accumulate=1")
    config = tiny.config(prefix, *SETTINGS, *limits)
    train(config, tmp_path / "one")
    ranks.results(join_and_train, config, tmp_path / "two")
    sizes = [
        json.loads((newest(tmp_path / run) / "state.json").read_text())["size"]["tokens"] for run in ("one", "two")
    ]
    assert sizes == [1, 2]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)


@pytest.mark.parametrize(
    ("fault", "rank", "override", "statuses", "message"),
    [
        (kill_at_update_5, 1, {}, [2, -signal.SIGKILL], "another process of this training run has ended"),
        (kill_at_update_5, 0, {}, [-signal.SIGKILL, 2], "another process of this training run has ended"),
        (data_error_at_update_5, 1, {}, [2, 2], "the shelf is empty"),
        (nothing, 0, {"train": [{"path": "nowhere"}]}, [2, 2], "nowhere"),
        (nothing, 0, {"tarin": "x"}, [2, 2], "did you mean data.train"),
    ],
    ids=["killed", "first-killed", "error-in-one", "error-while-others-wait", "error-in-all"],
)
def test_all_processes_end_with_one_message(
    half: Config,
    tmp_path: Path,
    fault: Callable[[], None],
    rank: int,
    override: dict[str, Any],
    statuses: list[int],
    message: str,
) -> None:
    content = yaml.safe_load(dump_config(half))
    content["data"] |= override
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    arguments = (tmp_path / "config.yaml", tmp_path / "run", fault, rank)
    ended = ranks.run(train_by_command, *arguments)
    assert [one.status for one in ended] == statuses
    lines = messages_in([line for one in ended for line in one.stderr.decode().splitlines()])
    assert len(lines) == 1
    assert message in lines[0]
    assert not any(b"Traceback" in one.stderr for one in ended)
    assert not list(tmp_path.glob("run/**/.nmt-draft*"))
    if fault is not nothing:
        assert newest(tmp_path / "run").name == "update-00000004"


# ---- torchrun itself

AS_COMMAND = """
import sys
from pathlib import Path
from test_distributed import kill_at_update_5, nothing, train_by_command

faults = {"killed": kill_at_update_5, "stopped": nothing}
train_by_command(Path(sys.argv[2]) / "config.yaml", Path(sys.argv[2]) / "run", faults[sys.argv[1]], 1)
"""


def torchrun(
    folder: Path, config: Config, fate: str, *, status: int = 1
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Train with two processes under torchrun. Yields the lines on stderr, each with the process of torchrun."""
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    (folder / "main.py").write_text(AS_COMMAND, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(folder / "main.py"), fate, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    streams = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **streams, text=True, env=environment) as process:  # type: ignore[call-overload]
        for line in process.stderr:
            yield line, process
        assert process.wait() == status


def messages_in(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("nmt-train: ") and "warning: " not in line]


def test_torchrun_is_stopped_by_a_signal(prefix: Path, tmp_path: Path) -> None:
    settings = ("training.epochs=1000", "validation.every=100000", "training.checkpoint_every=100000")
    lines = []
    for line, process in torchrun(tmp_path, tiny.config(prefix, *settings), "stopped"):
        lines.append(line)
        if "update 8 " in line:
            process.send_signal(signal.SIGTERM)
    update = int(newest(tmp_path / "run").name[-8:])
    assert messages_in(lines) == [f"nmt-train: stopped after update {update}; --resume continues from there\n"]
    assert sum("stopping after this update" in line for line in lines) == 1
    assert len(CheckpointFolder(tmp_path / "run").all()) == 1
    assert sum("pairs kept" in line for line in lines) == 1


@pytest.mark.slow
def test_the_processes_of_a_killed_torchrun_save_and_end(prefix: Path, tmp_path: Path) -> None:
    settings = ("training.epochs=100000", "validation.every=1000000", "training.checkpoint_every=1000000")
    descriptors: list[int] = []
    config = tiny.config(prefix, *settings)
    for line, process in torchrun(tmp_path, config, "stopped", status=-signal.SIGKILL):
        if "update 8 " in line:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split()
            descriptors += [os.pidfd_open(int(child)) for child in children]
            process.kill()
    assert len(descriptors) >= 2
    assert all(select.select([descriptor], [], [], 60)[0] for descriptor in descriptors)
    assert len(CheckpointFolder(tmp_path / "run").all()) == 1


def test_torchrun_ends_when_a_process_is_killed(half: Config, tmp_path: Path) -> None:
    lines = [line for line, _ in torchrun(tmp_path, half, "killed")]
    assert len(messages_in(lines)) == 1
    assert "another process of this training run has ended" in messages_in(lines)[0]
    assert "--resume continues from the last checkpoint" in messages_in(lines)[0]
    assert newest(tmp_path / "run").name == "update-00000004"
    assert any("SIGKILL" in line for line in lines)  # torchrun names the process that died
