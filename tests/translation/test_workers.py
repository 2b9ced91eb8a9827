"""Workers: the same results and errors as without them, and no process that outlives its parent."""

import contextlib
import errno
import gc
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable

import pytest
import torch

from nmt.commands.process import startup
from nmt.errors import MachineError, ModelError
from nmt.translation.workers import Workers, can_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="needs fork")


def process_and_square(number: int) -> tuple[int, int]:
    return os.getpid(), number * number


def ended(processes: Iterable[int], within: float = 60) -> bool:
    """Whether all these processes have ended or do so soon."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            if not select.select([descriptor], [], [], within)[0]:
                return False
    return True


def pids(workers: Workers[int, tuple[int, int]]) -> set[int]:
    """The processes; each of the first arguments goes to another one."""
    return {pid for pid, _ in workers.map(range(workers.count))}


def test_results_come_in_order_from_all_workers() -> None:
    weights = torch.arange(1000.0)  # forked, not sent
    workers = Workers[int, tuple[int, float]](lambda number: (os.getpid(), float(weights[number])), 3)
    results = workers.map(range(100))
    assert [value for _, value in results] == list(range(100))
    assert {pid for pid, _ in workers.map(range(3))} == {pid for pid, _ in results}
    assert len({pid for pid, _ in results} | {os.getpid()}) == 4
    assert workers.map([]) == []
    workers.close()


def test_a_worker_has_one_torch_thread() -> None:
    torch.set_num_threads(2)
    workers = Workers[int, int](lambda _: torch.get_num_threads(), 1)
    assert workers.map([0]) == [1]
    workers.close()


def test_workers_that_start_while_garbage_is_kept_collect_their_own() -> None:
    with startup():
        workers = Workers[int, tuple[bool, bool]](lambda _: (gc.isenabled(), gc.get_freeze_count() > 0), 1)
    gc.unfreeze()
    assert workers.map([0]) == [(True, True)]
    workers.close()


def test_large_arguments_and_results() -> None:
    workers = Workers[str, str](lambda text: text * 2, 2)
    large = ["a" * 1_000_000, "b" * 3_000_000, "c", "d" * 2_000_000]
    assert workers.map(large) == [text * 2 for text in large]
    workers.close()


def test_threads_take_turns() -> None:
    workers = Workers(process_and_square, 2)
    results: dict[int, list[int]] = {}

    def use(start: int) -> None:
        results[start] = [square for _, square in workers.map(range(start, start + 50))]

    threads = [threading.Thread(target=use, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {start: [number**2 for number in range(start, start + 50)] for start in (0, 100, 200)}
    workers.close()


@pytest.mark.parametrize("error", [ModelError("the model diverged"), ZeroDivisionError("by zero")])
def test_errors_arrive_as_themselves(error: Exception) -> None:
    def fail(number: int) -> int:
        if number == 3:
            raise error
        return number

    workers = Workers(fail, 2)
    with pytest.raises(type(error), match=str(error)) as caught:
        workers.map(range(10))
    assert "in fail" in caught.value.__notes__[0]
    assert not workers.close.alive


def test_errors_that_cannot_be_pickled_are_described() -> None:
    error = ValueError(lambda: "not to be pickled")

    def fail(_: int) -> None:
        raise error

    with pytest.raises(RuntimeError, match=rf"(?s)Traceback.* in fail.*{type(error).__name__}: "):
        Workers(fail, 1).map([0])


def test_after_an_error_the_workers_are_closed_for_other_threads() -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    workers = Workers(fail, 2)
    errors: list[BaseException] = []

    def use() -> None:
        barrier.wait()
        try:
            workers.map(range(2))
        except (MachineError, RuntimeError, ZeroDivisionError) as error:
            errors.append(error)

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(error).__name__ for error in errors) == ["RuntimeError"] * 3 + ["ZeroDivisionError"]
    assert sum("the workers are closed" in str(error) for error in errors) == 3


def test_process_limit_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    fork = os.fork
    children: list[int] = []

    def limited() -> int:
        if len(children) == 2:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        child = fork()
        children.append(child)
        return child

    monkeypatch.setattr(os, "fork", limited)
    with pytest.raises(MachineError, match=r"^3 worker .* \(Resource temporarily unavailable\); use fewer threads$"):
        Workers(process_and_square, 3)
    assert len(children) == 2
    assert ended(children)
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_reported_at_once() -> None:
    def work(number: int) -> int:
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(MachineError, match="a worker process was killed, perhaps because memory ran out; use fewer"):
        Workers(work, 2).map(range(8))


def test_a_worker_killed_between_two_calls() -> None:
    workers = Workers(process_and_square, 2)
    processes = pids(workers)
    os.kill(min(processes), signal.SIGKILL)
    with pytest.raises(MachineError, match="a worker process was killed"):
        workers.map(range(4))
    assert ended(processes)


def test_close_and_garbage_collection_end_them() -> None:
    for close in (True, False):
        workers = Workers(process_and_square, 2)
        processes = pids(workers)
        assert not ended(processes, within=0)
        if close:
            workers.close()
            assert ended(processes, within=0)  # close waits for them
            workers.close()
        del workers
        gc.collect()
        assert ended(processes)


SCRIPT = r"""
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from nmt.translation.workers import Workers

def work(number):
    os.write(1, b"%d\n" % os.getpid())
    time.sleep(1000)  # while it works

try:
    Workers(work, 3).map(range(3))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(
    ("number", "group", "status"),
    [
        (signal.SIGINT, True, 130),  # Ctrl-C reaches all of them
        (signal.SIGINT, False, 130),
        (signal.SIGTERM, True, -signal.SIGTERM),
        (signal.SIGTERM, False, -signal.SIGTERM),
        (signal.SIGKILL, False, -signal.SIGKILL),
    ],
)
def test_workers_end_with_a_killed_parent(number: int, group: bool, status: int) -> None:
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        processes = {int(process.stdout.readline()) for _ in range(3)}
        (os.killpg if group else os.kill)(process.pid, number)
        assert process.wait(timeout=60) == status
        assert process.stdout.read() == b""  # the end comes once no worker holds it any more
        assert process.stderr.read() == b""
    assert ended(processes)
