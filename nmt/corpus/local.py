"""Workers on this machine: processes, each of which takes one shard after the other.

The packed model is mapped into memory once for all of them. A worker that is killed is replaced, and its shard is
begun again. If a shard kills several workers, one of its records is probably to blame. The shard is then processed
record by record, and a record that kills a worker once more is left out.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nmt.corpus.job import Job, Shard
from nmt.corpus.work import Marker, Worker
from nmt.system.machine import keep_memory
from nmt.system.processes import Child, ChildKilledError, Parent, wait_for_any

logger = logging.getLogger(__name__)

_PATIENCE = 2  # a shard that has killed this many workers is processed record by record
_STARTS = 3  # this many workers in a row that die before their first shard end the job


@dataclass
class _Task:
    """A shard that is not done, and what happened to its workers."""

    shard: Shard
    deaths: int = 0
    poison: set[int] = field(default_factory=set)
    last: int = 0
    """The record that a careful worker has begun, or 0."""


def run_local(url: str, job: Job, shards: Sequence[Shard], *, workers: int, watch: Callable[[Marker], None]) -> None:
    """Process shards with several processes. Return when all of them are done.

    Args:
        url: the folder of the job.
        job: the job.
        shards: the shards that are not done.
        workers: the number of processes.
        watch: a function that is called with the marker of each shard that is done.

    Raises:
        UserError: as in `Worker`. All workers are stopped, and all shards that are done stay done.
        MachineError: workers are killed before they have begun.
    """
    waiting = deque(map(_Task, shards))
    busy: dict[Child, _Task | None] = {}
    failed_starts = 0
    try:
        while waiting or any(busy.values()):
            while len(busy) < min(workers, len(waiting) + sum(task is not None for task in busy.values())):
                busy[_start(url, job)] = None
            for child in wait_for_any(busy):
                task = busy[child]
                try:
                    message = child.receive()
                except ChildKilledError:
                    del busy[child]
                    child.close()
                    if task is None:
                        failed_starts += 1
                        if failed_starts == _STARTS:
                            raise
                    else:
                        waiting.appendleft(_blame(task))
                    continue
                failed_starts = 0
                if isinstance(message, int):
                    assert task
                    task.last = message
                    continue
                if isinstance(message, Marker):
                    watch(message)
                busy[child] = waiting.popleft() if waiting else None
                if (task := busy[child]) is not None:
                    task.last = 0
                    _send(child, task)
                else:
                    del busy[child]
                    child.close()
    finally:
        for child in busy:
            child.close()


def _start(url: str, job: Job) -> Child:
    advice = "the job continues when it is started again"
    return Child(_serve, url, job, method="spawn", name="a worker process", advice=advice)


def _send(child: Child, task: _Task) -> None:
    with contextlib.suppress(ChildKilledError):  # the next `receive` reports it
        child.send((task.shard, frozenset(task.poison), task.deaths >= _PATIENCE))


def _blame(task: _Task) -> _Task:
    """Return the task of a worker that was killed, as the next worker should do it."""
    task.deaths += 1
    if task.last:
        task.poison.add(task.last)
        logger.warning("%s, record %d: ended a worker process, and is left out", task.shard.name, task.last)
    return task


def _serve(parent: Parent, url: str, job: Job) -> None:
    keep_memory()
    logging.getLogger("nmt.translation").setLevel(logging.ERROR)  # its warnings count lines within a block
    worker = Worker(url, job)
    parent.send(None)
    while True:
        shard, poison, is_careful = parent.receive()
        parent.send(worker.process(shard, poison=poison, announce=parent.send if is_careful else None))
