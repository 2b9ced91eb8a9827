"""Child processes. They leave signals to their parent and end with it, and a killed one is reported in one clear line."""

import atexit
import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any
from weakref import WeakSet

from nmt.errors import MachineError
from nmt.system.signals import SIGNALS

# The parent's ends of the pipes to all children. A forked child inherits them and must close them: as long as any process
# holds such an end, the child at the other end does not notice that the parent is gone.
_parent_ends: WeakSet[Connection] = WeakSet()


class Child:
    """A child process with a pipe to it.

    SIGINT and SIGTERM, which a terminal or a job manager sends to all processes, do nothing in a child: its parent decides
    when it ends. It ends at once when the parent closes it or ends, however that happens.

    Args:
        main: Called in the child with its end of the pipe and `arguments`. What it raises is raised by `receive`.
        method: "fork" shares the parent's memory copy-on-write, but copies the locks of other threads without the threads
            that would release them, so it is only safe before the parent starts threads. "spawn" pickles `main` and
            `arguments`.
        name: Subject of the message about a killed child, such as "a worker process".
        advice: End of that message: what the user can do.

    Raises:
        OSError: The system cannot start another process.
    """

    def __init__(
        self, main: Callable[..., None], *arguments: Any, method: str, name: str = "a child process", advice: str
    ) -> None:
        self._death = f"{name} was killed, perhaps because memory ran out; {advice}"
        context = multiprocessing.get_context(method)
        self.pipe, child_end = context.Pipe()
        _parent_ends.add(self.pipe)
        try:
            self._process = context.Process(  # type: ignore[attr-defined]
                target=_run, args=(main, Parent(child_end), arguments), daemon=True
            )
            if method == "spawn":  # it would start the tracker while signals are blocked, and that unblocks them
                resource_tracker.ensure_running()
            with child_end, _block_signals():
                self._process.start()
        except BaseException:
            self.pipe.close()
            raise
        # multiprocessing's own exit handler sends SIGTERM and waits. This one is registered later, so it runs earlier.
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        return self._process.pid  # type: ignore[no-any-return]

    def send(self, message: Any) -> None:
        """Send an object to the child. Raises MachineError if the child was killed."""
        try:
            self.pipe.send(message)
        except OSError:
            raise MachineError(self._death) from None

    def receive(self) -> Any:
        """Wait for the next object that the child sends.

        Raises:
            MachineError: The child was killed.
            Exception: What the child's `main` raised, with the child's traceback as a note.
        """
        try:
            message, error = self.pipe.recv()
        except (EOFError, OSError):
            raise MachineError(self._death) from None
        if error is not None:
            raise error
        return message

    def close(self) -> None:
        """End the child at once, whatever it is doing. Closing it again does nothing."""
        if self.pipe.closed:
            return
        atexit.unregister(self.close)
        self._process.kill()
        self._process.join()
        self.pipe.close()


class Parent:
    """The child's end of the pipe to its parent. When the parent is gone, both methods end the process."""

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
    """Wait until `receive` returns or raises without delay for at least one child. Returns all such children."""
    by_pipe = {child.pipe: child for child in children}
    return [by_pipe[pipe] for pipe in wait(list(by_pipe)) if isinstance(pipe, Connection)]


@contextlib.contextmanager
def _block_signals() -> Iterator[None]:
    """Block SIGINT and SIGTERM while a child starts. The child inherits the mask until it is ready to ignore them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns about forking beside other threads. The threads of numpy's linear algebra always exist; they
            # hold no lock that a child needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- in the child


def _run(main: Callable[..., None], parent: Parent, arguments: tuple[Any, ...]) -> None:
    for pipe in list(_parent_ends):
        pipe.close()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        main(parent, *arguments)
    except Exception as error:
        parent._send(None, _make_sendable(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(0)  # in the middle of any work: nobody waits for its result


def _make_sendable(error: Exception) -> Exception:
    """Attach the traceback, which pickling loses, as a note. Errors that cannot be pickled become a RuntimeError."""
    text = traceback.format_exc()
    try:
        error.add_note(text)
        pickle.loads(pickle.dumps(error))
    except Exception:  # the constructor of an error may require anything, and the error may hold anything
        return RuntimeError(text)
    return error
