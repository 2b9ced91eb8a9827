"""The pool: the right translations, in turn, once each, and dropped when nobody waits."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import Any

import pytest
import server_tools
from hypothesis import given
from hypothesis import strategies as st

from nmt import Request, SearchOptions, Translation, Translator
from nmt.server.cache import SegmentCache
from nmt.server.errors import RequestError
from nmt.server.lanes import Lanes
from nmt.server.models import ServedModel
from nmt.server.pool import Pool, Text

MODEL = server_tools.load_model()
SOURCE = server_tools.SOURCE


class Counter:
    """An observer."""

    def __init__(self) -> None:
        self.searched, self.cached, self.sizes = 0, 0, list[int]()

    def observe_wait(self, seconds: float) -> None:
        assert seconds >= 0

    def observe_segments(self, *, searched: int, cached: int) -> None:
        self.searched, self.cached = self.searched + searched, self.cached + cached

    def observe_batch(self, size: int) -> None:
        self.sizes.append(size)


class Blocked:
    """Holds the only thread of a pool until the end of the block."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.running, self.free = pool, threading.Event(), threading.Event()

    def __enter__(self) -> None:
        def work() -> None:
            self.running.set()
            self.free.wait()

        self.pool.call([work], [0], "blocker")
        self.running.wait()

    def __exit__(self, *_: object) -> None:
        self.free.set()


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def pool(counter: Counter) -> Iterator[Pool]:
    pool = Pool(threads=1, max_characters=10_000, cache_bytes=1 << 20, observer=counter)
    yield pool
    pool.close()


def texts(futures: list[Future[list[list[Translation]]]]) -> list[str]:
    return [future.result(timeout=60)[0][0].text for future in futures]


def ask(lines: list[str], *, model: ServedModel = MODEL, **settings: Any) -> list[Text]:
    return [Text(model=model, template=Request("", **settings), lines=[line]) for line in lines]


@pytest.mark.parametrize("threads", [1, 3])
def test_translations_equal_those_of_the_translator(threads: int) -> None:
    lines = [*SOURCE, "", " ".join(SOURCE[:3]), "See http://x.org/a, please.", *SOURCE[:4]]
    requests = [Request(line, split=True, options=SearchOptions(nbest=2)) for line in lines]
    pool = Pool(threads=threads, max_characters=100_000, cache_bytes=1 << 20)
    queued = ask(lines, split=True, options=SearchOptions(nbest=2))
    found = [future.result(timeout=60)[0] for future in pool.translate(queued, "ann")]
    together = pool.translate([replace(queued[0], lines=lines)], "bob")[0].result(timeout=60)
    pool.close()
    assert found == together == MODEL.translator.nbest(requests)
    assert pool.characters == 0


def test_equal_segments_are_translated_once(pool: Pool, counter: Counter) -> None:
    with Blocked(pool):
        futures = pool.translate(ask([SOURCE[0]] * 5), "ann") + pool.translate(ask([SOURCE[0], SOURCE[1]]), "bob")
    assert len(set(texts(futures))) == 2
    assert counter.searched == 2
    assert texts(pool.translate(ask([SOURCE[1]]), "cyd"))[0] == texts(futures)[-1]
    assert counter.searched == 2
    pool.clear_cache()
    texts(pool.translate(ask([SOURCE[1]]), "cyd"))
    assert counter.searched == 3


def test_clients_take_turns(pool: Pool) -> None:
    order: list[str] = []
    with Blocked(pool):
        many = pool.translate(ask(SOURCE), "ann")
        for number, future in enumerate(many):
            future.add_done_callback(lambda _, number=number: order.append(f"ann {number}"))  # type: ignore[misc]
        few = pool.translate(ask(["A dog.", "A cat."]), "bob")
        for future in few:
            future.add_done_callback(lambda _: order.append("bob"))
    wait([*many, *few], timeout=60)
    assert max(place for place, name in enumerate(order) if name == "bob") <= 4


def test_cancelled_texts_are_dropped(pool: Pool, counter: Counter) -> None:
    with Blocked(pool):
        futures = pool.translate(ask([" ".join(SOURCE[:6])], split=True) + ask(SOURCE[:3]), "ann")
        kept = pool.translate(ask([SOURCE[0]]), "bob")
        for future in futures:
            assert future.cancel()
        assert pool.characters == len(SOURCE[0])
    texts(kept)
    assert counter.searched == 1
    assert pool.characters == 0


def test_a_text_that_another_client_also_waits_for_is_not_dropped(pool: Pool) -> None:
    first, second = pool.translate(ask([SOURCE[0]]), "ann"), pool.translate(ask([SOURCE[0]]), "bob")
    first[0].cancel()
    assert texts(second) == MODEL.translator.translate(SOURCE[0])


def test_the_queue_is_bounded_in_characters(pool: Pool) -> None:
    with Blocked(pool):
        kept = pool.translate(ask(["a" * 6_000]), "ann")
        with pytest.raises(RequestError) as error:
            pool.translate(ask(["b" * 5_000]), "bob")
        assert error.value.status == 429
        assert error.value.retry_after is not None
        assert 1 <= error.value.retry_after <= 60
        kept[0].cancel()
        later = pool.translate(ask(["c"]), "bob")
    texts(later)


def test_a_failure_reaches_all_that_wait(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(MODEL.translator, "translate_segments", fail, raising=False)
    with Blocked(pool):
        futures = pool.translate(ask([" ".join(SOURCE[:3]), SOURCE[0]], split=True), "ann")
    for future in futures:
        with pytest.raises(MemoryError):
            future.result(timeout=60)
    monkeypatch.undo()
    assert texts(pool.translate(ask([SOURCE[0]]), "ann")) == MODEL.translator.translate(SOURCE[0])
    assert pool.characters == 0


def test_a_wrong_request_fails_alone(pool: Pool) -> None:
    wrong, right = pool.translate([*ask(["A"], to="xx"), *ask(SOURCE[:1])], "ann")
    with pytest.raises(Exception, match="does not translate into"):
        wrong.result(timeout=60)
    assert right.result(timeout=60)[0][0].text


def test_closing_finishes_what_is_queued() -> None:
    pool = Pool(threads=2, max_characters=10_000)
    futures = pool.translate(ask(SOURCE), "ann")
    pool.close()
    assert all(future.done() for future in futures)
    with pytest.raises(RequestError, match="shutting down"):
        pool.translate(ask(["A"]), "ann")


def test_torch_translates_what_waits_as_a_batch(counter: Counter, without_library: None) -> None:
    translator = Translator.load(server_tools.MODELS / "input_feeding", device="cpu")
    model = replace(MODEL, translator=translator)
    assert model.batch > 1
    pool = Pool(threads=2, max_characters=10_000, observer=counter)
    with Blocked(pool), Blocked(pool):
        futures = pool.translate(ask(SOURCE[:8], model=model), "ann")
        futures += pool.translate(ask(SOURCE[4:12], model=model), "bob")
    assert texts(futures) == translator.translate([*SOURCE[:8], *SOURCE[4:12]])
    pool.close()
    assert sum(counter.sizes) == 12
    assert max(counter.sizes) > 4


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.booleans()), max_size=60))
def test_lanes_lose_and_repeat_nothing(steps: list[tuple[int, int, bool]]) -> None:
    lanes, waiting, number = Lanes[int](), set[int](), 0
    for client, request, pop in steps:
        if pop:
            item = lanes.pop(lambda item: item % 3 != 0)
            allowed = {one for one in waiting if one % 3}
            assert item is None or item in allowed
            waiting.discard(-1 if item is None else item)
        else:
            lanes.append(client, request, [number, number + 1], first=number % 4 == 0)
            waiting |= {number, number + 1}
            number += 2
    while (item := lanes.pop()) is not None:
        waiting.remove(item)
    assert not waiting


def test_the_cache_is_bounded_and_forgets_what_was_not_used() -> None:
    one = MODEL.translator.nbest(SOURCE[0])[0]
    cache = SegmentCache(20_000)
    for number in range(50):
        cache.add(number, one, 9)
        assert cache.get(0) == one
        assert cache.bytes <= 20_000
    assert cache.get(1) is None
    assert cache.get(49) == one
    cache.clear()
    assert cache.get(0) is None
    nothing = SegmentCache(0)
    nothing.add(1, one, 9)
    assert nothing.get(1) is None
