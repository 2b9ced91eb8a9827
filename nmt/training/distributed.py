"""Several processes that train one network together. torchrun starts them. They communicate through torch.distributed.

    torchrun --nproc-per-node 2 $(which nmt-train) CONFIG --output DIR

Every process has the whole network and the whole optimizer. In each update, a process computes the gradients of its
share of the batches. The gradients are summed over the processes, and all processes take the same step. The weights,
the position and the learning rate are therefore equal in all processes without further communication. Only the first
process writes the log, metrics and checkpoints.

Gradients are summed in place. Each large tensor is a separate message, and all messages are sent at the same time.
These alternatives are slower:

- One buffer for all gradients. Copying the gradients into the buffer costs as much time as the larger message saves.
- Sharding of the optimizer. With gloo, sending the weights takes more time than sharding saves.
- Summing during the backward pass. On one machine, both need the same cores. If the network between machines is slow, a
  larger `training.accumulate` makes sums less frequent.
"""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined] # public, though not marked as exported
from torch.distributed.rendezvous import rendezvous

from nmt.data.cursor import World
from nmt.errors import Interrupted, MachineError, NmtError
from nmt.system.processes import watch_parent
from nmt.system.signals import SIGNALS
from nmt.training.log import mute_progress

T = TypeVar("T")

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # torchrun sets these variables in each process
_SMALL = 1 << 15  # tensors with fewer numbers are copied into one message, which is faster than many small messages
# The timeout is long, because the first process can take any time to prepare data. If a process ends, the others notice
# this at once in spite of the timeout.
_TIMEOUT = timedelta(days=365)
_STOP_SECONDS = 30  # torchrun waits as long


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes of a training run and their communication. If there is one process, every method returns at once.

    All processes must call the same methods in the same order. If a method waits for a process that has ended, it
    raises MachineError.
    """

    world: World = field(default_factory=World)
    local_rank: int = 0  # the rank among the processes on this machine
    local_size: int = 1  # the number of processes on this machine
    store: Store | None = None
    group: dist.ProcessGroup | None = None  # the group for all messages except gradients, on the CPU

    @property
    def first(self) -> bool:
        """Whether this process is the first process. The first process writes the log and checkpoints."""
        return self.world.rank == 0

    def choose_device(self, device: torch.device) -> torch.device:
        """Return the device for this process. If several processes on a machine use GPUs, each uses a different GPU.

        Raises:
            MachineError: the machine has too few GPUs.
        """
        if device.type != "cuda" or self.local_size == 1:
            return device
        if self.local_rank >= torch.cuda.device_count():
            raise MachineError(
                f"{self.local_size} processes on a machine with {torch.cuda.device_count()} GPUs; "
                "give torchrun --nproc-per-node the number of GPUs, or choose training.device cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def once(self, function: Callable[[], T]) -> T:
        """Call a function in the first process only. Return its result in all processes. The result is pickled."""
        value = [function() if self.first else None]
        if self.world.size > 1:
            with _report_lost_process():
                dist.broadcast_object_list(value, src=0, group=self.group)
        return value[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """Collect the values of all processes. Every process returns the whole list in the order of the ranks."""
        values: list[Any] = [value] * self.world.size
        if self.world.size > 1:
            with _report_lost_process():
                dist.all_gather_object(values, value, group=self.group)
        return values

    def barrier(self) -> None:
        """Wait until all processes have called this method."""
        if self.world.size > 1:
            with _report_lost_process():
                dist.barrier(group=self.group)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over all processes. The sums are bitwise equal in all processes."""
        if self.world.size == 1:
            return
        small = [tensor for tensor in tensors if tensor.numel() < _SMALL]
        large = [tensor for tensor in tensors if tensor.numel() >= _SMALL]
        packed = torch.cat([tensor.flatten() for tensor in small]) if small else torch.empty(0)
        with _report_lost_process():
            messages = [*large, packed] if small else large
            for work in [dist.all_reduce(message, async_op=True) for message in messages]:
                work.wait()
        parts = torch.split(packed, [tensor.numel() for tensor in small])
        for tensor, part in zip(small, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def claim(self, what: str) -> bool:
        """Return whether this process is the first to claim `what`. Only that process then reports it."""
        if self.store is None:
            return True
        try:
            return bool(self.store.add(f"claims/{what}", 1) == 1)
        except RuntimeError:  # torchrun has ended, so probably no other process is left
            return True


ALONE = Processes()


@contextlib.contextmanager
def join_processes() -> Iterator[Processes]:
    """Connect the processes that torchrun started. Disconnect them after the block. Without torchrun, yield `ALONE`.

    If the block raises an error, only one process prints it. In all other processes, the error is marked as reported.
    If torchrun is killed, its processes finish the current update, save a checkpoint, and exit.

    Raises:
        MachineError: the other processes cannot be reached.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun is the parent
        watch_parent(os.getppid(), _stop)
    if not os.environ.keys() >= set(_VARIABLES) or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE
        return
    processes = _join()
    try:
        with contextlib.nullcontext() if processes.first else mute_progress():
            yield processes
            processes.barrier()  # without it, other processes could take a normal exit for a crash
    except NmtError as error:
        for number in SIGNALS:  # otherwise, torchrun could end this process before it prints its message
            signal.signal(number, signal.SIG_IGN)
        # All processes raise Interrupted after the same update. Other errors may occur in only one process.
        error.reported = not (processes.first if isinstance(error, Interrupted) else processes.claim("end"))
        raise
    except BaseException:  # this is a bug or a signal, which every process that it reaches reports
        processes.claim("end")
        raise
    finally:
        dist.destroy_process_group()


def _stop() -> None:
    """Stop this process as torchrun does after a signal: send SIGTERM, and end the process if it takes too long."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOP_SECONDS)
    os._exit(128 + signal.SIGTERM)


def _join() -> Processes:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    with _report_lost_process():
        store, rank, size = next(rendezvous("env://"))
        local_size = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        # When torchrun restarts the processes, its store still contains the old keys (pytorch issue 135712). Each start
        # therefore has a different prefix for its keys. Several machines may have different counts of restarts, so
        # there the count cannot be the prefix.
        start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if local_size == size else "0"
        store = PrefixStore(start, store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        return Processes(
            world=World(rank=rank, size=size),
            local_rank=int(os.environ.get("LOCAL_RANK", rank)),
            local_size=local_size,
            store=store,
            group=dist.new_group(backend="gloo", timeout=_TIMEOUT),
        )


@contextlib.contextmanager
def _report_lost_process() -> Iterator[None]:
    """Raise MachineError, with a clear message, instead of an error in the communication between processes."""
    try:
        yield
    except RuntimeError as error:  # gloo does not define an error class
        why = re.sub(r"^(\[[^]]*\] *)+|(\. |\n).*", "", str(error), flags=re.DOTALL)
        raise MachineError(
            f"another process of this training run has ended or cannot be reached ({why}); "
            "--resume continues from the last checkpoint"
        ) from error
