"""Worker processes: a function applied to many arguments on several cores.

They are forked, so that what the function holds, a model say, is in memory once and need not be sent. A fork copies the locks
of other threads without the threads that will open them, so the workers start at once, before the caller starts threads.

concurrent.futures would do most of this. But it cannot end what is under way, so that Ctrl-C would wait, and its own threads
complain on standard error when workers end first; multiprocessing.Pool waits for ever for the work of a killed one. Here the
parent has no threads: it gives each worker one argument at a time through a pipe, and a pipe that ends tells of a death.
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
    """Whether this system has workers. Where torch calculates with macOS' own libraries, forks are not safe."""
    return sys.platform == "linux"


class Workers(Generic[Argument, Result]):
    """Processes of one torch thread each that wait for work.

    Args:
        work: what they do. It is forked; only its arguments and results are pickled.
        count: how many.

    Raises:
        MachineError: the system does not start so many.
    """

    def __init__(self, work: Callable[[Argument], Result], count: int) -> None:
        self._children: list[Child] = []
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, _end, self._children)
        """Ends the workers, whatever they are doing. `close.alive` tells whether it has not been called yet."""
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
        return len(self._children)

    def map(self, arguments: Sequence[Argument]) -> list[Result]:
        """The result for each argument. They are begun in this order: if the longest comes first, all end together.

        After an error, Ctrl-C included, the workers are closed.

        Raises:
            MachineError: a worker was killed.
            RuntimeError: the workers are closed, or what the function raised cannot be sent.
            Exception: what the function raised.
        """
        with self._lock:  # the pipes serve one call at a time
            if not self.close.alive:
                raise RuntimeError("the workers are closed: by close(), or by an error or Ctrl-C in another call")
            try:
                return self._map(arguments)
            except BaseException:
                self.close()  # before another thread's turn
                raise

    def _map(self, arguments: Sequence[Argument]) -> list[Result]:
        waiting = iter(enumerate(arguments))
        results: dict[int, Result] = {}
        busy: dict[Child, int] = {}  # which argument each one is at
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
