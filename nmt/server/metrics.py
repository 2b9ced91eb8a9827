"""Measurements of the server for Prometheus. Labels never contain text, keys or addresses of clients."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters and histograms. A pool calls some of the methods in its threads."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series for the start of each series
        own = self._registry = CollectorRegistry()
        self._requests = Counter("nmt_requests", "Requests.", ("route", "status"), registry=own)
        self._latency = Histogram(
            "nmt_request_seconds", "Time of requests.", ("route",), buckets=_SECONDS, registry=own
        )
        self._running = Gauge("nmt_requests_running", "Requests that are running.", registry=own)
        self._texts = Counter("nmt_texts", "Texts to translate.", ("pair",), registry=own)
        self._characters = Counter("nmt_characters", "Characters to translate.", ("pair",), registry=own)
        self._wait = Histogram("nmt_queue_seconds", "Time of texts in the queue.", buckets=_SECONDS, registry=own)
        self._segments = Counter(
            "nmt_segments", "Segments, by whether they were in the cache.", ("cached",), registry=own
        )
        self._batch = Histogram("nmt_batch_segments", "Segments translated at once.", buckets=_SIZES, registry=own)
        self._queued = Gauge("nmt_queue_characters", "Characters that are not translated yet.", registry=own)

    def watch_queue(self, count: Callable[[], float]) -> None:
        """Set the function that returns the number of characters in the queue."""
        self._queued.set_function(count)

    def observe_start(self) -> None:
        """A request has arrived."""
        self._running.inc()

    def observe_end(self, route: str, status: int, seconds: float) -> None:
        """A request has been answered. `route` is a path of the table of routes, not the path of the request."""
        self._running.dec()
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def observe_texts(self, pair: str, texts: int, characters: int) -> None:
        """Texts of a request are translated."""
        self._texts.labels(pair).inc(texts)
        self._characters.labels(pair).inc(characters)

    def observe_wait(self, seconds: float) -> None:
        """A text has waited in the queue."""
        self._wait.observe(seconds)

    def observe_segments(self, *, searched: int, cached: int) -> None:
        """Segments were translated, or were in the cache."""
        for label, count in (("no", searched), ("yes", cached)):
            if count:
                self._segments.labels(label).inc(count)

    def observe_batch(self, size: int) -> None:
        """A batch of segments was translated."""
        self._batch.observe(size)

    def write(self) -> bytes:
        """Return all measurements in the text format of Prometheus."""
        return generate_latest(self._registry)
