"""Child processes, which ignore signals and end when their parent ends.

If a child is killed, its parent raises an error with a message of one line.
"""

import atexit
import contextlib
import functools
import multiprocessing
import os
import pickle
import select
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any
from weakref import WeakSet

from nmt.errors import MachineError
from nmt.system.signals import SIGNALS


class Child:
    """A child process, seen from its parent, and the parent's end of a pipe to the child.

    A terminal or a job manager sends SIGINT and SIGTERM to all processes. A child ignores both signals, because its
    parent decides when the child ends. The child ends at once when the parent closes it, and when the parent ends for
    any reason.

    A process that is forked later, by anyone, inherits this object, but not the child. There, `close` does nothing, and
    the pipe is closed, so that the messages of two processes do not mix.

    Args:
        main: The function that the child calls with its end of the pipe and `arguments`. If it raises an exception,
            `receive` raises the same exception in the parent.
        method: "fork" shares the parent's memory copy-on-write. It copies the locks of other threads without the
            threads that would release them, so "fork" is only safe before the parent starts threads. "spawn" starts a
            new interpreter, and pickles `main` and `arguments`.
        name: The subject of the message about a killed child, such as "a worker process".
        advice: The end of this message, which tells the user what to do.

    Raises:
        OSError: The system cannot start another process.
    """

    def __init__(
        self, main: Callable[..., None], *arguments: Any, method: str, name: str = "a child process", advice: str
    ) -> None:
        self._death = f"{name} was killed, perhaps because memory ran out; {advice}"
        context = multiprocessing.get_context(method)
        self.pipe, child_end = context.Pipe()
        self._process: Any = None
        _register_fork_handler()
        _children.add(self)
        try:
            self._process = context.Process(  # type: ignore[attr-defined]
                target=_run, args=(main, Parent(child_end), arguments), daemon=True
            )
            if method == "spawn":  # `start` would start the tracker while signals are blocked, which unblocks them
                resource_tracker.ensure_running()
            with child_end, _block_signals():
                self._process.start()
        except BaseException:
            self.pipe.close()
            raise
        # The exit handler of multiprocessing sends SIGTERM and waits. `close` is registered later, so it runs first.
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        return self._process.pid  # type: ignore[no-any-return]

    def send(self, message: Any) -> None:
        """Send an object to the child. Raises MachineError: the child was killed."""
        try:
            self.pipe.send(message)
        except OSError:
            raise MachineError(self._death) from None

    def receive(self) -> Any:
        """Wait for the next object that the child sends.

        Raises:
            MachineError: The child was killed.
            Exception: The exception that `main` raised in the child, with the child's traceback as a note.
        """
        try:
            message, error = self.pipe.recv()
        except (EOFError, OSError):
            raise MachineError(self._death) from None
        if error is not None:
            raise error
        return message

    def close(self) -> None:
        """Kill the child at once and wait until it has ended. Further calls do nothing."""
        if self.pipe.closed:
            return
        atexit.unregister(self.close)
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def disown(self) -> None:
        """Leave the child to the process that started it. A forked process calls this for each child that it inherits.

        The exit handler of multiprocessing ends all processes that are listed as its children, so the child is removed
        from this list.
        """
        atexit.unregister(self.close)
        self.pipe.close()
        multiprocessing.process._children.discard(self._process)  # type: ignore[attr-defined]


class Parent:
    """The child's end of the pipe to its parent. If the parent has ended, `send` and `receive` end the child."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def send(self, message: Any) -> None:
        """Send an object to the parent."""
        self._send(message, None)

    def receive(self) -> Any:
        """Wait for the next object that the parent sends."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            os._exit(0)

    def _send(self, message: Any, error: Exception | None) -> None:
        try:
            self.pipe.send((message, error))
        except OSError:
            os._exit(0)


def wait_for_any(children: Iterable[Child]) -> list[Child]:
    """Wait until at least one child has sent an object or has ended. Return all children for which this is true."""
    by_pipe = {child.pipe: child for child in children}
    return [by_pipe[pipe] for pipe in wait(list(by_pipe)) if isinstance(pipe, Connection)]


_children: WeakSet[Child] = WeakSet()


@functools.cache
def _register_fork_handler() -> None:
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=_disown_children)


def _disown_children() -> None:
    for child in list(_children):
        child.disown()
    _children.clear()


def may_start_children() -> bool:
    """Check whether this process may start children. multiprocessing forbids it to daemons, as in its pools."""
    return not multiprocessing.current_process().daemon


def watch_parent(pid: int, react: Callable[[], None]) -> None:
    """Call `react` in another thread when the parent of this process, whose process id is `pid`, has ended.

    Linux could send a signal instead (PR_SET_PDEATHSIG), but it would send it when the thread that started this process
    ends, even if the parent continues.
    """
    threading.Thread(target=_wait_for_end, args=(pid, react), daemon=True).start()


def _wait_for_end(pid: int, react: Callable[[], None]) -> None:
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or the container forbids the call
        descriptor = os.pidfd_open(pid)
        if os.getppid() == pid:  # otherwise the parent has ended, and another process may have its id
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
        os.close(descriptor)
    while os.getppid() == pid:
        time.sleep(1)
    react()


@contextlib.contextmanager
def _block_signals() -> Iterator[None]:
    """Block SIGINT and SIGTERM while a child starts. The child inherits the block and ends it when it ignores both."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns about a fork of a process with several threads. The threads of numpy's linear algebra
            # always exist, but they hold no lock that a child needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- in the child


def _run(main: Callable[..., None], parent: Parent, arguments: tuple[Any, ...]) -> None:
    process = multiprocessing.parent_process()
    assert process
    assert process.pid
    watch_parent(process.pid, lambda: os._exit(0))  # at once: no process waits for the result of this one
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        main(parent, *arguments)
    except Exception as error:
        parent._send(None, _make_sendable(error))


def _make_sendable(error: Exception) -> Exception:
    """Attach the traceback, which pickling would lose, as a note to an error.

    An error that cannot be pickled becomes a RuntimeError.
    """
    text = traceback.format_exc()
    try:
        error.add_note(text)
        pickle.loads(pickle.dumps(error))
    except Exception:  # unpickling may fail in the constructor of the error, and pickling may fail in any attribute
        return RuntimeError(text)
    return error
