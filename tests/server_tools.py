"""A server with tiny models, without a network."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from starlette.testclient import TestClient

from nmt.checkpoint.folder import load_model as load_one
from nmt.data.check.languages import LanguageIdentifier
from nmt.server.app import make_app
from nmt.server.files import FileJobs
from nmt.server.gate import GateSettings
from nmt.server.glossaries import GlossaryStore
from nmt.server.keys import KeyStore
from nmt.server.limits import Limits, Rates
from nmt.server.metrics import Metrics
from nmt.server.models import Models, ServedModel
from nmt.server.pool import Pool
from nmt.server.run import bind
from nmt.server.service import Service
from nmt.translation.load import load_packed_models
from nmt.translation.translator import Translator

MODELS = Path(__file__).parent / "models" / "0.1.0"
SOURCE = [
    line for line in (MODELS / "source.txt").read_text(encoding="utf-8").splitlines() if line.strip() == line > ""
]
_TEXTS = {
    "en": [*SOURCE, "the dog is here", "where is the house and the garden", "a man and a woman sleep"],
    "de": ["der Hund ist hier", "wo ist das Haus und der Garten", "ein Mann und eine Frau schlafen", "die Schwester"],
    "fr": ["le chien est ici", "où est la maison et le jardin", "un homme et une femme dorment", "la sœur"],
}


def load_model(
    name: str = "model", source: str = "en", target: str = "de", *, folder: str = "input_feeding"
) -> ServedModel:
    """Load a small model from English to German that claims to translate between any two languages."""
    packed = load_packed_models([MODELS / folder], device="cpu", precision="fp32")
    own = packed[0] if packed else load_one(MODELS / folder)
    if folder == "input_feeding":
        data = own.config.data
        train = tuple(replace(corpus, source_language=source, target_language=target) for corpus in data.train)
        changed = replace(data, source_language=source, target_language=target, train=train)
        own = replace(own, config=replace(own.config, data=changed))
    return ServedModel(name=name, translator=Translator([own]), identifier=LanguageIdentifier.learn(_TEXTS))


def make_service(
    *models: ServedModel, pivot: str | None = None, keys: KeyStore | None = None, **settings: Any
) -> Service:
    """Build a service. The settings are fields of `Limits` and of `Service`, and arguments of `Pool`."""
    limits = Limits(**{name: settings.pop(name) for name in list(settings) if name in Limits.__dataclass_fields__})
    threads, cache = settings.pop("threads", 1), settings.pop("cache_bytes", 1 << 20)
    metrics = Metrics()
    service = Service(
        models=Models(models, pivot),
        pool=Pool(threads=threads, max_characters=limits.max_queue_characters, cache_bytes=cache, observer=metrics),
        limits=limits,
        metrics=metrics,
        rates=Rates(),
        glossaries=GlossaryStore(),
        keys=keys,
        **settings,
    )
    service.files = FileJobs(service.pool, service.charge) if limits.max_file_bytes else None
    return service


def close(service: Service) -> None:
    """End the threads of a service, and delete its files."""
    service.pool.close()
    if service.files:
        service.files.close()


@contextmanager
def serve_port(*models: ServedModel, protocol: Any = "auto", **settings: Any) -> Iterator[str]:
    """Serve models on a free port, in a thread. Yield the address."""
    service = make_service(*(models or (load_model(),)), **settings)
    with bind("127.0.0.1", 0) as reserved:
        reserved.listen()  # connections wait until the server has started
        config = uvicorn.Config(
            make_app(service), log_config=None, access_log=False, lifespan="off", loop="asyncio", http=protocol
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([reserved],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{reserved.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            close(service)


@contextmanager
def serve(*models: ServedModel, gate: GateSettings | None = None, **settings: Any) -> Iterator[TestClient]:
    """Serve models to a client in this process."""
    service = make_service(*(models or (load_model(),)), **settings)
    with TestClient(make_app(service, gate)) as client:
        yield client
    close(service)
