"""Worker processes: a function applied to many arguments on several cores.

Workers are forked, so that what the function holds, such as a model, is shared copy-on-write and never pickled. A fork copies
the locks of other threads without the threads that would release them, so workers start before the caller starts threads.

concurrent.futures would do most of this. But it cannot end running work, so Ctrl-C would wait, and its threads print
tracebacks when workers end first. multiprocessing.Pool hangs if a worker is killed. Here the parent has no threads: it sends
each worker one argument at a time through a pipe, and the pipe of a killed worker ends.
"""

import gc
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
    """Whether workers are possible. On macOS, forks are not safe with the system libraries that torch computes with."""
    return sys.platform == "linux"


class Workers(Generic[Argument, Result]):
    """Processes with one torch thread each that wait for work.

    Args:
        work: the function to apply. It is forked; only arguments and results are pickled.
        count: the number of processes.

    Raises:
        MachineError: the system cannot start this many processes.
    """

    def __init__(self, work: Callable[[Argument], Result], count: int) -> None:
        self._children: list[Child] = []
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, _end, self._children)
        """End the workers, whatever they are doing, and wait for that. `close.alive` is True until the first call."""
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

    def map(self, arguments: Sequence[Argument]) -> list[Result]:
        """The result for each argument.

        Arguments are handed out in order, so all workers finish at about the same time if the longest work comes first. An
        error, and Ctrl-C, close the workers.

        Raises:
            MachineError: a worker was killed.
            RuntimeError: the workers are closed, or an error of the function cannot be pickled.
            Exception: the error of the function.
        """
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
        busy: dict[Child, int] = {}  # the index of each one's argument
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
    """In a worker: answer each argument with its result."""
    gc.freeze()  # inherited objects stay; unless the collector looks at them, their memory stays shared with the parent
    gc.enable()  # disabled perhaps, as in nmt.commands.process.startup
    torch.set_num_threads(1)  # more would wait for threads that a fork does not copy
    while True:
        parent.send(work(parent.receive()))
