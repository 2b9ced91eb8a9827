"""Worker processes, which apply a function to many arguments on several cores.

Workers are forked. So the objects that the function uses, such as a model, are shared copy-on-write and never pickled.
A fork copies a lock that another thread holds, but not the thread that would release the lock. So workers must be
started before the caller starts threads.

concurrent.futures is not used, because it cannot end running work, so Ctrl-C would wait for it. Its threads also print
tracebacks if workers end first. multiprocessing.Pool is not used, because it hangs if a worker is killed. In this
module the parent has no threads. It sends each worker one argument at a time through a pipe, and notices that a worker
was killed because the pipe ends.

Workers belong to the process that started them. A process that is forked later cannot use them, and does not end them.
"""

import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch

from nmt.errors import MachineError
from nmt.system.files import reason
from nmt.system.processes import Child, Parent, wait_for_any

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def can_fork() -> bool:
    """Check whether this system supports workers. On macOS a fork is not safe, because of libraries that torch uses."""
    return sys.platform == "linux"


class Workers(Generic[Argument, Result]):
    """Processes that wait for work. Each uses one torch thread.

    Args:
        work: the function to apply. Its arguments and results are pickled, but the function itself is not.
        count: the number of processes.

    Raises:
        MachineError: the system cannot start this many processes.
    """

    def __init__(self, work: Callable[[Argument], Result], count: int) -> None:
        self._children: list[Child] = []
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, _end, self._children)
        """End the workers, even if they are busy, and wait until they have ended. `close.alive` is False afterwards."""
        try:
            for _ in range(count):
                advice = "use fewer threads or smaller batches"
                self._children.append(Child(_serve, work, method="fork", name="a worker process", advice=advice))
        except OSError as error:
            self.close()
            message = f"{count} worker processes cannot be started ({reason(error)}); use fewer threads"
            raise MachineError(message) from error

    @property
    def count(self) -> int:
        """The number of processes."""
        return len(self._children)

    @property
    def inherited(self) -> bool:
        """Whether a fork has copied this object into another process, which cannot use the workers."""
        return os.getpid() != self._owner

    def map(self, arguments: Sequence[Argument]) -> list[Result]:
        """Apply the function to each argument and return the results in order.

        Workers get the arguments in order. If the arguments with the most work come first, all workers finish at about
        the same time. An error or Ctrl-C closes the workers.

        Raises:
            MachineError: a worker was killed.
            RuntimeError: the workers are closed or inherited, or an error that the function raised cannot be pickled.
            Exception: the function raised this error.
        """
        if self.inherited:
            raise RuntimeError("the workers belong to the process that started them; start new ones in this process")
        with self._lock:  # the pipes serve one call at a time
            if not self.close.alive:
                raise RuntimeError("the workers are closed: by close(), or by an error or Ctrl-C in another call")
            try:
                return self._map(arguments)
            except BaseException:
                self.close()  # before another thread gets the lock
                raise

    def _map(self, arguments: Sequence[Argument]) -> list[Result]:
        waiting = iter(enumerate(arguments))
        results: dict[int, Result] = {}
        busy: dict[Child, int] = {}  # the index of the argument on which each worker works
        idle = list(self._children)
        while len(results) < len(arguments):
            for child, (index, argument) in zip(idle, waiting, strict=False):
                child.send(argument)
                busy[child] = index
            idle = wait_for_any(busy)
            for child in idle:
                results[busy.pop(child)] = child.receive()
        return [results[index] for index in range(len(arguments))]


def _end(children: list[Child]) -> None:
    for child in children:
        child.close()


def _serve(parent: Parent, work: Callable[[Any], Any]) -> None:
    """Run in a worker. Receive arguments and send the results."""
    # The garbage collector then ignores inherited objects. It would write to their memory, which would end the sharing.
    gc.freeze()
    gc.enable()  # the parent may have disabled it, as nmt.commands.process.startup does
    torch.set_num_threads(1)  # with more, torch would wait for threads that a fork does not copy
    while True:
        parent.send(work(parent.receive()))
