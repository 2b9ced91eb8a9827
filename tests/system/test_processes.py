"""Children: what they send arrives in order, signals do not disturb them, and none outlives its parent."""

import atexit
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nmt.errors import MachineError, ModelError
from nmt.system import processes
from nmt.system.processes import Child, Parent, wait_for_any

METHODS = pytest.mark.parametrize("method", ["fork", "spawn"])
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a safe fork")


@contextmanager
def start(main: Callable[..., None], *arguments: Any, method: str = "fork") -> Iterator[Child]:
    child = Child(main, *arguments, method=method, name="the helper", advice="use fewer")
    try:
        yield child
    finally:
        child.close()


def has_ended(pid: int | None, within: float = 60) -> bool:
    try:
        descriptor = os.pidfd_open(pid or 0)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within)[0])
    finally:
        os.close(descriptor)


def double(parent: Parent, first: int) -> None:
    parent.send(first)
    while True:
        parent.send(2 * parent.receive())


def describe(parent: Parent) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    parent.send((handlers, signal.pthread_sigmask(signal.SIG_BLOCK, ())))


def fail(parent: Parent, error: Exception) -> None:
    parent.send("first")
    raise error


def signal_itself(parent: Parent, number: int) -> None:
    os.kill(os.getpid(), number)
    parent.send("alive")


def test_messages_go_both_ways() -> None:
    with start(double, 7) as child:
        assert child.pid != os.getpid()
        child.send(4)
        child.send("ab")
        assert [child.receive() for _ in range(3)] == [7, 8, "abab"]


@METHODS
def test_a_child_ignores_signals(method: str) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with start(describe, method=method) as child:
        assert child.receive() == ([signal.SIG_IGN, signal.SIG_IGN], before)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_do_nothing_in_a_child(number: int) -> None:
    with start(signal_itself, number) as child:
        assert child.receive() == "alive"


def test_signals_are_blocked_while_a_child_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal between the start and the moment when the child ignores signals would kill it."""
    masks = []
    fork = os.fork

    def watched() -> int:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return fork()

    monkeypatch.setattr(os, "fork", watched)
    with start(double, 1):
        assert masks[0] >= {signal.SIGINT, signal.SIGTERM}


@pytest.mark.parametrize("error", [ModelError("it diverged"), ZeroDivisionError("by zero"), EOFError("cut")])
def test_an_error_arrives_after_what_was_sent_before(error: Exception) -> None:
    with start(fail, error) as child:
        assert child.receive() == "first"
        with pytest.raises(type(error), match=str(error)) as caught:
            child.receive()
        assert "in fail" in caught.value.__notes__[0]


def test_an_error_that_cannot_be_pickled_arrives_as_text() -> None:
    error = ValueError(lambda: "cannot be pickled")
    with start(fail, error) as child:
        child.receive()
        with pytest.raises(RuntimeError, match=rf"(?s)Traceback.* in fail.*{type(error).__name__}: "):
            child.receive()


def test_a_killed_child_is_reported_at_once() -> None:
    message = "^the helper was killed, perhaps because memory ran out; use fewer$"
    with start(signal_itself, signal.SIGKILL) as child, pytest.raises(MachineError, match=message):
        child.receive()


def test_sending_to_a_dead_child_is_an_error() -> None:
    with start(double, 1) as child:
        os.kill(child.pid or 0, signal.SIGKILL)
        assert has_ended(child.pid)
        with pytest.raises(MachineError, match="the helper was killed"):
            child.send("x" * 1_000_000)


def test_only_children_with_messages_are_returned() -> None:
    with start(double, 1) as first, start(double, 2) as second:
        assert [first.receive(), second.receive()] == [1, 2]
        second.send(5)
        assert wait_for_any([first, second]) == [second]
        os.kill(first.pid or 0, signal.SIGKILL)
        assert has_ended(first.pid)
        assert set(wait_for_any([first, second])) == {first, second}


def test_close_waits_for_the_end() -> None:
    with start(double, 1) as child:
        pid = child.pid or 0
        child.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        child.close()


def test_a_child_that_cannot_start_leaves_no_pipe_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_to_fork() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", fail_to_fork)
    with pytest.raises(BlockingIOError), start(double, 1):
        pass
    assert all(child.pipe.closed for child in processes._children)


def test_child_has_no_pipes_of_other_children() -> None:
    """Otherwise the other one would not notice the end of the parent."""
    with start(double, 1) as first:

        def look(parent: Parent) -> None:
            parent.send((first.pipe.closed, len(processes._children)))

        with start(look) as second:
            assert second.receive() == (True, 0)
        assert first.receive() == 1


FORK = r"""
import multiprocessing, os, sys
from nmt.system.processes import Child

def double(parent):
    while True:
        parent.send(2 * parent.receive())

if __name__ == "__main__":
    child = Child(double, method=sys.argv[1], advice="")
    for end in (sys.exit, os._exit):
        fork = os.fork()
        if not fork:
            child.close()
            assert child.pipe.closed and not multiprocessing.active_children()
            end(0)  # sys.exit calls the exit handlers of multiprocessing and atexit
        assert os.waitpid(fork, 0)[1] == 0
        child.send(4)
        assert child.receive() == 8
    context = multiprocessing.get_context("fork")
    fork = context.Process(target=child.close)
    fork.start()
    fork.join()
    child.send(5)
    print(fork.exitcode, child.receive())
"""


@METHODS
def test_a_fork_does_not_end_the_children_of_its_parent(method: str, tmp_path: Path) -> None:
    script = tmp_path / "forks.py"
    script.write_text(FORK, encoding="utf-8")
    done = subprocess.run([sys.executable, script, method], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 10\n", "")


WATCH = r"""
import os, signal, subprocess, sys
from nmt.system.processes import watch_parent

if sys.argv[1:] == ["no pidfd"]:
    del os.pidfd_open
watch_parent(os.getppid(), lambda: os._exit(3))
print(os.getpid(), flush=True)
signal.pause()
"""


@pytest.mark.parametrize("mode", ["", "no pidfd"])
def test_the_end_of_a_parent_is_noticed(mode: str) -> None:
    child = [sys.executable, "-c", WATCH, mode]
    code = f"import subprocess; subprocess.Popen({child!r}).wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not has_ended(pid, within=0)
        parent.kill()
        assert has_ended(pid)


def test_exit_closes_children_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    monkeypatch.setattr(atexit, "unregister", registered.remove)
    with start(double, 1) as child:
        assert registered == [child.close]
    assert registered == []


SCRIPT = r"""
import os, signal, sys, threading
from nmt.system.processes import Child

def main(parent):
    parent.send(None)
    signal.pause()  # while it works, it does not look at the pipe

if __name__ == "__main__":
    children = [Child(main, method=sys.argv[1], advice="") for _ in range(2)]
    for child in children:
        child.receive()
        print(child.pid, flush=True)
    if sys.argv[2] == "raise":
        raise KeyError
    if sys.argv[2] == "wait":
        children[0].receive()
"""


@pytest.mark.parametrize(
    ("method", "end"),
    [("spawn", "exit"), *(("fork", end) for end in ("exit", "raise", signal.SIGINT, signal.SIGTERM, signal.SIGKILL))],
)
def test_no_child_outlives_its_parent(method: str, end: str | int, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT, encoding="utf-8")
    fate = end if isinstance(end, str) else "wait"
    command = [sys.executable, str(script), method, fate]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, start_new_session=True, stdout=pipe, stderr=pipe) as parent:
        assert parent.stdout
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        if isinstance(end, int):
            (os.kill if end == signal.SIGKILL else os.killpg)(parent.pid, end)
        status = parent.wait(timeout=60)
    assert status == {"exit": 0, "raise": 1}.get(str(end), -end if isinstance(end, int) else 0)
    assert all(has_ended(pid) for pid in pids)
