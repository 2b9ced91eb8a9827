"""A translator in forked processes and in threads: each gets its own right answers."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt import Translator

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"
SOURCE = MODEL.parent / "source.txt"
WORDS = SOURCE.read_text(encoding="utf-8").split()
TEXTS = [" ".join(WORDS[first : first + 6]) for first in range(0, 180, 3)]
FIRST, SECOND = TEXTS[:30], TEXTS[30:]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With parts of the usual size, one thread would translate all texts."""
    monkeypatch.setattr("nmt.translation.translator.PART", 8)


@pytest.fixture(scope="module")
def alone() -> dict[str, str]:
    """The translation of each text by a translator with one thread."""
    return dict(zip(TEXTS, Translator.load(MODEL, batch_size=4).translate(TEXTS), strict=True))


@pytest.fixture
def translator() -> Translator:
    return Translator.load(MODEL, threads=2, batch_size=4)


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


@needs_fork
def test_processes_that_share_a_translator_get_their_own_answers(translator: Translator, alone: dict[str, str]) -> None:
    children = [start_fork(lambda: check(translator, SECOND, alone)) for _ in range(2)]
    assert check(translator, FIRST, alone)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


def translate_in_pool(number: int) -> bool:
    assert _shared
    translator, alone = _shared
    return check(translator, FIRST if number % 2 else SECOND, alone, times=1)


def load_in_pool(number: int) -> list[str]:
    return Translator.load(MODEL, threads=2, batch_size=4).translate(FIRST[number:])


_shared: tuple[Translator, dict[str, str]] | None = None


@needs_fork
def test_a_pool_of_forks_shares_a_translator(translator: Translator, alone: dict[str, str]) -> None:
    global _shared
    _shared = (translator, alone)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(translate_in_pool, range(6)) == [True] * 6
    _shared = None
    assert check(translator, FIRST, alone)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_processes_of_a_pool_load_translators(method: str, alone: dict[str, str]) -> None:
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map(load_in_pool, range(3))
    assert found == [[alone[text] for text in FIRST[number:]] for number in range(3)]


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_a_translator(threads: int) -> None:
    translator = Translator.load(MODEL, threads=threads, batch_size=4)
    expected = dict(zip(TEXTS, translator.translate(TEXTS), strict=True))
    right: list[bool] = []

    def use(texts: list[str]) -> None:
        right.append(check(translator, texts, expected))

    users = [threading.Thread(target=use, args=(texts,)) for texts in (FIRST, SECOND, TEXTS[10:40])]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert right == [True] * 3
