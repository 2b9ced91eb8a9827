"""nmt's own API under /v1: everything that a `Request` can ask for."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse

from nmt.search.options import SampleOptions, SearchOptions
from nmt.server.errors import TOO_SLOW, RequestError, explain
from nmt.server.models import Chain
from nmt.server.nmt_records import (
    AlternativeRecord,
    AlternativesAnswer,
    AlternativesRequest,
    DetectAnswer,
    DetectRequest,
    ModelRecord,
    ModelsAnswer,
    PairRecord,
    ScoreAnswer,
    ScoreRecord,
    ScoreRequest,
    TermReport,
    TextResult,
    TranslateAnswer,
    TranslateRequest,
    TranslationRecord,
    WordRecord,
)
from nmt.server.pool import MAX_ATTENTION_CHARACTERS
from nmt.server.records import write_record
from nmt.server.routes import Call, Route
from nmt.translation.request import PairScore, Request, Translation
from nmt.translation.terms import Term

_MAX_ALTERNATIVES_CHARACTERS = 2_000  # they are found in one step, which cannot be interrupted
_SCORED_AT_ONCE = 32


async def translate(call: Call) -> Response:
    """Translate one or several texts."""
    asked = call.parameters.read(TranslateRequest, strict=True)
    texts = [asked.text] if isinstance(asked.text, str) else asked.text
    template = _build_template(asked)
    if asked.attention and max(map(len, texts), default=0) > MAX_ATTENTION_CHARACTERS:
        raise RequestError(400, f"attention: only for texts of at most {MAX_ATTENTION_CHARACTERS:,} characters")
    service = call.service
    detected: list[float | None] = [None] * len(texts)
    if asked.source == "auto":
        service.check_texts(texts)
        chains, detected = await _detect_chains(call, texts, asked)
    else:
        chains = [service.models.find_path(asked.source, asked.target, model=asked.model)] * len(texts)
    if asked.glossary:
        template = _add_glossary(call, template, asked.glossary, chains)

    def write(number: int, found: Sequence[Translation]) -> dict[str, Any]:
        record = _build_result(chains[number], found, detected[number], asked)
        return write_record(record)

    if asked.stream:
        service.check_texts(texts)
        service.check_request(template)
        groups: dict[Chain, list[int]] = {}
        for number, chain in enumerate(chains):
            groups.setdefault(chain, []).append(number)
        parts = [([texts[number] for number in numbers], chain, numbers) for chain, numbers in groups.items()]

        async def send() -> AsyncIterator[str]:
            try:
                async with asyncio.timeout(service.limits.seconds):
                    for own, chain, numbers in parts:
                        async for place, found in service.stream(own, chain, template, call.client):
                            yield _write_event("translation", {"index": numbers[place], **write(numbers[place], found)})
            except TimeoutError:
                yield _write_event("error", {"error": TOO_SLOW})
            except Exception as error:
                yield _write_event("error", {"error": str(explain(error, "/v1/translate"))})
            else:
                yield _write_event("done", {})

        return StreamingResponse(send(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    found = await service.translate_each(texts, chains, template, call.client)
    return JSONResponse({"results": [write(number, one) for number, one in enumerate(found)]})


def _build_template(asked: TranslateRequest) -> Request:
    given = [options for options in (asked.search, asked.sample, asked.mbr) if options]
    if len(given) > 1:
        raise RequestError(400, "search, sample and mbr: choose one")
    options: Any = given[0] if given else SearchOptions()
    if asked.details or asked.attention:
        options = _add_attention(options)
    terms: tuple[Term, ...] | None = tuple(asked.terms) if asked.terms else None
    return Request(
        "",
        tag=asked.tag,
        split=asked.split,
        guard=asked.guard,
        protect=asked.protect,
        markup=asked.markup,
        prefix=asked.prefix or None,
        terms=terms,
        options=options,
    )


def _add_attention(options: Any) -> Any:
    if isinstance(options, SearchOptions):
        return replace(options, attention=True)
    if isinstance(options, SampleOptions):
        return replace(options, within=replace(options.within, attention=True))
    return replace(options, search=_add_attention(options.search), sampling=_add_attention(options.sampling))


def _add_glossary(call: Call, template: Request, number: str, chains: Sequence[Chain]) -> Request:
    service = call.service
    glossary = service.glossaries.find(call.client.name, number)
    if glossary is None:
        raise RequestError(400, "glossary: there is none with this id")
    pairs = {(chain[0].source, chain[-1].target) for chain in chains}
    for pair in glossary.dictionaries:
        if {pair} == pairs:
            return replace(template, terms=(*(template.terms or ()), *service.glossaries.get_terms(glossary, pair)))
    raise RequestError(400, "glossary: has no terms for these languages")


async def _detect_chains(
    call: Call, texts: Sequence[str], asked: TranslateRequest
) -> tuple[list[Chain], list[float | None]]:
    """Return the models for each text by its detected language, and the probability of this language."""
    models = call.service.models
    target = asked.target if asked.target is None else models.find_target(asked.target)
    among = [source for source in models.sources if asked.target is None or (source, target) in models.paths]
    if not among:
        models.find_path(None, asked.target, model=asked.model)
        raise RequestError(400, "target: not available")
    if not models.can_detect and len(among) > 1:
        raise RequestError(400, "source: the models cannot detect languages; name the source language")
    chains, detected = [], []
    for guesses in await call.service.detect(texts, call.client, among):
        language, probability = guesses[0] if guesses else (among[0], 0.0)
        chains.append(models.find_path(language, asked.target, model=asked.model))
        detected.append(round(probability, 4))
    return chains, list(detected)


def _build_result(
    chain: Chain, found: Sequence[Translation], detected: float | None, asked: TranslateRequest
) -> TextResult:
    return TextResult(
        source=chain[0].source,
        target=chain[-1].target,
        models=[step.model.name for step in chain],
        detected=detected,
        translations=[_build_translation(one, asked) for one in found],
    )


def _build_translation(one: Translation, asked: TranslateRequest) -> TranslationRecord:
    terms = [TermReport(source=use.term.source, target=use.term.target, used=use.used) for use in one.terms]
    detailed = asked.details or asked.attention
    words = [
        WordRecord(
            start=word.start,
            end=word.end,
            probability=round(word.probability, 4),
            confidence=round(word.confidence, 4),
        )
        for word in one.words
    ]
    return TranslationRecord(
        text=one.text,
        score=round(one.score, 6),
        searched_again=list(one.searched_again),
        faults=list(one.faults),
        terms=terms or None,
        copied=one.copied or None,
        source_tokens=one.source_tokens if detailed else None,
        tokens=one.tokens if detailed else None,
        alignment=one.alignment if detailed else None,
        spans=[list(span) for span in one.spans] if detailed else None,
        confidence=None if one.confidence is None else round(one.confidence, 4),
        words=words or None if detailed else None,
        attention=[[round(weight, 4) for weight in row] for row in one.attention] if asked.attention else None,
    )


def _write_event(name: str, content: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n"


async def score(call: Call) -> Response:
    """Compute the probability of given translations."""
    asked = call.parameters.read(ScoreRequest, strict=True)
    texts = [asked.text] if isinstance(asked.text, str) else asked.text
    translations = [asked.translation] if isinstance(asked.translation, str) else asked.translation
    if len(texts) != len(translations):
        raise RequestError(400, "translation: give one for each text")
    service = call.service
    service.check_texts([*texts, *translations])
    (step,) = _find_step(call, asked.source, asked.target, asked.model)
    characters = sum(map(len, texts)) + sum(map(len, translations))
    service.charge(call.client, characters)
    translator = step.model.translator

    def score_part(part: slice) -> list[PairScore]:
        return translator.score(texts[part], translations[part], to=step.target, tag=asked.tag)

    parts = [slice(first, first + _SCORED_AT_ONCE) for first in range(0, len(texts), _SCORED_AT_ONCE)]
    sizes = [sum(map(len, texts[part])) + sum(map(len, translations[part])) for part in parts]
    found = await service.call([partial(score_part, part) for part in parts], sizes, call.client)
    scores = [
        ScoreRecord(
            log_probability=_make_finite(one.log_probability),
            per_token=_make_finite(one.per_token),
            per_word=_make_finite(one.per_word),
            tokens=one.tokens,
            token_log_probabilities=[_make_finite(value) for value in one.token_log_probabilities],
        )
        for part in found
        for one in part
    ]
    nulls = dict.fromkeys(("log_probability", "per_token", "per_word"))  # which `write_record` leaves out
    content = [nulls | write_record(one) for one in scores]
    return JSONResponse({"scores": content})


def _find_step(call: Call, source: str | None, target: str | None, model: str | None) -> Chain:
    chain = call.service.models.find_path(source, target, model=model)
    if len(chain) > 1:
        raise RequestError(400, "target: needs a model that translates between the two languages directly")
    return chain


def _make_finite(value: float) -> float | None:
    return round(value, 6) if value > float("-inf") else None


async def find_alternatives(call: Call) -> Response:
    """Find the words that can be next in a translation."""
    asked = call.parameters.read(AlternativesRequest, strict=True)
    limit = call.service.limits.max_alternatives
    if not 1 <= asked.count <= limit:
        raise RequestError(400, f"count: must be from 1 to {limit}")
    if len(asked.text.splitlines()) > 1:
        raise RequestError(400, "text: must be a single line")
    if len(asked.text) + len(asked.prefix) > _MAX_ALTERNATIVES_CHARACTERS:
        raise RequestError(400, f"text: at most {_MAX_ALTERNATIVES_CHARACTERS:,} characters, with the prefix")
    call.service.check_texts([asked.text, asked.prefix])
    (step,) = _find_step(call, asked.source, asked.target, asked.model)
    characters = (len(asked.text) + len(asked.prefix)) * asked.count
    call.service.charge(call.client, characters)
    request, translator = Request(asked.text, to=step.target, tag=asked.tag), step.model.translator
    (found,) = await call.service.call(
        [lambda: translator.alternatives(request, asked.prefix, asked.count)], [characters], call.client
    )
    records = [
        AlternativeRecord(word=one.word, probability=round(min(1.0, one.probability), 6), text=one.text)
        for one in found
    ]
    return JSONResponse({"alternatives": [write_record(one) for one in records]})


async def detect(call: Call) -> Response:
    """Detect which languages of the models texts are in."""
    asked = call.parameters.read(DetectRequest, strict=True)
    texts = [asked.text] if isinstance(asked.text, str) else asked.text
    call.service.check_texts(texts)
    found = await call.service.detect(texts, call.client)
    results = [[{"language": name, "probability": round(value, 4)} for name, value in guesses] for guesses in found]
    return JSONResponse({"results": results})


async def list_models(call: Call) -> Response:
    """List the models and the pairs of languages."""
    models = call.service.models
    answer = ModelsAnswer(
        models=[
            ModelRecord(
                name=model.name,
                sources=list(model.sources),
                targets=list(model.targets),
                tags=list(model.tags),
                detects_languages=model.identifier is not None,
            )
            for model in models.models
        ],
        pairs=[
            PairRecord(source=source, target=target, models=[step.model.name for step in chain])
            for (source, target), chain in models.paths.items()
        ],
    )
    return JSONResponse(write_record(answer))


ROUTES = (
    Route(
        path="/v1/translate", methods=("POST",), api="nmt", handle=translate, summary="Translate one or several texts",
        parameters=TranslateRequest, answer=TranslateAnswer,
    ),
    Route(
        path="/v1/score", methods=("POST",), api="nmt", handle=score, summary="Compute the probability of translations",
        parameters=ScoreRequest, answer=ScoreAnswer,
    ),
    Route(
        path="/v1/alternatives", methods=("POST",), api="nmt", handle=find_alternatives,
        summary="Find the words that can be next in a translation",
        parameters=AlternativesRequest, answer=AlternativesAnswer,
    ),
    Route(
        path="/v1/detect", methods=("POST",), api="nmt", handle=detect, summary="Detect the languages of texts",
        parameters=DetectRequest, answer=DetectAnswer,
    ),
    Route(
        path="/v1/models", methods=("GET",), api="nmt", handle=list_models, summary="List models and languages",
        answer=ModelsAnswer,
    ),
)  # fmt: skip
