"""Many processes that train one network: torchrun starts them, torch.distributed carries what they tell each other.

    torchrun --nproc-per-node 2 $(which nmt-train) CONFIG --output DIR

Every process holds the whole network and optimiser, takes its share of each update, adds up its gradients with those of the
others and makes the same update as they do. So the weights are equal everywhere, and what follows from equal numbers (learning
rates, the end of training) needs no word. Only the first process writes: the log, metrics, checkpoints.

The gradients are summed where they lie, each large tensor by itself, all under way at once. What was tried and left: one flat
buffer (the copies cost what the larger messages save); sharing the optimiser out (with gloo, sending the weights around costs
more than the part of Adam that it saves); summing during the backward pass (between processes of one machine the sum is work
for the same cores, so there is nothing to hide; over a slow network `training.accumulate` makes sums rarer).
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
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from nmt.data.cursor import World
from nmt.errors import Interrupted, MachineError, NmtError
from nmt.system.signals import SIGNALS

T = TypeVar("T")

_PLACES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun says to each process
_SMALL = 1 << 15  # tensors of fewer numbers travel together: for them a message of their own costs more than a copy
_LONG = timedelta(
    days=365
)  # others may take as long as they need to prepare data; a process that ended is noticed at once


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes of a training, and what they tell each other. Alone, every method answers at once.

    All processes must call the same methods in the same order. A method that waits for a process which has ended raises
    MachineError.
    """

    world: World = field(default_factory=World)
    local_rank: int = 0  # among the processes of this machine
    local_size: int = 1
    store: Store | None = None
    patient: dist.ProcessGroup | None = None  # for everything but gradients: waiting there costs nothing and may last

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.world.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """The device of this process: each process of a machine takes a GPU of its own. Raises MachineError: too few."""
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
        """Call a function in the first process; its result in all of them."""
        value = [function() if self.first else None]
        if self.world.size > 1:
            with _told_by_the_others():
                dist.broadcast_object_list(value, src=0, group=self.patient)
        return value[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """The values of all processes, in the order of their ranks, in all of them."""
        values: list[Any] = [value] * self.world.size
        if self.world.size > 1:
            with _told_by_the_others():
                dist.all_gather_object(values, value, group=self.patient)
        return values

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.world.size > 1:
            with _told_by_the_others():
                dist.barrier(group=self.patient)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over the processes, bit by bit the same in all of them."""
        if self.world.size == 1:
            return
        small = [tensor for tensor in tensors if tensor.numel() < _SMALL]
        large = [tensor for tensor in tensors if tensor.numel() >= _SMALL]
        packed = torch.cat([tensor.flatten() for tensor in small]) if small else torch.empty(0)
        with _told_by_the_others():
            messages = [*large, packed] if small else large
            for work in [dist.all_reduce(message, async_op=True) for message in messages]:
                work.wait()
        parts = torch.split(packed, [tensor.numel() for tensor in small])
        for tensor, part in zip(small, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def claim(self, what: str) -> bool:
        """Whether this process is the first one that asks: the one to say it for all."""
        if self.store is None:
            return True
        try:
            return bool(self.store.add(f"claims/{what}", 1) == 1)
        except RuntimeError:  # torchrun has ended, so nobody else may be left
            return True


ALONE = Processes()


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun started, for the length of the block. Without torchrun: this process alone.

    An error on purpose that leaves the block is marked as told in all processes but one: only that one needs to say it.

    Raises:
        MachineError: the others cannot be reached.
    """
    if not os.environ.keys() >= set(_PLACES) or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE
        return
    processes = _join()
    try:
        with _quiet(not processes.first):
            yield processes
            processes.wait()  # who leaves early must not look like one who died
    except NmtError as error:
        for number in SIGNALS:  # torchrun ends us because another process ended: not before this one has said why
            signal.signal(number, signal.SIG_IGN)
        # All are interrupted after the same update, but an error may be in one of them only.
        error.told = not (processes.first if isinstance(error, Interrupted) else processes.claim("end"))
        raise
    except BaseException:  # a bug, or a kill: its traceback is what should be read
        processes.claim("end")
        raise
    finally:
        dist.destroy_process_group()


def _join() -> Processes:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    with _told_by_the_others():
        store, rank, size = next(rendezvous("env://"))
        local_size = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        # torchrun's store outlives the processes that it restarts, and so does what they said in it (pytorch issue 135712).
        # On several machines its count of restarts differs from one to the other and is of no use.
        turn = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if local_size == size else "0"
        store = PrefixStore(turn, store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        return Processes(
            world=World(rank=rank, size=size),
            local_rank=int(os.environ.get("LOCAL_RANK", rank)),
            local_size=local_size,
            store=store,
            patient=dist.new_group(backend="gloo", timeout=_LONG),
        )


@contextlib.contextmanager
def _quiet(quiet: bool) -> Iterator[None]:
    """Keep what is no warning out of the log; the first process says it."""
    logger = logging.getLogger("nmt")
    level = logger.level
    if quiet:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _told_by_the_others() -> Iterator[None]:
    """Turn the failure of a message between processes into one clear line."""
    try:
        yield
    except RuntimeError as error:  # gloo has no class of its own for it
        why = re.sub(r"^(\[[^]]*\] *)+|(\. |\n).*", "", str(error), flags=re.DOTALL)
        raise MachineError(
            f"another process of this training has ended or cannot be reached ({why}); "
            "--resume goes on from the last checkpoint"
        ) from error
