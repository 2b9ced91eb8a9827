"""Several processes that train one network together: torchrun starts them, and they exchange messages by torch.distributed.

    torchrun --nproc-per-node 2 $(which nmt-train) CONFIG --output DIR

Every process holds the whole network and optimizer, computes its share of each update, sums its gradients with those from the
other processes and takes the same step. The weights are equal everywhere, so anything derived from them, such as learning rates
and the end of training, needs no communication. Only the first process writes the log, metrics and checkpoints.

Gradients are summed in place, each large tensor on its own, all at the same time. Alternatives that were tried and are slower:
one flat buffer (its copies cost what larger messages save); sharding the optimizer (with gloo, sending the weights costs more
than the saved part of Adam); summing during the backward pass (on one machine the sum is work for the same cores, so there is
nothing to overlap; over a slow network, a larger `training.accumulate` makes sums rarer).
"""

import contextlib
import logging
import os
import re
import signal
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
from nmt.system.signals import SIGNALS

T = TypeVar("T")

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # set by torchrun in each process
_SMALL = 1 << 15  # tensors with fewer numbers share a message: a copy costs less than a message each
# Preparing data in the first process may take any time. The end of a process is noticed at once, whatever the timeout.
_TIMEOUT = timedelta(days=365)


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes of a training, and how they communicate. With one process, every method returns at once.

    All processes must call the same methods in the same order. A method that waits for a process that has ended raises
    MachineError.
    """

    world: World = field(default_factory=World)
    local_rank: int = 0  # among the processes on this machine
    local_size: int = 1
    store: Store | None = None
    group: dist.ProcessGroup | None = None  # for all messages but gradients: without a timeout, and on the CPU

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.world.rank == 0

    def choose_device(self, device: torch.device) -> torch.device:
        """The device for this process: with several processes per machine, each takes another GPU.

        Raises:
            MachineError: The machine has too few GPUs.
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
        """Call a function in the first process and return its result, which is pickled, in all of them."""
        value = [function() if self.first else None]
        if self.world.size > 1:
            with _report_lost_process():
                dist.broadcast_object_list(value, src=0, group=self.group)
        return value[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """The values from all processes, ordered by rank, in all processes."""
        values: list[Any] = [value] * self.world.size
        if self.world.size > 1:
            with _report_lost_process():
                dist.all_gather_object(values, value, group=self.group)
        return values

    def barrier(self) -> None:
        """Return when all processes have called this."""
        if self.world.size > 1:
            with _report_lost_process():
                dist.barrier(group=self.group)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over the processes, which are bitwise equal in all processes."""
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
        """Whether this process is the first to ask, so that one of them reports `what` and the others do not."""
        if self.store is None:
            return True
        try:
            return bool(self.store.add(f"claims/{what}", 1) == 1)
        except RuntimeError:  # torchrun has ended, so probably no other process is left
            return True


ALONE = Processes()


@contextlib.contextmanager
def join_processes() -> Iterator[Processes]:
    """Join the processes that torchrun started, for the length of the block. Without torchrun, this process is alone.

    Errors that leave the block are marked as reported in all processes but one, so that only one prints the message.

    Raises:
        MachineError: The other processes cannot be reached.
    """
    if not os.environ.keys() >= set(_VARIABLES) or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE
        return
    processes = _join()
    try:
        with _mute_progress(not processes.first):
            yield processes
            processes.barrier()  # so that a clean exit is not mistaken for a crash
    except NmtError as error:
        for number in SIGNALS:  # torchrun ends this process because another one ended; the message has to come first
            signal.signal(number, signal.SIG_IGN)
        # All processes are interrupted after the same update, but other errors may occur in a single one.
        error.reported = not (processes.first if isinstance(error, Interrupted) else processes.claim("end"))
        raise
    except BaseException:  # a bug or a kill: the traceback is what should be read
        processes.claim("end")
        raise
    finally:
        dist.destroy_process_group()


def _join() -> Processes:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    with _report_lost_process():
        store, rank, size = next(rendezvous("env://"))
        local_size = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        # torchrun's store, with all keys in it, outlives the processes that torchrun restarts (pytorch issue 135712). So each
        # start has its own keys. With several machines the counts of restarts differ between them and cannot be used.
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
def _mute_progress(mute: bool) -> Iterator[None]:
    """Log warnings only: the first process logs the progress."""
    logger = logging.getLogger("nmt")
    level = logger.level
    if mute:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _report_lost_process() -> Iterator[None]:
    """Turn a failed message between processes into one clear line."""
    try:
        yield
    except RuntimeError as error:  # gloo does not define an error class
        why = re.sub(r"^(\[[^]]*\] *)+|(\. |\n).*", "", str(error), flags=re.DOTALL)
        raise MachineError(
            f"another process of this training has ended or cannot be reached ({why}); "
            "--resume continues from the last checkpoint"
        ) from error
