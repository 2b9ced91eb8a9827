"""Child processes that ignore SIGINT and SIGTERM, and that end when their parent ends.

If a child is killed, the parent raises an error with a message of one line.
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


class ChildKilledError(MachineError):
    """A child process was killed."""


class Child:
    """The parent's view of a child process: a handle of the process, and the parent's end of a pipe to the child.

    A terminal or a job manager sends SIGINT and SIGTERM to all processes. The child ignores both signals, because the
    parent decides when the child ends. The child ends at once when the parent calls `close`, and also when the parent
    ends for any reason.

    If the parent later forks another process, the new process inherits this object, but the child does not belong to
    the new process. In the new process, `close` does nothing, and the pipe is closed. Otherwise the messages of two
    processes could mix.

    Args:
        main: the function that the child runs. Its arguments are a `Parent` and then `arguments`. If `main` raises an
            exception, `receive` raises the same exception in the parent.
        arguments: further arguments of `main`.
        method: "fork" or "spawn". With "fork", the child shares the parent's memory copy-on-write. The child also
            inherits locks that other threads hold, but not the threads that would release them. "fork" is therefore
            only safe before the parent starts threads. "spawn" starts a new interpreter, and pickles `main` and
            `arguments`.
        name: what error messages call the child, for example "a worker process".
        advice: what the user should do if the child was killed. It ends the error message.

    Raises:
        OSError: the system cannot start another process.
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
            if method == "spawn":
                # Start the resource tracker before signals are blocked, because its start unblocks them.
                resource_tracker.ensure_running()
            with child_end, _block_signals():
                self._process.start()
        except BaseException:
            self.pipe.close()
            raise
        # The exit handler of multiprocessing sends SIGTERM to the child and waits, but the child ignores SIGTERM.
        # Handlers run in reverse order, so `close`, which is registered later, runs first and kills the child.
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        return self._process.pid  # type: ignore[no-any-return]

    def send(self, message: Any) -> None:
        """Send an object to the child. Raises ChildKilledError: the child was killed."""
        try:
            self.pipe.send(message)
        except OSError:
            raise ChildKilledError(self._death) from None

    def receive(self) -> Any:
        """Wait for the next object that the child sends.

        Raises:
            ChildKilledError: the child was killed.
            Exception: `main` raised an exception in the child. The same exception is raised here, and a note contains
                the child's traceback.
        """
        try:
            message, error = self.pipe.recv()
        except (EOFError, OSError):
            raise ChildKilledError(self._death) from None
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
        """Give up the handle of the child, without ending the child.

        A forked process calls this method for each child of its parent. The exit handler of multiprocessing ends all
        processes in a list of children, so this method also removes the child from the list.
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
    """Wait until at least one child has sent an object or has ended. Return all such children."""
    by_pipe = {child.pipe: child for child in children}
    return [by_pipe[pipe] for pipe in wait(list(by_pipe)) if isinstance(pipe, Connection)]


_children: WeakSet[Child] = WeakSet()


@functools.cache
def _register_fork_handler() -> None:
    def disown_children() -> None:
        for child in list(_children):
            child.disown()
        _children.clear()

    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=disown_children)


def watch_parent(pid: int, react: Callable[[], None]) -> None:
    """Call `react` in another thread when the parent of this process has ended. `pid` is the parent's process id.

    Linux can also send a signal when the parent ends (PR_SET_PDEATHSIG). However, Linux sends this signal when the
    thread that started this process ends, even if the parent continues.
    """

    def wait_for_end() -> None:
        with contextlib.suppress(AttributeError, OSError):  # only Linux has this call, and a container may forbid it
            descriptor = os.pidfd_open(pid)
            if os.getppid() == pid:  # otherwise the parent has ended, and another process may have its id
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                poll.poll()
            os.close(descriptor)
        while os.getppid() == pid:
            time.sleep(1)
        react()

    threading.Thread(target=wait_for_end, daemon=True).start()


@contextlib.contextmanager
def _block_signals() -> Iterator[None]:
    """Block SIGINT and SIGTERM while a child starts. The child unblocks both in `_run`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns if a process with several threads forks. The threads of numpy's linear algebra library
            # always exist. They hold no lock that a child needs, so the warning does not apply.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- functions that run in the child


def _run(main: Callable[..., None], parent: Parent, arguments: tuple[Any, ...]) -> None:
    process = multiprocessing.parent_process()
    assert process
    assert process.pid
    watch_parent(process.pid, lambda: os._exit(0))  # no cleanup: nobody waits for the result
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        main(parent, *arguments)
    except Exception as error:
        parent._send(None, _make_sendable(error))


def _make_sendable(error: Exception) -> Exception:
    """Return an error that can be pickled. Its notes contain the traceback, which pickling would lose.

    If the error itself cannot be pickled, the result is a RuntimeError with the traceback as its message.
    """
    text = traceback.format_exc()
    try:
        error.add_note(text)
        pickle.loads(pickle.dumps(error))
    except Exception:  # pickling can fail in any attribute, and unpickling in the constructor of the error
        return RuntimeError(text)
    return error
