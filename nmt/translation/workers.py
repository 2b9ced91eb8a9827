"""Worker processes. They apply a function to many arguments on several cores.

Workers are forked, so they share the objects that the function uses, such as a model, copy-on-write. These objects are
never pickled. Workers must be started before the caller starts threads. Otherwise, a fork could copy a lock that
another thread holds, but not the thread that would release it.

The parent needs no threads for the workers. It sends each worker one argument at a time through a pipe. If a worker is
killed, its pipe ends, and the parent notices this. concurrent.futures is not used, because it cannot end running work:
Ctrl-C would wait for the work. Its threads also print tracebacks if workers end first. multiprocessing.Pool is not
used, because it hangs if a worker is killed.

Workers belong to the process that started them. A process that is forked later can neither use them nor end them.
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
    """Return whether this system supports workers. On macOS, a fork is not safe with the libraries that torch uses."""
    return sys.platform == "linux"


class Workers(Generic[Argument, Result]):
    """A number of processes that wait for work. Each process uses one torch thread.

    Args:
        work: the function to apply. The arguments and the results are pickled, but the function is not.
        count: the number of processes.

    Raises:
        MachineError: the system cannot start this many processes.
    """

    def __init__(self, work: Callable[[Argument], Result], count: int) -> None:
        self._children: list[Child] = []
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, _end, self._children)
        """End the workers, even if they are busy, and wait for their end. After that, `close.alive` is False."""
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
        """Whether another process started the workers, and this process is a fork of it.

        This process cannot use the workers.
        """
        return os.getpid() != self._owner

    def map(self, arguments: Sequence[Argument]) -> list[Result]:
        """Apply the function to each argument. Return the results in the order of the arguments.

        Workers receive the arguments in order. If the arguments that take longest come first, all workers finish at
        about the same time. An error or Ctrl-C closes the workers.

        Raises:
            MachineError: a worker was killed.
            RuntimeError: the workers are closed, another process started them (see `inherited`), or the function
                raised an error that cannot be pickled.
            Exception: the function raised an error. The same error is raised here.
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
        busy: dict[Child, int] = {}  # for each busy worker, the index of its current argument
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
    """Run in a worker: receive arguments and send the results."""
    # The garbage collector must ignore inherited objects. If it wrote to their memory, they would no longer be shared.
    gc.freeze()
    gc.enable()  # the parent may have disabled the garbage collector, as nmt.commands.process.startup does
    torch.set_num_threads(1)  # with more threads, torch would wait for threads that a fork does not copy
    while True:
        parent.send(work(parent.receive()))
