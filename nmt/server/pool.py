"""Threads that translate the texts of all clients, in turn.

A text is divided into segments, and a thread translates one segment at a time. The native library releases Python's
lock meanwhile. PyTorch translates all segments that wait for the model as one batch. Nothing waits for a batch to fill.
"""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from weakref import ref

from nmt.search.options import SearchOptions, asks_for_attention
from nmt.server.cache import SegmentCache
from nmt.server.errors import RequestError
from nmt.server.lanes import Lanes
from nmt.server.models import ServedModel
from nmt.translation.plan import Plan, make_plan
from nmt.translation.request import Request, Segment, Translation

MAX_RETRY_AFTER = 60.0  # seconds
MAX_ATTENTION_CHARACTERS = 5_000
"""The number of characters of a line whose translation needs attention weights."""


class Observer(Protocol):
    """Receives what happens in a pool. Its methods are called in any thread."""

    def observe_wait(self, seconds: float) -> None:
        """A text has waited in the queue."""

    def observe_segments(self, *, searched: int, cached: int) -> None:
        """Segments were translated, or were in the cache."""

    def observe_batch(self, size: int) -> None:
        """A batch of segments was translated."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text to translate."""

    model: ServedModel
    template: Request
    """The settings of the text."""
    lines: Sequence[str]
    """The lines of the text. Each is translated by its own."""


@dataclass(eq=False, kw_only=True)
class _Job:
    """Work for a client: a text to translate, or a function to call."""

    client: str
    request: int
    characters: int
    future: Future[Any]
    work: Text | Callable[[], Any]
    queued: float = field(default_factory=time.monotonic)
    plans: list[Plan] = field(default_factory=list)
    """The lines of a text, divided into segments."""
    found: dict[Segment, list[Translation]] = field(default_factory=dict)
    missing: int = 0
    """The number of segments that are not translated yet."""
    failed: bool = False


@dataclass(eq=False, kw_only=True)
class _Search:
    """A segment, and the jobs that wait for it."""

    model: ServedModel
    segment: Segment
    jobs: list[_Job]
    taken: bool = False


class Pool:
    """Translates texts in threads, fairly between clients.

    Args:
        threads: the number of threads.
        max_characters: the limit of the characters of all texts that are not finished.
        cache_bytes: the approximate limit of the size of the cache of segments.
        observer: receives measurements.
    """

    def __init__(
        self, *, threads: int, max_characters: int, cache_bytes: int = 0, observer: Observer | None = None
    ) -> None:
        self.threads, self.max_characters = threads, max_characters
        self.characters = 0
        """The number of characters of all texts that are not finished."""
        self._observer = observer
        self._lanes = Lanes[_Job | _Search]()
        self._searches: dict[tuple[Hashable, Segment], _Search] = {}  # that are queued or run
        self._cache = SegmentCache(cache_bytes)  # its keys have weak references, so that replaced models can be freed
        self._busy: set[ServedModel] = set()  # models of PyTorch, which run one batch at a time
        self._changed = threading.Condition()
        self._jobs, self._requests, self._ending = 0, 0, False
        self._finished_characters, self._seconds = 0, 0.0
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for worker in self._workers:
            worker.start()

    def translate(self, texts: Sequence[Text], client: str) -> list[Future[list[list[Translation]]]]:
        """Queue the texts of a request. A cancelled future is dropped from the queue.

        Returns:
            For each text, a future with the translations of each of its lines, the best first.

        Raises:
            RequestError: there are too many characters in the queue (429), or the pool ends (503).
        """
        jobs = [
            _Job(client=client, request=0, characters=sum(map(len, text.lines)), future=Future(), work=text)
            for text in texts
        ]
        self._queue(jobs)
        return [job.future for job in jobs]

    def call(self, functions: Sequence[Callable[[], Any]], sizes: Sequence[int], client: str) -> list[Future[Any]]:
        """Queue functions, each with its costs in characters. See `translate`."""
        jobs = [
            _Job(client=client, request=0, characters=size, future=Future(), work=function)
            for function, size in zip(functions, sizes, strict=True)
        ]
        self._queue(jobs)
        return [job.future for job in jobs]

    def clear_cache(self) -> None:
        """Forget all translations, for example because models were replaced."""
        with self._changed:
            self._cache.clear()

    def close(self) -> None:
        """Refuse new texts, finish the texts in the queue, and end the threads."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    @property
    def retry_after(self) -> float:
        """The number of seconds until half of the queue is probably done."""
        speed = self._finished_characters / self._seconds * self.threads if self._seconds else 1_000.0
        return min(MAX_RETRY_AFTER, max(1.0, self.characters / 2 / max(speed, 1.0)))

    def _queue(self, jobs: Sequence[_Job]) -> None:
        total = sum(job.characters for job in jobs)
        with self._changed:
            if self._ending:
                raise RequestError(503, "the server is shutting down", 5.0)
            if self.characters and self.characters + total > self.max_characters:
                raise RequestError(429, "too much text is waiting for translation; try again later", self.retry_after)
            self._requests += 1
            self.characters += total
            self._jobs += len(jobs)
            for job in jobs:
                job.request = self._requests
            for client in {job.client for job in jobs}:
                self._lanes.append(client, self._requests, jobs)
            self._changed.notify(len(jobs))
        for job in jobs:
            job.future.add_done_callback(lambda _, job=job: self._leave(job))  # type: ignore[misc]

    def _leave(self, job: _Job) -> None:
        with self._changed:
            self.characters -= job.characters
            self._jobs -= 1
            if self._ending:
                self._changed.notify_all()

    # ---- in the threads

    def _work(self) -> None:
        while work := self._take():
            start, first = time.monotonic(), work[0]
            if isinstance(first, _Job):
                self._start(first)
            else:
                self._search([search for search in work if isinstance(search, _Search)])
            with self._changed:
                self._seconds += time.monotonic() - start

    def _take(self) -> list[_Job | _Search]:
        """Wait for work. Return a job, or the searches of a batch. At the end, return an empty list."""
        with self._changed:
            while not (work := self._take_batch()):
                if self._ending and not self._jobs:
                    break
                self._changed.wait()
            return work

    def _take_batch(self) -> list[_Job | _Search]:
        """Take a job, or the searches of a batch. Return an empty list if there is nothing to do."""
        found: list[_Job | _Search] = []
        model: ServedModel | None = None  # the model of the batch

        def allow(item: _Job | _Search) -> bool:
            if isinstance(item, _Job):
                return model is None
            return item.model not in self._busy if model is None else item.model is model

        while item := self._lanes.pop(allow):
            if isinstance(item, _Job):
                if not item.future.cancelled():
                    return [item]
            elif self._is_wanted(item):
                item.taken, model = True, item.model
                found.append(item)
                if len(found) >= max(1, model.batch):
                    break
        if model and model.batch:
            self._busy.add(model)
        return found

    def _is_wanted(self, search: _Search) -> bool:
        """Return whether a search must be done. If no job waits for it anymore, forget it."""
        if search.taken:
            return False
        if all(job.future.cancelled() for job in search.jobs):
            del self._searches[ref(search.model), search.segment]
            search.taken = True
            return False
        return True

    def _start(self, job: _Job) -> None:
        """Call the function of a job, or divide its text into segments and queue the unknown ones."""
        if self._observer:
            self._observer.observe_wait(time.monotonic() - job.queued)
        text = job.work
        if not isinstance(text, Text):
            _call(job.future, text)
            return
        model = text.model
        try:
            job.plans = [make_plan(model.translator, replace(text.template, text=line)) for line in text.lines]
            _check_lengths(job.plans)
        except Exception as error:
            _fail(job.future, error)
            return
        first: _Search | None = None
        with self._changed:
            new = []
            for segment in dict.fromkeys(segment for plan in job.plans for segment in plan.segments):
                key = ref(model), segment
                if (known := self._cache.get(key)) is not None:
                    job.found[segment] = known
                    continue
                job.missing += 1
                if search := self._searches.get(key):
                    search.jobs.append(job)
                else:
                    search = self._searches[key] = _Search(model=model, segment=segment, jobs=[job])
                new.append(search)
            if not model.batch and new and not new[0].taken:
                first = new.pop(0)
                first.taken = True
            # Batches are larger if all texts of a request are divided first.
            self._lanes.append(job.client, job.request, new, first=not model.batch)
            self._changed.notify(len(new))
            done = not job.missing
        if self._observer:
            self._observer.observe_segments(searched=0, cached=len(job.found))
        if first:
            self._search([first])
        elif done:
            self._finish(job)

    def _search(self, searches: Sequence[_Search]) -> None:
        """Translate the segments of searches for one model, and finish the jobs that wait for no other segment."""
        model = searches[0].model
        error: Exception | None = None
        found: dict[Segment, list[Translation]] = {}
        try:
            found = model.translator.translate_segments([search.segment for search in searches])
        except Exception as failure:
            error = failure
        ready, failed = [], []
        with self._changed:
            self._busy.discard(model)
            for search in searches:
                key = ref(model), search.segment
                del self._searches[key]
                if error is None:
                    self._cache.add(key, found[search.segment], len(search.segment.source))
                for job in search.jobs:
                    job.missing -= 1
                    if error is None:
                        job.found[search.segment] = found[search.segment]
                        if not job.missing and not job.failed:
                            ready.append(job)
                    elif not job.failed:
                        job.failed = True
                        failed.append(job)
            if model.batch:
                self._changed.notify_all()
        if self._observer:
            self._observer.observe_segments(searched=len(searches), cached=0)
            self._observer.observe_batch(len(searches))
        for job in failed:
            assert error is not None
            _fail(job.future, error)
        for job in ready:
            self._finish(job)

    def _finish(self, job: _Job) -> None:
        _call(job.future, lambda: [plan.finish(job.found) for plan in job.plans])
        with self._changed:
            self._finished_characters += job.characters


def _check_lengths(plans: Sequence[Plan]) -> None:
    """Refuse lines with attention that are too long. Time and memory grow with the square of their length."""
    for request in (one for plan in plans for one in plan.requests):
        if len(request.text) > MAX_ATTENTION_CHARACTERS and asks_for_attention(request.options or SearchOptions()):
            raise RequestError(
                400,
                f"lines and paragraphs with details, alignments or markup have at most {MAX_ATTENTION_CHARACTERS:,} "
                "characters; divide the text, or ask for plain text",
            )


def _call(future: Future[Any], function: Callable[[], Any]) -> None:
    """Call a function, unless its future is cancelled or done already, and set the result."""
    if future.done() or not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _fail(future: Future[Any], error: Exception) -> None:
    def fail() -> None:
        raise error

    _call(future, fail)
