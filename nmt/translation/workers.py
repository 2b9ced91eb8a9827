"""Worker processes: a function applied to many arguments on several cores.

They are forked, so that what the function holds, a model say, is in memory once and need not be sent. A fork copies the locks
of other threads without the threads that will open them, so the workers start at once, before the caller starts threads.

concurrent.futures would do most of this. But it cannot end what is under way, so that Ctrl-C would wait, and its own threads
complain on standard error when workers end first; multiprocessing.Pool waits for ever for the work of a killed one. Here the
parent has no threads: it gives each worker one argument at a time through a pipe, and a pipe that ends tells of a death.
"""

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import torch

from nmt.errors import MachineError
from nmt.system.files import reason

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
        processes: list[BaseProcess] = []
        self._pipes: list[Connection] = []
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, _end, processes, self._pipes)
        """Ends the workers, whatever they are doing. `close.alive` tells whether it has not been called yet."""
        try:
            for _ in range(count):
                with _undisturbed():
                    processes.append(_started(work, self._pipes))
        except OSError as error:
            self.close()
            message = f"{count} worker processes cannot be started ({reason(error)}); use fewer threads"
            raise MachineError(message) from error

    @property
    def count(self) -> int:
        return len(self._pipes)

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
        busy: dict[Connection, int] = {}  # which argument each one is at
        idle = list(self._pipes)
        while len(results) < len(arguments):
            for pipe, (index, argument) in zip(idle, waiting, strict=False):
                _to(pipe, argument)
                busy[pipe] = index
            idle = [pipe for pipe in wait(list(busy)) if isinstance(pipe, Connection)]
            for pipe in idle:
                results[busy.pop(pipe)] = _from(pipe)
        return [results[index] for index in range(len(arguments))]


def _started(work: Callable[[Any], Any], pipes: list[Connection]) -> BaseProcess:
    """One more worker, with our end of its pipe added to the others'. Raises OSError."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    pipes.append(ours)
    with theirs:
        process = context.Process(target=_serve, args=(work, theirs, list(pipes)), daemon=True)
        process.start()
    return process


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """While a worker starts. It inherits that signals are blocked, so that none can hit it unprepared."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of any other thread. Those of numpy's linear algebra are always there, and safe.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _to(pipe: Connection, argument: Any) -> None:
    try:
        pipe.send(argument)
    except OSError:
        raise _killed() from None


def _from(pipe: Connection) -> Any:
    """A worker's result. Raises what its work raised."""
    try:
        result, error = pipe.recv()
    except (EOFError, OSError):
        raise _killed() from None
    if error:
        raise error
    return result


def _killed() -> MachineError:
    return MachineError(
        "a worker process was killed, perhaps because memory ran out; use fewer threads or smaller batches"
    )


def _end(processes: list[BaseProcess], pipes: list[Connection]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
    for pipe in pipes:
        pipe.close()


# ---- in a worker


def _serve(work: Callable[[Any], Any], pipe: Connection, inherited: list[Connection]) -> None:
    """Works until the parent closes the pipe or ends."""
    for other in inherited:  # the parent's ends: held here too, they would hide its end from the others
        other.close()
    _settle()
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(_done(work, pipe.recv()))


def _settle() -> None:
    gc.freeze()  # what is inherited stays, and is shared while it is not looked at
    gc.enable()  # off perhaps, as in nmt.commands.base.lasting
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)  # more would wait for threads that a fork leaves behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the workers too, but is the parent's
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(0)  # in the midst of work, which nobody wants any more


def _done(work: Callable[[Any], Any], argument: Any) -> tuple[Any, Exception | None]:
    try:
        return work(argument), None
    except Exception as error:
        return None, _sendable(error)


def _sendable(error: Exception) -> Exception:
    """The error with its traceback as text, which pickling loses; where it cannot be pickled, another one with this text."""
    text = traceback.format_exc()
    try:
        error.add_note(text)
        pickle.loads(pickle.dumps(error))
    except Exception:  # errors may take any arguments, and hold anything
        return RuntimeError(text)
    return error
