"""The engine `ray`: actors on a Ray cluster, each of which holds the models and processes one shard after the other.

The folders of the job and of the models must be visible from all machines. Actors and machines can die, and machines
can be added while the job runs.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nmt.corpus.ledger import Ledger, Marker
from nmt.corpus.run import Share, Work, log_start
from nmt.corpus.shard import Attempt, Position, process_shard
from nmt.corpus.tasks import Task
from nmt.errors import DataError, MachineError, UserError

logger = logging.getLogger(__name__)

_STORE_BYTES = 200 << 20  # enough for positions and markers, which are small; the default is a third of the memory
_WAIT = 1.0  # seconds between two looks at the size of the cluster
_PAUSE = 0.5  # seconds between two looks for work while other processes have claimed all shards that are left
_STILLBORN = 20  # the number of actors that die one after another, without any work, before the job ends


@dataclass(kw_only=True)
class _Actor:
    """An actor, as the driver sees it."""

    handle: Any
    pending: Any
    """What the driver waits for: whether the actor is ready, or what it sends while it processes a shard. None if it is
    idle."""
    attempt: Attempt | None = None
    position: Position | None = None


class _Remote:
    """The actor itself."""

    def __init__(self, ledger: Ledger, task: Task) -> None:
        self._ledger, self._task = ledger, task
        self._work = task.prepare()

    def is_ready(self) -> bool:
        return True

    def process(self, attempt: Attempt) -> Iterator[Position | Marker | UserError]:
        """Process a shard. Yield the positions, and at the end the marker, or the error."""
        messages: queue.Queue[Any] = queue.Queue()

        def run() -> None:
            try:
                messages.put(process_shard(self._ledger, attempt, self._work, self._task.columns, messages.put))
            except Exception as error:
                messages.put(error)

        threading.Thread(target=run, daemon=True).start()
        while True:
            message = messages.get()
            if isinstance(message, Exception) and not isinstance(message, UserError):
                raise message
            yield message
            if not isinstance(message, Position):
                return


def run_ray(
    ledger: Ledger, task: Task, *, workers: int | None = None, address: str | None = None, share: Share | None = None
) -> None:
    """Process all shards of a job that are left, with actors of Ray.

    Args:
        ledger: the record of the job, which has been started.
        task: what is done.
        workers: the number of actors. Each uses one core. By default, there is one for each core of the cluster, also
            if its size changes.
        address: the cluster, as `ray.init` takes it, or None to start Ray on this machine.
        share: the share of this process.

    Raises:
        DataError: the input of a shard cannot be read, or has changed. All other shards are done.
        MachineError: Ray is not installed, the cluster cannot be reached, or the output cannot be written.
        UserError: a model cannot be used.
    """
    try:
        import ray
    except ImportError as error:
        raise MachineError("--engine ray needs the package ray; install the extra: pip install 'nmt[ray]'") from error
    settings: dict[str, Any] = (
        {"address": address} if address else {"object_store_memory": _STORE_BYTES, "num_cpus": workers}
    )
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False, **settings)
    except Exception as error:  # Ray has no common class of errors
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MachineError(f"--engine ray: {first}; check --address, or start a cluster with ray start") from error
    work = Work(ledger, share, can_divide=task.can_divide)
    cluster = _Cluster(ray, ledger, task)
    try:
        ledger.remove_drafts()
        log_start(ledger, work, workers or cluster.size())
        cluster.run(work, workers)
    finally:
        ray.shutdown()
        work.end()
        ledger.remove_drafts()
    work.check()


class _Cluster:
    """The actors of a job."""

    def __init__(self, ray: Any, ledger: Ledger, task: Task) -> None:
        self._ray = ray
        self._type: Any = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Remote)
        self._arguments = ray.put(ledger), task
        self._actors: list[_Actor] = []
        self._stillborn = 0

    def size(self) -> int:
        """Return the number of cores of the cluster."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def run(self, work: Work, workers: int | None) -> None:
        """Process shards until none is left."""
        looked = float("-inf")
        limit = workers or 1
        while True:
            if workers is None and time.monotonic() - looked > _WAIT:
                limit, looked = self.size(), time.monotonic()
            while len(self._actors) < min(limit, work.count + self._count_busy()):
                handle = self._type.remote(*self._arguments)
                self._actors.append(_Actor(handle=handle, pending=handle.is_ready.remote()))
            for actor in self._actors:
                if actor.pending is None and (attempt := work.take()):
                    self._give(actor, attempt)
            if not self._count_busy() and not work.count:
                return
            pending = {actor.pending: actor for actor in self._actors if actor.pending is not None}
            if not pending:
                time.sleep(_PAUSE)  # other processes have claimed the rest
            else:
                ready, _ = self._ray.wait(list(pending), num_returns=1, timeout=_WAIT, fetch_local=False)
                for one in ready:
                    self._receive(pending[one], work)
            work.tick()

    def _count_busy(self) -> int:
        return sum(actor.attempt is not None for actor in self._actors)

    def _give(self, actor: _Actor, attempt: Attempt) -> None:
        actor.attempt, actor.position = attempt, None
        actor.pending = actor.handle.process.options(num_returns="streaming").remote(attempt)

    def _receive(self, actor: _Actor, work: Work) -> None:
        """Handle what an actor has sent, or its death.

        Raises:
            UserError: no shard can be processed. The error of a single shard is only noted.
        """
        attempt = actor.attempt
        try:
            message = self._ray.get(next(actor.pending) if attempt else actor.pending)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except self._ray.exceptions.RayActorError as error:
            self._bury(actor, work, error)
            return
        if attempt is None:
            actor.pending = None
        elif isinstance(message, Position):
            actor.position, self._stillborn = message, 0
        elif isinstance(message, UserError) and not isinstance(message, DataError):
            raise message
        else:
            actor.attempt, actor.pending, actor.position = None, None, None
            if isinstance(message, Marker):
                work.finish(attempt.shard, message)
            else:
                work.fail(attempt.shard, message)

    def _bury(self, actor: _Actor, work: Work, error: Exception) -> None:
        """Remove an actor that has died, and put its shard back."""
        self._actors.remove(actor)
        cause = getattr(error, "cause", None)
        if isinstance(cause, UserError):
            raise cause from None
        self._stillborn += actor.position is None
        if self._stillborn >= _STILLBORN:
            raise MachineError(
                "--engine ray: actors die before they have done any work; see the logs of Ray, or use --engine local"
            ) from error
        if actor.attempt:
            logger.info("an actor died; shard %d begins again", actor.attempt.shard.number)
            if following := work.bury(actor.attempt.shard, actor.position):
                work.put_back(following)
