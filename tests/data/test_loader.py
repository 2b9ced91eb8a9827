"""nmt/data/loader.py: the same updates and errors as without it, and no process that outlives its parent."""

import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from itertools import islice
from pathlib import Path

import pytest
import tiny
import torch

from nmt.data.batching import Batches
from nmt.data.cursor import Cursor, Update, UpdateSize
from nmt.data.loader import Loader
from nmt.data.prepare import prepare
from nmt.data.readers import read_corpora
from nmt.data.updates import UpdateOptions
from nmt.errors import DataError, MachineError
from nmt.tokenizers.build import train_tokenizers

logger = logging.getLogger("nmt.data.anything")


class Counting:
    """A source that needs no corpus. Update i is empty and says i in its progress."""

    size = UpdateSize(tokens=1)

    def __init__(self, *, fault_at: int = -1, error: Exception | None = None, sleep: float = 0.0) -> None:
        self.fault_at, self.error, self.sleep = fault_at, error, sleep

    def updates(self, cursor: Cursor) -> Generator[Update, None, None]:
        number = cursor.update
        while True:
            if number == self.fault_at and self.error:
                raise self.error
            logger.info("update %d is made by %d with %d threads", number, os.getpid(), torch.get_num_threads())
            yield Update(batches=(), after=Cursor(update=number + 1), progress=float(number))
            time.sleep(self.sleep)
            number += 1

    def convert(self, cursor: Cursor, share: float) -> Cursor:
        return cursor


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


def worker() -> int:
    (process,) = multiprocessing.active_children()
    assert process.pid
    return process.pid


def contents(updates: list[Update]) -> list[object]:
    parts = [[(b.source.tolist(), b.target.tolist(), b.first, b.update_sentences) for b in u.batches] for u in updates]
    return [parts, [(update.after, update.progress) for update in updates]]


def test_the_same_updates_from_any_place(tmp_path: Path) -> None:
    settings = ("tokenizer.kind=bpe", "tokenizer.vocabulary_size=290", "tokenizer.sampling=0.3")
    config = tiny.config(tiny.write_corpus(tmp_path), *settings)
    tokenizers = train_tokenizers(
        config.tokenizer, (pair.sides for pair in read_corpora(config.data.train, config.data))
    )
    stores = prepare(config, tokenizers, tmp_path / "prepared")
    source = Batches(
        stores,
        tokenizers=tokenizers,
        weights=None,
        options=UpdateOptions(size=UpdateSize(tokens=64), shares_per_process=2, sampling=True, seed=1),
    )
    before = torch.random.get_rng_state()
    count = source.count(0)
    for place in (Cursor(), Cursor(epoch=1, update=count - 3)):
        updates = Loader(source).updates(place)
        made = list(islice(updates, 20))
        updates.close()
        assert contents(made) == contents(list(islice(source.updates(place), 20)))
        for update in made:
            for batch in update.batches:
                batch.source.add_(0)  # the trainer may do with it what it likes
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(pickle.dumps(source)) < 100_000  # neither stores nor plans nor caches


def test_closing_ends_the_process_and_log_lines_come_through(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    updates = Loader(Counting()).updates(Cursor(update=5))
    assert next(updates).progress == 5.0
    pid = worker()
    assert caplog.messages == [f"update 5 is made by {pid} with 1 threads"]
    assert next(updates).progress == 6.0
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)  # as when a terminal or a job manager sends it to all
    assert [update.progress for update in islice(updates, 20)] == [float(number) for number in range(7, 27)]
    assert alive(pid)
    updates.close()
    assert gone(pid)
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL


def test_errors_are_the_same_as_without_loader() -> None:
    updates = Loader(Counting(fault_at=2, error=DataError("x.tsv:3: has no tab"))).updates(Cursor())
    assert [next(updates).progress, next(updates).progress] == [0.0, 1.0]
    pid = worker()
    with pytest.raises(DataError) as caught:
        next(updates)
    assert str(caught.value) == "x.tsv:3: has no tab"
    assert gone(pid)


def test_a_bug_keeps_its_traceback() -> None:
    updates = Loader(Counting(fault_at=0, error=RuntimeError("a bug"))).updates(Cursor())
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*in updates.*a bug") as caught:
        next(updates)
    assert not multiprocessing.active_children()  # the traceback of the kept error refers to the process
    assert caught.traceback


def test_killed_process_is_reported() -> None:
    updates = Loader(Counting(sleep=0.2)).updates(Cursor())
    next(updates)
    os.kill(worker(), signal.SIGKILL)
    with pytest.raises(MachineError, match="was killed, perhaps because memory ran out") as caught:
        list(islice(updates, 100))
    assert not multiprocessing.active_children()
    assert caught.traceback


def test_stuck_process_is_killed() -> None:
    updates = Loader(Counting(sleep=600)).updates(Cursor())
    next(updates)
    pid = worker()
    updates.close()
    assert gone(pid)


LEFT_ALONE = """
import os, sys
sys.path[:0] = sys.argv[1].split(":")
from test_loader import Counting, worker
from nmt.data.loader import Loader
from nmt.data.cursor import Cursor

if __name__ == "__main__":
    updates = Loader(Counting()).updates(Cursor())
    next(updates)
    print(worker(), flush=True)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), 9)
    if sys.argv[2] == "raise":
        raise KeyError("a bug")
"""


@pytest.mark.parametrize("end", ["kill", "raise", "exit"])
def test_process_ends_with_its_parent(end: str) -> None:
    command = [sys.executable, "-c", LEFT_ALONE, f"{Path(__file__).parent}:{Path(__file__).parents[1]}", end]
    user = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert user.returncode == {"kill": -9, "raise": 1, "exit": 0}[end]
    assert gone(int(user.stdout))
    assert user.stderr.count("Traceback") == (end == "raise")
