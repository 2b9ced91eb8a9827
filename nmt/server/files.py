"""Jobs that translate files. A request starts a job; other requests ask for its state and its result."""

import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, cast

from nmt.errors import UserError
from nmt.search.options import MbrOptions, Options
from nmt.server.errors import RequestError, explain
from nmt.server.lanes import Lanes
from nmt.server.limits import Client
from nmt.server.models import Models, Step
from nmt.server.pool import Pool, Text
from nmt.translation.documents.document import Context, Document
from nmt.translation.documents.formats import READERS, find_reader
from nmt.translation.documents.translate import translate_texts
from nmt.translation.request import Request, Translation
from nmt.translation.translator import Translator

_THREADS = 2  # the number of jobs that run at once
_MAX_JOBS, _MAX_OWN_JOBS = 200, 20  # the number of jobs that wait, run or have a result, of all clients and of one
_KEPT_SECONDS = 3_600.0  # the time for which a result is kept
_NAME_LENGTH = 100
_DETECTED_TEXTS, _DETECTED_CHARACTERS = 50, 2_000  # the part of a document that decides its language

State = Literal["queued", "translating", "done", "error"]


@dataclass(kw_only=True, eq=False)
class Job:
    """A file that is translated."""

    id: str
    key: str
    """A secret that the client needs to see the job."""
    name: str
    """The name of the file."""
    owner: str
    """The name of the client."""
    state: State = "queued"
    message: str = ""
    """What is wrong, if the state is `error`."""
    characters: int = 0
    """The number of characters that were translated."""
    source: str = ""
    """The source language, once it is known."""
    ended: Future[None] = field(default_factory=Future)
    """A future that is done when the job has ended, with or without success."""
    created: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, kw_only=True)
class FileRequest:
    """A file, and how to translate it."""

    data: bytes
    name: str
    """The name of the file as the client gives it. Its ending is the format."""
    source: str | None
    """The source language of the models. None detects it."""
    target: str
    """The target language of the models."""
    template: Request
    """The settings of all texts."""
    allow_same: bool = True
    """Whether a file that is in the target language already stays as it is. Otherwise, this is an error."""


def list_endings() -> list[str]:
    """Return the endings of the files that can be translated."""
    return list(READERS)


def is_known(name: str) -> bool:
    """Return whether files with the ending of a name can be translated."""
    return Path(name).suffix.lower() in READERS


class FileJobs:
    """The jobs of a server. Results are files in a temporary folder.

    Args:
        pool: translates the texts of all files.
        charge: counts the characters of a client, and raises RequestError if there are too many.
    """

    def __init__(self, pool: Pool, charge: Callable[[Client, int], None]) -> None:
        self._pool, self._charge = pool, charge
        self._folder = Path(tempfile.mkdtemp(prefix="nmt-serve-"))
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")
        self._jobs: dict[str, Job] = {}  # the oldest first
        self._waiting = Lanes[Callable[[], None]]()
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def start(self, asked: FileRequest, models: Models, client: Client) -> Job:
        """Start a job.

        Raises:
            RequestError: the ending is not known (400), or there are too many jobs (429).
        """
        if not is_known(asked.name):
            raise RequestError(400, "Invalid request: file format not supported")
        job = Job(id=uuid.uuid4().hex, key=uuid.uuid4().hex, name=_make_safe(asked.name), owner=client.name)
        with self._lock:
            self._make_room(client)
            self._jobs[job.id] = job
            self._waiting.append(client.name, job.id, [partial(self._run, job, asked, models, client)])
        self._executor.submit(self._run_next)
        return job

    def find(self, number: str) -> Job | None:
        """Return a job, or None if it does not exist or its result was removed."""
        return self._jobs.get(number)

    def read_result(self, job: Job) -> bytes:
        """Return the translated file. Raises RequestError: it was removed (404)."""
        try:
            return (self._folder / job.id).read_bytes()
        except FileNotFoundError:
            raise RequestError(404, "the file does not exist, or was removed") from None

    def remove(self, job: Job) -> None:
        """Forget a job and its result."""
        with self._lock:
            self._jobs.pop(job.id, None)
        (self._folder / job.id).unlink(missing_ok=True)

    def close(self) -> None:
        """Stop waiting for room in the queue, end the jobs, and delete all results."""
        self._closing.set()
        self._executor.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make_room(self, client: Client) -> None:
        """Remove results that are too old. If a client has many files, also remove its oldest result.

        Raises:
            RequestError: too many files wait (429).
        """
        limit = time.monotonic() - _KEPT_SECONDS
        own = [job for job in self._jobs.values() if job.owner == client.name]
        ended = [job for job in own if job.ended.done()]
        old = [job for job in self._jobs.values() if job.created < limit and job.ended.done()]
        for job in {*old, *(ended[:1] if len(own) >= _MAX_OWN_JOBS else ())}:
            del self._jobs[job.id]
            (self._folder / job.id).unlink(missing_ok=True)
            own = [other for other in own if other is not job]
        if len(own) >= _MAX_OWN_JOBS or len(self._jobs) >= _MAX_JOBS:
            raise RequestError(429, "too many files are being translated; try again later", 30)

    def _run_next(self) -> None:
        """Run the next job. Clients take turns."""
        with self._lock:
            run = self._waiting.pop()
        assert run
        run()

    def _run(self, job: Job, asked: FileRequest, models: Models, client: Client) -> None:
        job.state = "translating"
        try:
            content = self._translate(job, asked, models, client)
            (self._folder / job.id).write_bytes(content)
            job.state = "done"
        except UserError as error:
            job.message, job.state = str(error), "error"
        except Exception as error:
            (self._folder / job.id).unlink(missing_ok=True)  # on a full disk, it is incomplete
            job.message, job.state = str(explain(error, f"a file in {Path(job.name).suffix}")), "error"
        finally:
            job.ended.set_result(None)

    def _translate(self, job: Job, asked: FileRequest, models: Models, client: Client) -> bytes:
        context = Context(name=job.name, source=asked.source or models.sources[0], target=asked.target)
        document = find_reader(Path(job.name))(asked.data, context)
        job.characters = sum(len(text.text) for text in document.texts)
        self._charge(client, job.characters)
        job.source = asked.source or _detect(models, document, asked.target)
        if job.source == asked.target and not asked.allow_same:
            raise RequestError(400, "Source and target language are equal.")
        texts = document.texts
        for step in () if job.source == asked.target else models.paths[job.source, asked.target]:
            translator = _PooledTranslator(self._pool, step, client.name, self._closing)
            template = replace(asked.template, to=step.target, split=True)
            texts = translate_texts(cast(Translator, translator), texts, template)
        return document.write(texts)


class _PooledTranslator:
    """What `translate_texts` needs of a translator. It translates in the pool, in turn with other clients."""

    def __init__(self, pool: Pool, step: Step, client: str, closing: threading.Event) -> None:
        self._pool, self._step, self._client, self._closing = pool, step, client, closing
        self.segmenter = step.model.translator.segmenter
        self.threads = 1

    def target_language(self, to: str | None = None) -> str:
        return self._step.model.translator.target_language(to)

    def max_segments(self, options: Options | MbrOptions) -> int:
        return self._step.model.translator.max_segments(options)

    def nbest(self, requests: Sequence[Request]) -> list[list[Translation]]:
        """Translate requests. If the queue is full, wait."""
        while True:
            if self._closing.is_set():
                raise RequestError(503, "the server is shutting down")
            try:
                texts = [Text(model=self._step.model, template=one, lines=[one.text]) for one in requests]
                futures = self._pool.translate(texts, self._client)
            except RequestError as error:
                if error.status != 429:
                    raise
                self._closing.wait(error.retry_after)
                continue
            return [future.result()[0] for future in futures]


def _detect(models: Models, document: Document, target: str) -> str:
    """Return the language of a document, among the languages that can be translated into the target."""
    among = [source for source in models.sources if (source, target) in models.paths]
    if len(among) == 1 and not models.can_detect:
        return among[0]
    text = " ".join(text.text for text in document.texts[:_DETECTED_TEXTS])[:_DETECTED_CHARACTERS]
    guesses = models.detect(text, [*among, target])
    if not guesses:
        raise RequestError(400, "the language of the file cannot be detected; name the source language")
    return guesses[0][0]


def _make_safe(name: str) -> str:
    """Return the name of a file without folders and control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(character for character in last if character.isprintable())
    ending = Path(kept).suffix
    return kept.removesuffix(ending)[:_NAME_LENGTH] + ending
