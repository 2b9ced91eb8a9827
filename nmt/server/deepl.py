"""A part of DeepL's API, versions 2 and 3: translation, languages and usage.

nmt/server/deepl_glossaries.py has the routes of glossaries.
"""

import re
from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from nmt.server.deepl_records import (
    DeepLAnswer,
    DeepLLanguage,
    DeepLLanguagesRequest,
    DeepLLanguageV3,
    DeepLRequest,
    DeepLResourceRequest,
    DeepLSettings,
    DeepLUsage,
)
from nmt.server.errors import RequestError
from nmt.server.language_names import get_name
from nmt.server.models import Chain, Models
from nmt.server.routes import Call, Route
from nmt.translation.request import Request
from nmt.translation.terms import Term

_MAX_TEXTS, _MAX_GLOSSARIES, _MAX_TAGS = 50, 5, 1_000
_NO_LIMIT = 1_000_000_000_000  # the limit of characters that clients without a limit are shown
_REGIONS = {"en": ("EN-GB", "EN-US"), "pt": ("PT-BR", "PT-PT")}  # what clients know as target languages
_RESOURCES = ("translate_text", "translate_document", "glossary")
_KEPT = ' translate="no" data-nmt-kept=""'  # marks elements that are not translated
_NAME = re.compile(r"[A-Za-z_][\w.:-]*")


async def translate(call: Call) -> Response:
    """Translate texts."""
    check_given(call, "text", "target_lang")
    asked, models = call.parameters.read(DeepLRequest), call.service.models
    source, target = find_languages(models, asked)
    if len(asked.text) > _MAX_TEXTS:
        raise RequestError(400, f"Parameter 'text' has more than {_MAX_TEXTS} texts.")
    call.service.check_texts(asked.text)
    sources = [source] * len(asked.text) if source else await _detect_each(call, asked.text, target)
    chains: list[Chain | None] = [
        None if source in (None, target) else models.paths[source, target] for source in sources
    ]
    terms = find_terms(call, [asked.glossary_id, *(asked.glossary_ids or ())], source, target)
    texts = [text.replace("\n", " ") for text in asked.text] if asked.split_sentences == "nonewlines" else asked.text
    tags = _compile_tags(asked.ignore_tags) if asked.tag_handling else None
    template = Request(
        "",
        split=False if asked.split_sentences in ("0", False) else None,
        markup=asked.tag_handling,
        terms=terms or None,
    )
    marked = [tags.sub(_mark, text) for text in texts] if tags else texts
    found = await call.service.translate_each(marked, chains, template, call.client)
    results: list[dict[str, Any]] = []
    for text, source, one in zip(asked.text, sources, found, strict=True):
        result: dict[str, Any] = {
            "detected_source_language": (source or "en").upper(),
            "text": one[0].text.replace(_KEPT, "") if tags else one[0].text,
            "billed_characters": len(text),
        }
        if asked.model_type:
            result["model_type_used"] = asked.model_type.removeprefix("prefer_")
        if asked.tag_handling_version:
            result["tag_handling_version"] = asked.tag_handling_version
        results.append(result)
    return JSONResponse({"translations": results})


def check_given(call: Call, *names: str) -> None:
    """Check that parameters are not empty, which clients of DeepL expect to be reported like this (400)."""
    for name in names:
        if not call.parameters.values.get(name):
            raise RequestError(400, f"Parameter '{name}' not specified.")


def find_languages(models: Models, asked: DeepLSettings) -> tuple[str | None, str]:
    """Return the source language and the target language of a request, in the spelling of the models.

    The source language is None if it must be detected. It may be the target language.

    Raises:
        RequestError: no model has them, or the request asks for more (400).
    """
    target = models.find_target(asked.target_lang)
    if target is None:
        raise RequestError(400, "Value for 'target_lang' not supported.")
    if asked.formality in ("more", "less"):
        raise RequestError(400, "'formality' is not supported for given 'target_lang'.")
    if not asked.source_lang:
        return None, target
    source = models.find_source(asked.source_lang)
    if source is None:
        raise RequestError(400, "Value for 'source_lang' not supported.")
    if source != target and (source, target) not in models.paths:
        raise RequestError(400, "Value for 'target_lang' not supported with this 'source_lang'.")
    return source, target


async def _detect_each(call: Call, texts: Sequence[str], target: str) -> list[str | None]:
    """Return the source language of each text. None means that a text has no letters."""
    models = call.service.models
    among = [source for source in models.sources if (source, target) in models.paths]
    if not models.can_detect:
        if len(among) > 1:
            raise RequestError(400, "Parameter 'source_lang' not specified; the models cannot detect languages.")
        return [among[0]] * len(texts)
    found = await call.service.detect(texts, call.client, [*among, target])
    return [guesses[0][0] if guesses else None for guesses in found]


def find_terms(call: Call, glossaries: Sequence[str | None], source: str | None, target: str) -> tuple[Term, ...]:
    """Return the terms of glossaries, which are given by their ids, for two languages."""
    numbers = [number for number in glossaries if number]
    if not numbers:
        return ()
    if len(numbers) > _MAX_GLOSSARIES:
        raise RequestError(400, f"At most {_MAX_GLOSSARIES} glossaries.")
    if not source:
        raise RequestError(400, "Use of a glossary requires the 'source_lang' parameter.")
    service, models = call.service, call.service.models
    found: list[tuple[Term, ...]] = []
    for number in numbers:
        glossary = service.glossaries.find(call.client.name, number)
        if glossary is None:
            raise RequestError(404, "Glossary not found")
        for own in glossary.dictionaries:
            if (models.find_source(own[0]), models.find_target(own[1])) == (source, target):
                found.append(service.glossaries.get_terms(glossary, own))
                break
        else:
            raise RequestError(400, "The glossary has no dictionary for this language pair.")
    return found[0] if len(found) == 1 else tuple(term for terms in found for term in terms)


def _compile_tags(tags: list[str] | str | None) -> re.Pattern[str] | None:
    """Return a pattern of the start tags of elements."""
    parts = [tags] if isinstance(tags, str) else tags or []
    names = [name.strip() for part in parts for name in part.split(",") if _NAME.fullmatch(name.strip())]
    if len(names) > _MAX_TAGS:
        raise RequestError(400, f"Parameter 'ignore_tags' has more than {_MAX_TAGS} tags.")
    return re.compile(rf"<(?:{'|'.join(map(re.escape, names))})(?=[\s/>])[^<>]*") if names else None


def _mark(match: re.Match[str]) -> str:
    """Mark the start tag of an element that is not translated."""
    tag = match[0]
    name = _NAME.match(tag, 1)
    if name is None or "translate=" in tag:
        return tag
    return tag[: name.end()] + _KEPT + tag[name.end() :]


async def list_languages(call: Call) -> Response:
    """List source or target languages."""
    asked, models = call.parameters.read(DeepLLanguagesRequest), call.service.models
    codes: Sequence[str] = [code.upper() for code in models.sources]
    if asked.type == "target":
        codes = [region for code in models.targets for region in _REGIONS.get(code.lower(), (code.upper(),))]
    content = [{"language": code, "name": get_name(code), "supports_formality": False} for code in codes]
    return JSONResponse(content)


async def list_languages_v3(call: Call) -> Response:
    """List languages, and what they can be used for."""
    asked, models = call.parameters.read(DeepLResourceRequest), call.service.models
    codes = dict.fromkeys((*models.sources, *models.targets)) if asked.resource in _RESOURCES else {}
    return JSONResponse(
        [
            {
                "lang": code,
                "name": get_name(code),
                "usable_as_source": code in models.sources,
                "usable_as_target": code in models.targets,
                "status": "stable",
                "features": {},
            }
            for code in codes
        ]
    )


async def get_usage(call: Call) -> Response:
    """Say how much the client has translated in this month."""
    keys, client = call.service.keys, call.client
    count = keys.count_characters(client.key) if keys and client.key else 0
    return JSONResponse({"character_count": count, "character_limit": client.characters_per_month or _NO_LIMIT})


ROUTES = (
    Route(
        path="/v2/translate", methods=("POST",), api="DeepL", handle=translate, summary="Translate texts",
        parameters=DeepLRequest, answer=DeepLAnswer, forms=True, errors=(400, 403, 404, 413, 429, 456, 503, 504),
    ),
    Route(
        path="/v2/languages", methods=("GET", "POST"), api="DeepL", handle=list_languages, summary="List languages",
        parameters=DeepLLanguagesRequest, answer=list[DeepLLanguage], forms=True, queued=False,
    ),
    Route(
        path="/v2/usage", methods=("GET", "POST"), api="DeepL", handle=get_usage,
        summary="How much the client has translated", answer=DeepLUsage, queued=False,
    ),
    Route(
        path="/v3/languages", methods=("GET",), api="DeepL", handle=list_languages_v3, summary="List languages",
        parameters=DeepLResourceRequest, answer=list[DeepLLanguageV3], queued=False,
    ),
)  # fmt: skip
