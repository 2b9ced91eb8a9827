"""Kill a running job of nmt-corpus at random, and start it again, until it is done. scripts/kill-corpus calls this."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

KINDS = ("worker", "driver", "all")
"""What is killed: a worker process, the process that gives out the shards, or all processes of the job at once."""

_POLL = 0.005  # seconds between two looks at the job
_PATIENCE = 3600.0  # seconds until a job that hangs is given up


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened to a job."""

    kills: Counter[str] = field(default_factory=Counter)
    """How often each of KINDS was killed."""
    starts: int
    """How often the command was started."""
    messages: str
    """The standard error of all starts."""


def run_with_kills(
    arguments: Sequence[str], count_done: Callable[[], int], shards: int, *, kills: int, seed: int, delay: float
) -> Outcome:
    """Run a job of nmt-corpus until it is done, and kill it meanwhile.

    Args:
        arguments: the arguments of nmt-corpus.
        count_done: a function that counts the shards that are done.
        shards: the number of shards of the job.
        kills: the number of kills. They are spread over the job: each waits until a random number of
            shards is done, at most three quarters.
        seed: the seed of these numbers, of what is killed, and of the delays.
        delay: the maximum number of seconds between a marker and a kill.

    Raises:
        RuntimeError: the command failed by itself, or did not end.
    """
    draw = random.Random(seed)
    plan = [(draw.randrange(shards * 3 // 4 or 1), draw.choice(KINDS), draw.uniform(0, delay)) for _ in range(kills)]
    plan.sort(key=lambda one: one[0], reverse=True)
    counts: Counter[str] = Counter()
    messages, starts = b"", 0
    end = time.monotonic() + _PATIENCE
    while True:
        starts += 1
        command = [sys.executable, "-m", "nmt.commands.corpus", *arguments]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
        try:
            while process.poll() is None:
                if time.monotonic() > end:
                    raise RuntimeError("the job does not end")
                if plan and count_done() >= plan[-1][0]:
                    time.sleep(plan[-1][2])
                    if _kill(process.pid, plan[-1][1], draw):
                        counts[plan.pop()[1]] += 1
                time.sleep(_POLL)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # workers end by themselves, but perhaps later
            messages += process.communicate()[1]
        if process.returncode == 0:
            return Outcome(kills=counts, starts=starts, messages=messages.decode())
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"exit status {process.returncode}: {messages.decode()}")


def count_files(folder: Path) -> int:
    """Count the files of a folder, which may not exist yet."""
    return len(os.listdir(folder)) if folder.exists() else 0


def _kill(driver: int, kind: str, draw: random.Random) -> bool:
    """Kill a process of the job with SIGKILL. Return False if no such process is running."""
    with contextlib.suppress(OSError):
        if kind == "all":
            os.killpg(driver, signal.SIGKILL)
        elif kind == "driver":
            os.kill(driver, signal.SIGKILL)
        else:
            children = Path(f"/proc/{driver}/task/{driver}/children").read_text("ascii").split()
            workers = [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
            if not workers:
                return False
            os.kill(draw.choice(workers), signal.SIGKILL)
        return True
    return False


def read_outputs(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files of a folder by name."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
