"""A translator in forked processes and in threads: right answers, and nobody ends the workers of another process."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nmt import Translator
from nmt.translation.workers import Workers, can_fork

pytestmark = [
    pytest.mark.skipif(not can_fork(), reason="needs fork"),
    pytest.mark.usefixtures("_without_library"),  # which has threads instead of workers
]

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"
SOURCE = MODEL.parent / "source.txt"
WORDS = SOURCE.read_text(encoding="utf-8").split()
TEXTS = [" ".join(WORDS[first : first + 6]) for first in range(0, 180, 3)]
FIRST, SECOND = TEXTS[:30], TEXTS[30:]


@pytest.fixture(scope="module")
def _without_library() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NMT_NATIVE", "off")
        patch.setattr("nmt.translation.load.load", lambda: None)
        yield


@pytest.fixture(scope="module")
def alone(_without_library: None) -> dict[str, str]:
    """The translation of each text by a translator without workers."""
    return dict(zip(TEXTS, Translator.load(MODEL, batch_size=4).translate(TEXTS), strict=True))


@pytest.fixture
def translator() -> Iterator[Translator]:
    translator = Translator.load(MODEL, threads=2, batch_size=4)
    yield translator
    translator.close()


def status_of_fork(body: Callable[[], bool]) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(start_fork(body), 0)[1])


def start_fork(body: Callable[[], bool]) -> int:
    """Fork. The exit status of the child is 0 if `body` returns True there."""
    child = os.fork()
    if not child:
        status = 2
        try:
            status = 0 if body() else 1
        finally:
            os._exit(status)
    return child


def check(translator: Translator, texts: list[str], alone: dict[str, str], times: int = 4) -> bool:
    expected = [alone[text] for text in texts]
    return all(translator.translate(texts) == expected for _ in range(times))


def test_processes_that_share_a_translator_get_their_own_answers(translator: Translator, alone: dict[str, str]) -> None:
    children = [start_fork(lambda: check(translator, SECOND, alone)) for _ in range(2)]
    assert check(translator, FIRST, alone)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert translator.processes == 2


def test_a_fork_may_close_the_translator(translator: Translator, alone: dict[str, str]) -> None:
    def use() -> bool:
        translator.close()
        return translator.processes == 1 and check(translator, SECOND, alone)

    assert status_of_fork(use) == 0
    assert check(translator, FIRST, alone)
    assert translator.processes == 2


def test_a_fork_of_a_fork_starts_workers_of_its_own(translator: Translator, alone: dict[str, str]) -> None:
    def use() -> bool:
        own = Translator.load(MODEL, threads=2, batch_size=4)
        right = own.processes == 2 and check(own, FIRST, alone)
        return right and status_of_fork(lambda: check(own, SECOND, alone)) == 0 and check(own, SECOND, alone)

    assert status_of_fork(use) == 0
    assert check(translator, FIRST, alone)


def translate_in_pool(number: int) -> tuple[int, bool]:
    assert _shared
    translator, alone = _shared
    texts = FIRST if number % 2 else SECOND
    return translator.processes, check(translator, texts, alone, times=1)


def load_in_pool(number: int) -> tuple[int, list[str]]:
    translator = Translator.load(MODEL, threads=2, batch_size=4)
    return translator.processes, translator.translate(FIRST[number:])


_shared: tuple[Translator, dict[str, str]] | None = None


def test_a_pool_of_forks_shares_a_translator(translator: Translator, alone: dict[str, str]) -> None:
    global _shared
    _shared = (translator, alone)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(translate_in_pool, range(6)) == [(1, True)] * 6
    _shared = None
    assert check(translator, FIRST, alone)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_workers_of_a_pool_load_translators(method: str, alone: dict[str, str]) -> None:
    """The workers of a pool may not start processes themselves."""
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map(load_in_pool, range(3))
    assert found == [(1, [alone[text] for text in FIRST[number:]]) for number in range(3)]


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_a_translator(threads: int, alone: dict[str, str]) -> None:
    translator = Translator.load(MODEL, threads=threads, batch_size=4)
    right: list[bool] = []

    def use(texts: list[str]) -> None:
        right.append(check(translator, texts, alone))

    users = [threading.Thread(target=use, args=(texts,)) for texts in (FIRST, SECOND, TEXTS[10:40])]
    for user in users:
        user.start()
    for user in users:
        user.join()
    translator.close()
    assert right == [True] * 3


def test_inherited_workers_cannot_be_used() -> None:
    workers = Workers[int, int](abs, 2)

    def use() -> bool:
        with pytest.raises(RuntimeError, match="the workers belong to the process that started them"):
            workers.map([1])
        workers.close()
        return workers.inherited

    assert status_of_fork(use) == 0
    assert workers.map([-1, -2]) == [1, 2]
    assert not workers.inherited
    workers.close()


def test_a_fork_in_another_thread_while_the_workers_are_busy() -> None:
    workers = Workers[int, int](lambda number: sum(range(number)), 2)
    results: list[list[int]] = []
    user = threading.Thread(target=lambda: results.append(workers.map([3_000_000] * 8)))
    user.start()
    assert status_of_fork(lambda: workers.inherited) == 0
    user.join()
    assert results == [[sum(range(3_000_000))] * 8]
    workers.close()


def test_a_killed_fork_leaves_the_workers() -> None:
    workers = Workers[int, int](abs, 2)

    def use() -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    assert status_of_fork(use) == -signal.SIGKILL
    assert workers.map([-1, -2, -3]) == [1, 2, 3]
    workers.close()
