"""Workers on a Ray cluster: actors, each of which takes one shard after the other.

Ray replaces an actor that was killed, and begins its shard again. The folders of the job must be visible from all
machines, or be in an object store.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from nmt.corpus.job import Job, Shard
from nmt.corpus.work import Marker, Worker
from nmt.errors import MachineError, UserError

_RETRIES = 3  # how often a shard is begun again after its worker was killed
_STORE_BYTES = 200 << 20  # enough for shards and markers, which are small; the default is a third of the memory


def run_ray(
    url: str,
    job: Job,
    shards: Sequence[Shard],
    *,
    workers: int,
    address: str | None,
    watch: Callable[[Marker], None],
) -> None:
    """Process shards with actors of Ray. Return when all of them are done.

    Args:
        url: the folder of the job.
        job: the job.
        shards: the shards that are not done.
        workers: the number of actors. Each uses one core.
        address: the cluster, as `ray.init` takes it, or None to start Ray on this machine.
        watch: a function that is called with the marker of each shard that is done.

    Raises:
        UserError: as in `Worker`.
        MachineError: Ray is not installed, the cluster cannot be reached, or a shard has killed several workers.
    """
    try:
        import ray
    except ImportError as error:
        raise MachineError("--engine ray needs the package ray; install the extra: pip install 'nmt[ray]'") from error
    settings: dict[str, Any] = {"address": address} if address else {"object_store_memory": _STORE_BYTES}
    try:
        ray.init(
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False,
            num_cpus=None if address else workers,
            **settings,
        )
    except Exception as error:  # Ray has no common class of errors
        raise MachineError(f"--engine ray: {str(error).splitlines()[0]}; check --address") from error
    try:
        actor: Any = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES)(Worker)
        idle, waiting = deque(actor.remote(url, job) for _ in range(min(workers, len(shards)))), deque(shards)
        running: dict[Any, tuple[Any, Shard]] = {}
        while waiting or running:
            while idle and waiting:
                worker, shard = idle.popleft(), waiting.popleft()
                running[worker.process.remote(shard)] = worker, shard
            (ready, *_), _ = ray.wait(list(running))
            worker, shard = running.pop(ready)
            watch(_get(ready, shard))
            idle.append(worker)
    finally:
        ray.shutdown()


def _get(result: Any, shard: Shard) -> Marker:
    """Return the marker of a shard that is done, or raise the error of its worker."""
    import ray

    try:
        marker: Marker = ray.get(result)
        return marker
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except ray.exceptions.RayActorError as error:
        if isinstance(error.cause if hasattr(error, "cause") else None, UserError):
            raise
        raise MachineError(
            f"shard {shard.name}: has killed {_RETRIES + 1} workers of Ray; --engine local finds the record to blame"
        ) from error
