"""The glossaries of DeepL's API. Version 2 has one pair of languages in a glossary, version 3 has several."""

import asyncio
import csv
import functools
import io
from collections.abc import Mapping
from dataclasses import replace

from starlette.responses import JSONResponse, Response

from nmt.server.deepl_records import (
    DeepLDictionaries,
    DeepLDictionary,
    DeepLDictionaryRequest,
    DeepLGlossaries,
    DeepLGlossary,
    DeepLGlossaryChange,
    DeepLGlossaryRequest,
    DeepLMultiGlossaries,
    DeepLMultiGlossary,
    DeepLMultiGlossaryRequest,
    DeepLPair,
    DeepLPairs,
)
from nmt.server.errors import RequestError
from nmt.server.glossaries import Glossary, Languages
from nmt.server.models import Models
from nmt.server.records import write_record
from nmt.server.routes import Call, Route

_TSV = "text/tab-separated-values"


async def list_pairs(call: Call) -> Response:
    """List the pairs of languages that glossaries can have."""
    pairs = [DeepLPair(source_lang=source, target_lang=target) for source, target in _list_direct(call.service.models)]
    return JSONResponse(write_record(DeepLPairs(supported_languages=pairs)))


def _list_direct(models: Models) -> list[Languages]:
    return [pair for pair, chain in models.paths.items() if len(chain) == 1]


async def create(call: Call) -> Response:
    """Store a glossary for one pair of languages."""
    asked = call.parameters.read(DeepLGlossaryRequest)
    pair, entries = _read_dictionary(call, asked)
    return JSONResponse(_write(_add(call, asked.name, {pair: entries})), 201)


async def list_glossaries(call: Call) -> Response:
    """List the glossaries of the client."""
    found = await asyncio.to_thread(call.service.glossaries.list_all, call.client.name)
    return JSONResponse({"glossaries": [_write(glossary) for glossary in found]})


async def get_glossary(call: Call) -> Response:
    """Describe a glossary."""
    return JSONResponse(_write(_find(call)))


async def delete(call: Call) -> Response:
    """Delete a glossary."""
    if not call.service.glossaries.delete(call.client.name, call.request.path_params["glossary_id"]):
        raise RequestError(404, "Glossary not found")
    return Response(status_code=204)


async def get_entries(call: Call) -> Response:
    """Return the terms of a glossary as lines of source, tab and target."""
    accepted = call.request.headers.get("accept", "*/*")
    if not any(kind in accepted for kind in (_TSV, "*/*", "text/*")):
        raise RequestError(415, f"Only {_TSV} is supported.")
    glossary = _find(call)
    entries = next(iter(glossary.dictionaries.values()))
    return Response(_write_entries(entries), media_type=_TSV)


async def create_multi(call: Call) -> Response:
    """Store a glossary for several pairs of languages."""
    asked = call.parameters.read(DeepLMultiGlossaryRequest)
    dictionaries = dict(_read_dictionary(call, one) for one in asked.dictionaries)
    return JSONResponse(_write_multi(_add(call, asked.name, dictionaries)), 201)


async def list_multi(call: Call) -> Response:
    """List the glossaries of the client."""
    found = await asyncio.to_thread(call.service.glossaries.list_all, call.client.name)
    return JSONResponse({"glossaries": [_write_multi(glossary) for glossary in found]})


async def get_multi(call: Call) -> Response:
    """Describe a glossary."""
    return JSONResponse(_write_multi(_find(call)))


async def change(call: Call) -> Response:
    """Rename a glossary, or add terms to it."""
    glossary, asked = _find(call), call.parameters.read(DeepLGlossaryChange)
    dictionaries = {pair: dict(entries) for pair, entries in glossary.dictionaries.items()}
    for one in asked.dictionaries or []:
        pair, entries = _read_dictionary(call, one)
        dictionaries[pair] = dictionaries.get(pair, {}) | entries
    changed = replace(glossary, name=asked.name or glossary.name, dictionaries=dictionaries)
    _check_size(call, changed.dictionaries)
    call.service.glossaries.change(call.client.name, changed)
    return JSONResponse(_write_multi(changed))


async def get_multi_entries(call: Call) -> Response:
    """Return the terms of a glossary for a pair of languages."""
    glossary = _find(call)
    pair = _read_pair(call, glossary)
    record = {
        "source_lang": pair[0],
        "target_lang": pair[1],
        "entries": _write_entries(glossary.dictionaries[pair]),
        "entries_format": "tsv",
    }
    return JSONResponse({"dictionaries": [record]})


async def replace_dictionary(call: Call) -> Response:
    """Replace the terms of a glossary for a pair of languages."""
    glossary = _find(call)
    pair, entries = _read_dictionary(call, call.parameters.read(DeepLDictionaryRequest))
    changed = replace(glossary, dictionaries={**glossary.dictionaries, pair: entries})
    _check_size(call, changed.dictionaries)
    call.service.glossaries.change(call.client.name, changed)
    record = DeepLDictionary(source_lang=pair[0], target_lang=pair[1], entry_count=len(entries))
    return JSONResponse(write_record(record))


async def delete_dictionary(call: Call) -> Response:
    """Delete the terms of a glossary for a pair of languages."""
    glossary = _find(call)
    pair = _read_pair(call, glossary)
    left = {languages: entries for languages, entries in glossary.dictionaries.items() if languages != pair}
    if left:
        call.service.glossaries.change(call.client.name, replace(glossary, dictionaries=left))
    else:
        call.service.glossaries.delete(call.client.name, glossary.id)
    return Response(status_code=204)


def _find(call: Call) -> Glossary:
    glossary = call.service.glossaries.find(call.client.name, call.request.path_params["glossary_id"])
    if glossary is None:
        raise RequestError(404, "Glossary not found")
    return glossary


def _add(call: Call, name: str, dictionaries: Mapping[Languages, Mapping[str, str]]) -> Glossary:
    if not name.strip():
        raise RequestError(400, "Parameter 'name' not specified.")
    if not dictionaries:
        raise RequestError(400, "Parameter 'dictionaries' not specified.")
    limit = call.service.limits.max_glossaries
    if call.service.glossaries.count(call.client.name) >= limit:
        raise RequestError(456, f"Quota exceeded: at most {limit} glossaries. Delete one.")
    _check_size(call, dictionaries)
    return call.service.glossaries.add(call.client.name, name, dictionaries)


def _check_size(call: Call, dictionaries: Mapping[Languages, Mapping[str, str]]) -> None:
    limit = call.service.limits.max_terms
    if sum(map(len, dictionaries.values())) > limit:
        raise RequestError(400, f"A glossary has at most {limit} entries.")


def _read_dictionary(
    call: Call, asked: DeepLGlossaryRequest | DeepLDictionaryRequest
) -> tuple[Languages, dict[str, str]]:
    """Return the languages and the terms of a dictionary."""
    models = call.service.models
    pair = models.find_source(asked.source_lang), models.find_target(asked.target_lang)
    if pair not in _list_direct(models):
        raise RequestError(400, "Unsupported glossary source and target language pair.")
    source, target = pair
    assert source
    assert target
    try:
        rows = (
            list(csv.reader(io.StringIO(asked.entries), strict=True))
            if asked.entries_format == "csv"
            else [line.split("\t") for line in asked.entries.splitlines()]
        )
    except csv.Error:
        raise RequestError(400, "Invalid glossary entries provided: not valid CSV.") from None
    entries: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        sides = cells[:2]
        if len(sides) < 2 or not all(sides):
            raise RequestError(400, f"Invalid glossary entries provided: line {number} has no source or no target.")
        if sides[0] in entries:
            raise RequestError(400, f"Invalid glossary entries provided: line {number} has the source of another line.")
        entries[sides[0]] = sides[1]
    if not entries:
        raise RequestError(400, "Invalid glossary entries provided: no entries.")
    return (source, target), entries


def _read_pair(call: Call, glossary: Glossary) -> Languages:
    """Return the pair of languages that the query names."""
    wanted = tuple((call.parameters.get_text(name) or "").lower() for name in ("source_lang", "target_lang"))
    for pair in glossary.dictionaries:
        if (pair[0].lower(), pair[1].lower()) == wanted:
            return pair
    raise RequestError(404, "Glossary dictionary not found")


def _write_entries(entries: Mapping[str, str]) -> str:
    return "\n".join(f"{source}\t{target}" for source, target in entries.items())


def _write(glossary: Glossary) -> dict[str, object]:
    (source, target), entries = next(iter(glossary.dictionaries.items()))
    record = DeepLGlossary(
        glossary_id=glossary.id,
        name=glossary.name,
        ready=True,
        source_lang=source.lower(),
        target_lang=target.lower(),
        creation_time=glossary.created,
        entry_count=len(entries),
    )
    return write_record(record)


def _write_multi(glossary: Glossary) -> dict[str, object]:
    dictionaries = [
        DeepLDictionary(source_lang=source.lower(), target_lang=target.lower(), entry_count=len(entries))
        for (source, target), entries in glossary.dictionaries.items()
    ]
    record = DeepLMultiGlossary(
        glossary_id=glossary.id, name=glossary.name, creation_time=glossary.created, dictionaries=dictionaries
    )
    return write_record(record)


_route = functools.partial(Route, api="DeepL", errors=(400, 403, 404, 413, 415, 429, 456, 503), queued=False)
_ONE, _MULTI = "/v2/glossaries/{glossary_id}", "/v3/glossaries/{glossary_id}"

ROUTES = (
    _route(
        path="/v2/glossary-language-pairs", methods=("GET",), handle=list_pairs,
        summary="List the pairs of languages of glossaries", answer=DeepLPairs,
    ),
    _route(
        path="/v2/glossaries", methods=("POST",), handle=create, summary="Store a glossary",
        parameters=DeepLGlossaryRequest, answer=DeepLGlossary, status=201, forms=True,
    ),
    _route(
        path="/v2/glossaries", methods=("GET",), handle=list_glossaries, summary="List glossaries",
        answer=DeepLGlossaries,
    ),
    _route(path=_ONE, methods=("GET",), handle=get_glossary, summary="Describe a glossary", answer=DeepLGlossary),
    _route(path=_ONE, methods=("DELETE",), handle=delete, summary="Delete a glossary", status=204, media=""),
    _route(
        path=f"{_ONE}/entries", methods=("GET",), handle=get_entries, summary="Return the terms of a glossary",
        media=_TSV,
    ),
    _route(
        path="/v3/glossaries", methods=("POST",), handle=create_multi, summary="Store a glossary",
        parameters=DeepLMultiGlossaryRequest, answer=DeepLMultiGlossary, status=201,
    ),
    _route(
        path="/v3/glossaries", methods=("GET",), handle=list_multi, summary="List glossaries",
        answer=DeepLMultiGlossaries,
    ),
    _route(path=_MULTI, methods=("GET",), handle=get_multi, summary="Describe a glossary", answer=DeepLMultiGlossary),
    _route(
        path=_MULTI, methods=("PATCH",), handle=change, summary="Rename a glossary, or add terms",
        parameters=DeepLGlossaryChange, answer=DeepLMultiGlossary,
    ),
    _route(path=_MULTI, methods=("DELETE",), handle=delete, summary="Delete a glossary", status=204, media=""),
    _route(
        path=f"{_MULTI}/entries", methods=("GET",), handle=get_multi_entries, summary="Return terms of a glossary",
        parameters=DeepLPair, answer=DeepLDictionaries,
    ),
    _route(
        path=f"{_MULTI}/dictionaries", methods=("PUT",), handle=replace_dictionary,
        summary="Replace terms of a glossary", parameters=DeepLDictionaryRequest, answer=DeepLDictionary,
    ),
    _route(
        path=f"{_MULTI}/dictionaries", methods=("DELETE",), handle=delete_dictionary,
        summary="Delete terms of a glossary", parameters=DeepLPair, status=204, media="",
    ),
)  # fmt: skip
