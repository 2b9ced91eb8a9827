"""Training runs that a signal ends at a random moment.

After --resume, the weights must equal the weights of an undisturbed run.
"""

import contextlib
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fuzzing.case import Case, import_for_training
from fuzzing.commands import CONFIG
from fuzzing.models import ENGLISH, GERMAN
from nmt.commands import train as train_command
from nmt.system.files import DRAFT, verify_checksums
from nmt.system.signals import end_at_once, handle_signals

KINDS = ("bpe", "unigram", "words")
LINES = 1500  # enough that the vocabulary and the preparation take a part of the time
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}


def prepare(shared: Path) -> Callable[[random.Random, Path], Case]:
    """Train a model of each kind undisturbed, and return the function that makes a case."""
    import_for_training()
    write_corpus(shared)
    seconds = {}
    for kind in KINDS:
        config = configure(shared, kind)
        (shared / f"{kind}.json").write_text(json.dumps(config), encoding="utf-8")
        start = time.monotonic()
        status = wait(start_training(shared / f"{kind}.json", shared / kind, shared / "log"))
        if status:
            raise RuntimeError((shared / "log").read_text(encoding="utf-8"))
        seconds[kind] = time.monotonic() - start

    def make(draw: random.Random, folder: Path) -> Case:  # noqa: ARG001
        kind = draw.choice(KINDS)
        early = draw.choice((0.3, 1.0))  # the first third is the vocabulary and the preparation
        kills = [(draw.choice(SIGNALS), draw.random() * early * seconds[kind]) for _ in range(draw.choice((1, 1, 2)))]
        shown = ", ".join(f"{signal.Signals(number).name} after {moment:.2f} s" for number, moment in kills)
        return Case(
            name=f"{kind}: {shown}",
            act=lambda: disturb(shared, kind, kills),
            seconds=60 + 20 * max(seconds.values()),
            megabytes=1500,
        )

    return make


def write_corpus(folder: Path) -> None:
    draw = random.Random(1)
    for name, words in (("text.en", ENGLISH), ("text.de", GERMAN)):
        lines = [" ".join(draw.choice(words) + str(draw.randrange(50)) for _ in range(6)) for _ in range(LINES)]
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def configure(folder: Path, kind: str) -> dict[str, object]:
    """Return a configuration of a few updates, with checkpoints, samples of segmentations, and a shortlist."""
    tokenizer = {"kind": kind, "vocabulary_size": 300, **({} if kind == "words" else {"sampling": 0.1})}
    training = {
        "max_updates": 12,
        "batch_tokens": 256,
        "threads": 1,
        "device": "cpu",
        "checkpoint_every": 3,
        "log_every": 1,
    }
    return {
        **CONFIG,
        "data": {"train": str(folder / "text"), "valid": str(folder / "text"), "drop_overlap": False},
        "tokenizer": tokenizer,
        "training": training,
        "validation": {"sentences": 4, "metric": "loss", "every": 5},
    }


def start_training(config: Path, output: Path, log: Path, *arguments: str) -> int:
    """Start nmt-train in a forked process, as its entry point does. Return the number of the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        with open(log, "ab", buffering=0) as stream:
            os.dup2(stream.fileno(), 2)
        sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end_at_once)
        with handle_signals(end_at_once):
            status = train_command.main([str(config), "--output", str(output), *arguments])
    finally:
        os._exit(status)


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def disturb(shared: Path, kind: str, kills: Sequence[tuple[int, float]]) -> None:
    """Train with interruptions in the working folder. Raises AssertionError: the result is wrong."""
    config, output, log = shared / f"{kind}.json", Path("out").resolve(), Path("log").resolve()
    try:
        for number, moment in kills:
            pid = start_training(config, output, log, "--resume")
            with contextlib.closing(os.fdopen(os.pidfd_open(pid), "rb")) as end:
                select.select([end], [], [], moment)
            os.kill(pid, number)
            status = wait(pid)
            assert status in (0, ENDS[signal.Signals(number)]), f"exit status {status} after signal {number}"
        status = wait(start_training(config, output, log, "--resume"))
        assert status == 0, f"exit status {status} of --resume"
        compare(shared / kind, output)
    finally:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")


def compare(undisturbed: Path, output: Path) -> None:
    """Check that a training run has left the same as an undisturbed one, and nothing else."""
    for name in ("best", *sorted(path.name for path in (undisturbed / "checkpoints").iterdir())):
        expected, found = (
            folder / (name if name == "best" else f"checkpoints/{name}") for folder in (undisturbed, output)
        )
        verify_checksums(found)
        same = (expected / "model.safetensors").read_bytes() == (found / "model.safetensors").read_bytes()
        assert same, f"other weights in {name}"
    left = [path.name for path in output.rglob("*") if path.name.startswith(DRAFT) or path.name == "prepared"]
    assert not left, f"still there: {left}"
    assert sorted(os.listdir(output)) == sorted(os.listdir(undisturbed))
