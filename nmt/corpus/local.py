"""The engine `local`: processes of this machine. If a process is killed, another one takes over its shard."""

import logging
import time
from dataclasses import dataclass

from nmt.corpus.ledger import Ledger, Marker
from nmt.corpus.run import Share, Work, log_start
from nmt.corpus.shard import Attempt, Position, process_shard
from nmt.corpus.tasks import Task
from nmt.errors import DataError, UserError
from nmt.system.processes import Child, ChildKilledError, Parent, wait_for_any

logger = logging.getLogger(__name__)

_PAUSE = 0.5  # seconds between two looks for work while other processes have claimed all shards that are left
_STILLBORN = 5  # the number of workers that are killed one after another, without any work, before the job ends
_ADVICE = "run the same command again with fewer --workers"


@dataclass(kw_only=True)
class _Worker:
    """A worker process, as its parent sees it."""

    child: Child
    attempt: Attempt | None = None
    """The shard that it processes."""
    position: Position | None = None
    """The lines that it processes."""


def run_local(ledger: Ledger, task: Task, *, workers: int, share: Share | None = None) -> None:
    """Process all shards of a job that are left, in processes of this machine.

    Args:
        ledger: the record of the job, which has been started.
        task: what is done.
        workers: the number of processes.
        share: the share of this machine. Without a share, machines that run the same job claim shards.

    Raises:
        DataError: the input of a shard cannot be read, or has changed. All other shards are done.
        MachineError: the output cannot be written, or several workers in succession are killed before they process a
            line.
        UserError: a model cannot be used.
    """
    work = Work(ledger, share, can_divide=task.can_divide)
    log_start(ledger, work, workers)
    pool = _Pool(ledger, task)
    try:
        ledger.remove_drafts()
        while True:
            attempt = work.take() if pool.busy < workers else None
            if attempt:
                pool.give(attempt)
                continue
            if not pool.busy:
                if not work.count:
                    break
                time.sleep(_PAUSE)  # other processes have claimed the rest
            else:
                for worker in pool.wait():
                    pool.receive(worker, work)
            work.tick()
    finally:
        pool.close()
        work.end()
        ledger.remove_drafts()
    work.check()


class _Pool:
    """The worker processes. A worker is started when there is work for it."""

    def __init__(self, ledger: Ledger, task: Task) -> None:
        self._ledger, self._task = ledger, task
        self._workers: list[_Worker] = []
        self._stillborn = 0  # the workers that were killed one after another before they processed a line

    @property
    def busy(self) -> int:
        """The number of workers that process a shard."""
        return sum(worker.attempt is not None for worker in self._workers)

    def give(self, attempt: Attempt) -> None:
        """Give a shard to an idle worker, or to a new one."""
        for worker in [worker for worker in self._workers if not worker.attempt]:
            if self._send(worker, attempt):
                return
        while True:
            child = Child(_work, self._ledger, self._task, method="spawn", advice=_ADVICE)
            worker = _Worker(child=child)
            self._workers.append(worker)
            if self._send(worker, attempt):
                return

    def _send(self, worker: _Worker, attempt: Attempt) -> bool:
        """Send a shard to a worker. If the worker was killed, remove it, and return False."""
        try:
            worker.child.send(attempt)
        except ChildKilledError:
            self._remove(worker)
            return False
        worker.attempt, worker.position = attempt, None
        return True

    def wait(self) -> list[_Worker]:
        """Wait until workers have sent something or were killed."""
        ready = wait_for_any(worker.child for worker in self._workers)
        return [worker for worker in self._workers if worker.child in ready]

    def receive(self, worker: _Worker, work: Work) -> None:
        """Handle what a worker has sent, or its death.

        Raises:
            UserError: no shard can be processed. The error of a single shard is only noted.
        """
        attempt = worker.attempt
        try:
            message = worker.child.receive()
        except ChildKilledError as error:
            self._remove(worker)
            self._stillborn += worker.position is None
            if self._stillborn >= _STILLBORN:
                raise
            if attempt and (following := work.bury(attempt.shard, worker.position)):
                logger.info("a worker was killed; shard %d begins again (%s)", attempt.shard.number, error)
                work.put_back(following)
            return
        assert attempt
        if isinstance(message, Position):
            worker.position, self._stillborn = message, 0
            return
        if isinstance(message, UserError) and not isinstance(message, DataError):
            raise message
        worker.attempt, worker.position = None, None
        if isinstance(message, Marker):
            work.finish(attempt.shard, message)
        else:
            work.fail(attempt.shard, message)

    def _remove(self, worker: _Worker) -> None:
        worker.child.close()
        self._workers.remove(worker)

    def close(self) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.child.close()


def check_task(task: Task) -> None:
    """Check that the models of a task can be used, in another process. Models are packed if necessary.

    Raises:
        UserError: a model is missing or damaged, or does not fit the settings.
    """
    for attempt in range(_STILLBORN):
        child = Child(_check, task, method="spawn", name="the process that loads the model", advice=_ADVICE)
        try:
            error = child.receive()
        except ChildKilledError:
            if attempt == _STILLBORN - 1:
                raise
            continue
        finally:
            child.close()
        if error is not None:
            raise error
        return


# ---- in the worker process


def _check(parent: Parent, task: Task) -> None:
    try:
        task.prepare()
    except UserError as error:
        parent.send(error)
    else:
        parent.send(None)


def _work(parent: Parent, ledger: Ledger, task: Task) -> None:
    try:
        work = task.prepare()
    except UserError as error:
        parent.receive()
        parent.send(error)
        return
    while True:
        attempt: Attempt = parent.receive()
        try:
            parent.send(process_shard(ledger, attempt, work, task.columns, parent.send))
        except UserError as error:
            parent.send(error)
