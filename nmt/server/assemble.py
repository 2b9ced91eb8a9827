"""The parts of a server: stores, models, queue and metrics, as one service."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nmt.server.files import FileJobs
from nmt.server.glossaries import GlossaryStore
from nmt.server.keys import KeyStore
from nmt.server.limits import Limits, Rates
from nmt.server.metrics import Metrics
from nmt.server.models import Models
from nmt.server.pool import Pool
from nmt.server.service import Service


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What a service allows, and where it stores what it must remember."""

    limits: Limits
    threads: int
    """The number of segments that are translated at once."""
    cache_bytes: int
    """The memory for translations of segments that were seen before."""
    keys: str | None = None
    """The file of the keys of clients. Without it, no client has a key."""
    require_key: bool = False
    glossaries: str | None = None
    """The file of the glossaries. Without it, they are kept in memory."""
    prefix: str = ""
    """The path under which a proxy publishes the server."""


@contextlib.contextmanager
def open_service(load: Callable[[], Models], settings: ServiceSettings) -> Iterator[Service]:
    """Open the stores, load the models, and yield a service that uses them. The stores are closed after the block.

    Args:
        load: loads the models. It is called after the stores are open, because loading takes longest.
        settings: the settings of the service.

    Raises:
        UserError: a store or a model is missing or damaged.
    """
    with contextlib.ExitStack() as stack:
        keys = stack.enter_context(contextlib.closing(KeyStore(settings.keys))) if settings.keys else None
        glossaries = stack.enter_context(contextlib.closing(GlossaryStore(settings.glossaries)))
        models, metrics = load(), Metrics()
        pool = Pool(
            threads=settings.threads,
            max_characters=settings.limits.max_queue_characters,
            cache_bytes=settings.cache_bytes,
            observer=metrics,
        )
        metrics.watch_queue(lambda: pool.characters)
        service = Service(
            models=models,
            pool=pool,
            limits=settings.limits,
            metrics=metrics,
            rates=Rates(),
            glossaries=glossaries,
            keys=keys,
            require_key=settings.require_key,
            prefix=settings.prefix,
        )
        if settings.limits.max_file_bytes:
            service.files = stack.enter_context(contextlib.closing(FileJobs(pool, service.charge)))
        yield service
