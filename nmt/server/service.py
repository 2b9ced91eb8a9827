"""What all APIs share: who asks, what is allowed, and translation by one model or by two."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from nmt.errors import ConfigError
from nmt.search.options import MbrOptions, Options, SampleOptions, SearchOptions
from nmt.server.errors import RequestError
from nmt.server.files import FileJobs
from nmt.server.glossaries import GlossaryStore
from nmt.server.keys import KeyStore
from nmt.server.limits import Client, Limits, Rates
from nmt.server.metrics import Metrics
from nmt.server.models import Chain, Models, Step
from nmt.server.pool import MAX_ATTENTION_CHARACTERS, Pool, Text
from nmt.translation.request import Request, Translation
from nmt.translation.segments import combine, join_parts

T = TypeVar("T")

_LINES = re.compile(r"(\r\n|[\n\r\x85\u2028\u2029])")
_SENTENCES = re.compile(r"(?<=[.!?…।。！？])(\s+)")
_MAX_LENGTH_FACTOR, _MAX_LENGTH, _MAX_ROWS = 10, 500, 100  # the most that options of search may ask for
_LINES_AT_ONCE = 64  # the lines of a text that are one job of the pool
_JOINED_AT_ONCE = 1_000  # more lines than this are joined in a thread, so that other requests need not wait
_DETECTED_CHARACTERS = 2_000  # the part of a text that decides its language


@dataclass(kw_only=True)
class Service:
    """A running server, without HTTP."""

    models: Models
    pool: Pool
    limits: Limits
    metrics: Metrics
    rates: Rates
    glossaries: GlossaryStore
    keys: KeyStore | None = None
    require_key: bool = False
    files: FileJobs | None = None
    """Translates files. None if the server does not."""
    prefix: str = ""
    """The path under which a proxy publishes the server."""
    ready: bool = True
    """Whether new requests are welcome. It is false while the server shuts down."""

    def identify(self, key: str | None, address: str) -> Client:
        """Return the client with a key, or without a key at an address.

        Raises:
            RequestError: the key is not valid, or a key is required (403).
        """
        limits = (self.limits.requests_per_minute, self.limits.characters_per_minute)
        if self.keys is None or not key:
            if self.require_key:
                raise RequestError(403, "an API key is required; ask the operator of this server for one")
            return Client(name=address, requests_per_minute=limits[0], characters_per_minute=limits[1])
        found = self.keys.find(key)
        if found is None:
            raise RequestError(403, "Invalid API key")
        if found.characters_per_month and found.characters >= found.characters_per_month:
            raise RequestError(456, "the quota of characters of this month is used up")
        own = (found.requests_per_minute, found.characters_per_minute)
        requests, characters = (limit if one is None else one for one, limit in zip(own, limits, strict=True))
        return Client(
            name=f"key:{found.name}",
            key=found.name,
            requests_per_minute=requests,
            characters_per_minute=characters,
            characters_per_month=found.characters_per_month or 0,
        )

    def identify_anybody(self, address: str) -> Client:
        """Return the client at an address for routes that need no key and have no limits."""
        return Client(name=address)

    def charge(self, client: Client, characters: int) -> None:
        """Count the characters of a request. Raises RequestError: the client has asked for too much (429)."""
        self.rates.charge(client, characters=characters)
        self.count(client, characters)

    def count(self, client: Client, characters: int) -> None:
        """Count characters for the quota of the month."""
        if self.keys and client.key:
            self.keys.count(client.key, characters)

    def check_texts(self, texts: Sequence[str]) -> None:
        """Check the number and the length of texts. Raises RequestError: there are too many (400)."""
        sizes = ((len(texts), self.limits.max_texts), (sum(map(len, texts)), self.limits.max_characters))
        for size, limit in sizes:
            if size > limit:
                raise RequestError(400, f"Invalid request: request ({size}) exceeds text limit ({limit})")

    def check_request(self, request: Request) -> None:
        """Check the options and terms of a request. Raises RequestError: one is out of its bounds (400)."""
        options = request.options or SearchOptions()
        parts: list[Options] = [options.search, options.sampling] if isinstance(options, MbrOptions) else [options]
        for part in parts:
            search = part.within if isinstance(part, SampleOptions) else part
            bounds = {
                "beam": (search.beam, self.limits.max_beam),
                "nbest": (search.nbest if part is options else 1, self.limits.max_alternatives + 1),
                "samples": (part.samples if isinstance(part, SampleOptions) else 1, _MAX_ROWS),
                "max_length_factor": (search.max_length_factor, _MAX_LENGTH_FACTOR),
                "max_length_extra": (search.max_length_extra, _MAX_LENGTH),
                "min_length": (search.min_length, _MAX_LENGTH),
            }
            for name, (value, limit) in bounds.items():
                if value > limit:
                    raise RequestError(400, f"{name}: must be at most {limit}")
        if len(request.terms or ()) > self.limits.max_terms:
            raise RequestError(400, f"terms: at most {self.limits.max_terms}")

    async def translate(
        self, texts: Sequence[str], chain: Chain, template: Request, client: Client
    ) -> list[list[Translation]]:
        """Translate texts. Lines of plain text are translated one by one, and stay lines.

        Args:
            texts: the texts.
            chain: the models, one after the other.
            template: the settings of each text. With two models, they are for the second, except `markup`, `protect`
                and `split`.
            client: who asks.

        Raises:
            RequestError: a limit is exceeded, or a setting is not possible.
        """
        futures = await self._submit(texts, chain, template, client)
        try:
            return await asyncio.gather(*futures)
        finally:
            for future in futures:
                future.cancel()

    async def translate_each(
        self, texts: Sequence[str], chains: Sequence[Chain | None], template: Request, client: Client
    ) -> list[list[Translation]]:
        """Translate texts, each by its own models. Without models, a text stays as it is. See `translate`."""
        self.check_texts(texts)
        groups: dict[Chain | None, list[int]] = {}
        for number, chain in enumerate(chains):
            groups.setdefault(chain, []).append(number)
        results = [[keep(text)] for text in texts]
        known = [(chain, numbers) for chain, numbers in groups.items() if chain]
        parts = [[texts[number] for number in numbers] for _, numbers in known]
        tasks = [
            asyncio.ensure_future(self.translate(part, chain, template, client))
            for part, (chain, _) in zip(parts, known, strict=True)
        ]
        try:
            found = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        for (_, numbers), translated in zip(known, found, strict=True):
            for number, one in zip(numbers, translated, strict=True):
                results[number] = one
        return results

    async def stream(
        self, texts: Sequence[str], chain: Chain, template: Request, client: Client
    ) -> AsyncIterator[tuple[int, list[Translation]]]:
        """Translate texts, and yield the number and the translations of each text as soon as it is translated."""
        futures = await self._submit(texts, chain, template, client)
        waiting = {future: number for number, future in enumerate(futures)}
        try:
            while waiting:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for future in sorted(done, key=waiting.__getitem__):
                    yield waiting.pop(future), future.result()
        finally:
            for future in futures:
                future.cancel()

    async def call(self, functions: Sequence[Callable[[], T]], sizes: Sequence[int], client: Client) -> list[T]:
        """Call functions in the pool, in turn with other clients.

        Args:
            functions: the functions.
            sizes: for each function, the number of characters with which it counts in the queue.
            client: who asks.

        Raises:
            RequestError: a setting is not possible (400).
        """
        futures = list(map(asyncio.wrap_future, self.pool.call(functions, sizes, client.name)))
        try:
            return list(await asyncio.gather(*futures))
        except ConfigError as error:
            raise RequestError(400, str(error)) from None
        finally:
            for future in futures:
                future.cancel()

    async def detect(self, texts: Sequence[str], client: Client, among: Sequence[str] | None = None) -> list[Any]:
        """Return for each text the languages that it can be in (see `Models.detect`)."""
        models = self.models
        parts = [text[:_DETECTED_CHARACTERS] for text in texts]
        (found,) = await self.call(
            [lambda: [models.detect(part, among) for part in parts]], [sum(map(len, parts))], client
        )
        return found

    async def _submit(
        self, texts: Sequence[str], chain: Chain, template: Request, client: Client
    ) -> list[asyncio.Task[list[Translation]]]:
        self.check_texts(texts)
        self.check_request(template)
        if len(chain) > 1 and template.terms:
            raise RequestError(400, "terms: need a model that translates between the two languages directly")
        total = sum(map(len, texts))
        self.rates.charge(client, characters=total)
        self.metrics.observe_texts(f"{chain[0].source}-{chain[-1].target}", len(texts), total)
        own = Request("", split=template.split, markup=template.markup, protect=template.protect, guard=template.guard)
        settings = [*(own for _ in chain[:-1]), template]
        tasks: list[asyncio.Task[list[Translation]]] = []
        for step, each in zip(chain, settings, strict=True):
            try:
                texts = [found[0].text for found in await asyncio.gather(*tasks)] if tasks else texts
            finally:
                for task in tasks:
                    task.cancel()
            tasks = self._start(texts, step, each, client)
            if step is chain[0]:
                self.count(client, total)  # after the queue has accepted the text
        return tasks

    def _start(
        self, texts: Sequence[str], step: Step, template: Request, client: Client
    ) -> list[asyncio.Task[list[Translation]]]:
        """Queue texts for one model."""
        template = replace(template, to=step.target)
        pieces = [[text] if template.markup else _split(text) for text in texts]
        if template.prefix and any(len(own) > 1 for own in pieces):
            raise RequestError(400, "prefix: only for text on a single line")
        parts = []
        for own in pieces:
            lines = [piece for piece in own if piece.strip()]
            parts.append([lines[first : first + _LINES_AT_ONCE] for first in range(0, len(lines), _LINES_AT_ONCE)])
        queued = [Text(model=step.model, template=template, lines=lines) for part in parts for lines in part]
        waiting = iter(self.pool.translate(queued, client.name))
        tasks = []
        for own, part in zip(pieces, parts, strict=True):
            futures = list(itertools.islice(waiting, len(part)))
            task = asyncio.ensure_future(_gather(own, futures, template))
            task.add_done_callback(partial(_cancel, futures))  # drops what is queued
            tasks.append(task)
        return tasks


def _split(text: str) -> list[str]:
    """Split a text into lines and the line breaks between them. Very long lines are split between sentences, too."""
    pieces = []
    for line in _LINES.split(text):
        sentences = iter(_SENTENCES.split(line) if len(line) > MAX_ATTENTION_CHARACTERS else [line])
        pieces.append(next(sentences))
        for space, sentence in zip(sentences, sentences, strict=True):
            if len(pieces[-1]) + len(space) + len(sentence) <= MAX_ATTENTION_CHARACTERS:
                pieces[-1] += space + sentence
            else:
                pieces += [space, sentence]
    return pieces


def keep(text: str) -> Translation:
    """Return the translation of a text that stays as it is."""
    return Translation(text=text, score=0.0, source_tokens=[], tokens=[], alignment=[])


def _cancel(futures: Sequence[Future[Any]], _: object) -> None:
    for future in futures:
        future.cancel()


async def _gather(
    pieces: Sequence[str], futures: Sequence[Future[list[list[Translation]]]], template: Request
) -> list[Translation]:
    """Wait for the translations of the lines of a text, and join them.

    Args:
        pieces: the lines and the line breaks between them.
        futures: the translations of those pieces that are not blank, several in each future.
        template: the settings of the text.
    """
    try:
        found = [one for part in await asyncio.gather(*map(asyncio.wrap_future, futures)) for one in part]
    except ConfigError as error:
        raise RequestError(400, str(error)) from None
    if len(pieces) > _JOINED_AT_ONCE:
        return await asyncio.to_thread(_join, pieces, found, template)
    return _join(pieces, found, template)


def _join(pieces: Sequence[str], found: list[list[Translation]], template: Request) -> list[Translation]:
    """Join the translations of the lines of a text. Long texts have no attention weights."""
    if sum(map(len, pieces)) > MAX_ATTENTION_CHARACTERS:
        found = [[replace(one, attention=[]) for one in line] for line in found]
    if len(pieces) == 1 and found:
        return found[0] if template.markup else [_indent(one, pieces[0]) for one in found[0]]
    if not found:
        return [keep("".join(pieces))]
    if isinstance(template.options, SampleOptions):
        chosen: list[tuple[Translation, ...]] = list(zip(*found, strict=True))
    else:
        options = template.options or SearchOptions()
        chosen = combine(found, options.nbest)
    best = [translations[0] for translations in found]
    joined = []
    for parts in chosen:
        own, written, spans, words = iter(parts), "", [], []
        for piece in pieces:
            part = _indent(next(own), piece) if piece.strip() else None
            spans += [(len(written) + start, len(written) + end) for start, end in part.spans] if part else []
            words += [word.move(len(written)) for word in part.words] if part else []
            written += part.text if part else piece
        whole = join_parts(parts, best, "\n")
        joined.append(replace(whole, text=written, spans=spans, words=words if whole.words else []))
    return list({translation.text: translation for translation in reversed(joined)}.values())[::-1]


def _indent(translation: Translation, text: str) -> Translation:
    """Return a translation with the white space around its text."""
    before = text[: len(text) - len(text.lstrip())]
    after = text[len(text.rstrip()) :]
    if not before and not after:
        return translation
    spans = [(len(before) + start, len(before) + end) for start, end in translation.spans]
    words = [word.move(len(before)) for word in translation.words]
    return replace(translation, text=before + translation.text + after, spans=spans, words=words)
