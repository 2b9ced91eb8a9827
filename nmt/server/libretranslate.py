"""The API of LibreTranslate 1.9, for its many clients.

It differs from the original on purpose: escaped markup stays escaped, a list is one request with a detected language
for each text, and alternatives are limited.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from nmt.search.options import SearchOptions
from nmt.server.errors import RequestError
from nmt.server.files import list_endings
from nmt.server.language_names import get_name
from nmt.server.models import Chain, Models
from nmt.server.routes import Call, Route
from nmt.translation.request import Request

_FORMATS = ("text", "html")
_NOTHING = {"confidence": 0.0, "language": "en"}  # what clients expect for text without letters
_GUESSES = 3
_FRONTEND_TIMEOUT = 500  # milliseconds that their page waits after the last key
_SHOWN_CODE = 20  # characters of an unknown code in a message


@dataclass(frozen=True, kw_only=True)
class ClientKey:
    """What all requests may contain."""

    api_key: str | None = None
    """The key of the client."""


@dataclass(frozen=True, kw_only=True)
class LanguagePair(ClientKey):
    """The languages of a request."""

    source: str
    """The code of the source language, or `auto`."""
    target: str
    """The code of the target language."""


@dataclass(frozen=True, kw_only=True)
class LibreTranslateRequest(LanguagePair):
    """Text to translate."""

    q: str | list[str]
    """The text, or a list of texts."""
    format: str = "text"
    """`text` or `html`."""
    alternatives: int | str = 0
    """The number of alternatives."""


@dataclass(frozen=True, kw_only=True)
class Detected:
    """A detected language."""

    confidence: float
    """From 0 to 100."""
    language: str


@dataclass(frozen=True, kw_only=True)
class LibreTranslateAnswer:
    """The translation, or a list of them."""

    translatedText: str | list[str]  # noqa: N815
    detectedLanguage: Detected | list[Detected] | None = None  # noqa: N815
    """The detected language of each text, with `auto`."""
    alternatives: list[str] | list[list[str]] | None = None
    """Other translations, if they were asked for."""


@dataclass(frozen=True, kw_only=True)
class LibreDetectRequest(ClientKey):
    """Text whose language is detected."""

    q: str | list[str]
    """The text."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language."""

    code: str
    name: str


@dataclass(frozen=True, kw_only=True)
class SourceLanguage(Language):
    """A source language."""

    targets: list[str]
    """The codes of the target languages. They include the language itself."""


@dataclass(frozen=True, kw_only=True)
class LanguageChoices:
    """The languages that are chosen at first."""

    source: Language
    target: Language


@dataclass(frozen=True, kw_only=True)
class FrontendSettings:
    """What a page should know."""

    charLimit: int  # noqa: N815
    frontendTimeout: int  # noqa: N815
    apiKeys: bool  # noqa: N815
    keyRequired: bool  # noqa: N815
    suggestions: bool
    filesTranslation: bool  # noqa: N815
    supportedFilesFormat: list[str]  # noqa: N815
    language: LanguageChoices


async def translate(call: Call) -> Response:
    """Translate a text or a list of texts."""
    values, models = call.parameters.values, call.service.models
    q = _get_text(call)
    source, target = find_languages(call)
    count = _read_count(values.get("alternatives"), call.service.limits.max_alternatives)
    texts = [q] if isinstance(q, str) else q
    call.service.check_texts(texts)
    format_ = values.get("format") or "text"
    if format_ not in _FORMATS:
        raise RequestError(400, f"{str(format_)[:_SHOWN_CODE]} format is not supported")
    if source is not None:
        chains = [find_chain(models, source, target)] * len(texts)
        detected = None
    else:
        detected = await _detect_each(call, texts, target)
        chains = [find_chain(models, one["language"], target) if one["confidence"] else None for one in detected]
    beam = max(SearchOptions().beam, count + 1)
    template = Request(
        "",
        markup="html" if format_ == "html" else None,
        options=SearchOptions(beam=beam, nbest=1 if format_ == "html" else count + 1),
    )
    if not call.parameters.typed:
        texts = [text.replace("\r\n", "\n") for text in texts]
    found = await call.service.translate_each(texts, chains, template, call.client)
    answer: dict[str, Any] = {"translatedText": [one[0].text for one in found]}
    if detected is not None:
        answer["detectedLanguage"] = detected
    if count:
        answer["alternatives"] = [[other.text for other in one[1:]] for one in found]
    return JSONResponse({name: value[0] for name, value in answer.items()} if isinstance(q, str) else answer)


def _get_text(call: Call) -> str | list[str]:
    """Return the parameter `q`: a text, or in JSON also a list of texts. Lists of a form count as their first item."""
    q = call.parameters.values.get("q")
    if not call.parameters.typed and isinstance(q, list):
        q = q[0]
    if not q or (isinstance(q, str) and not q.strip()):
        raise RequestError(400, "Invalid request: missing q parameter")
    read = call.parameters.read(LibreDetectRequest) if call.parameters.typed else None
    return read.q if read else str(q)


def find_languages(call: Call) -> tuple[str | None, str]:
    """Return the languages that the parameters `source` and `target` name, in the spelling of the models.

    The source language is None if it must be detected. A language can be the source as well as the target if a model
    has it on any side: the text stays as it is.

    Raises:
        RequestError: a parameter is missing, or no model has the language (400).
    """
    codes = []
    for name in ("source", "target"):
        value = call.parameters.values.get(name)
        if not value:
            raise RequestError(400, f"Invalid request: missing {name} parameter")
        if not isinstance(value, str):
            raise RequestError(400, f"Invalid request: {name} parameter is not text")
        codes.append(value)
    (source, target), models = codes, call.service.models
    into = models.find_target(target) or models.find_source(target)
    out = models.find_source(source)
    if out is None and models.find_target(source) == into:
        out = into
    for code, found in ((source, out or source == "auto"), (target, into)):
        if not found:
            raise RequestError(400, f"{code[:_SHOWN_CODE]} is not supported")
    assert into
    return None if source == "auto" else out, into


def _read_count(value: Any, limit: int) -> int:
    """Return the number of alternatives."""
    try:
        count = int(value or 0)
    except (ValueError, TypeError, OverflowError):
        raise RequestError(400, "Invalid request: alternatives parameter is not a number") from None
    if count > limit:
        raise RequestError(400, f"Invalid request: alternatives parameter must be <= {limit}")
    return max(0, count)


def find_chain(models: Models, source: str, target: str) -> Chain | None:
    """Return the models that translate, or None if both languages are the same.

    Raises:
        RequestError: no model translates between them (400).
    """
    if source == target:
        return None
    chain = models.paths.get((source, target))
    if chain is None:
        names = f"{get_name(target)} ({target})", f"{get_name(source)} ({source})"
        raise RequestError(400, f"{names[0]} is not available as a target language from {names[1]}")
    return chain


async def _detect_each(call: Call, texts: Sequence[str], target: str) -> list[dict[str, Any]]:
    """Return the language of each text, among the target language and those from which it can be reached."""
    models = call.service.models
    among = [source for source in models.sources if (source, target) in models.paths]
    if not models.can_detect:
        if len(among) != 1:
            raise RequestError(400, "auto is not supported: the models cannot detect languages")
        return [{"confidence": 0.1, "language": among[0]} for _ in texts]
    found = await call.service.detect(texts, call.client, [*among, target])
    return [_write_guess(guesses[0]) if guesses else dict(_NOTHING) for guesses in found]


def _write_guess(guess: tuple[str, float]) -> dict[str, Any]:
    return {"confidence": max(0.1, round(100 * guess[1], 1)), "language": guess[0]}


async def detect(call: Call) -> Response:
    """Detect the language of a text."""
    q = _get_text(call)
    text = q if isinstance(q, str) else "\n".join(q)
    call.service.check_texts([text])
    guesses = (await call.service.detect([text], call.client))[0][:_GUESSES]
    return JSONResponse([_write_guess(guess) for guess in guesses] or [_NOTHING])


async def list_languages(call: Call) -> Response:
    """List the source languages and their targets."""
    models = call.service.models
    return JSONResponse(
        [
            {
                "code": source,
                "name": get_name(source),
                "targets": list(dict.fromkeys((*models.list_targets(source), source))),
            }
            for source in models.sources
        ]
    )


async def get_settings(call: Call) -> Response:
    """Say what a page should know."""
    service = call.service
    (source, target), *_ = service.models.paths
    return JSONResponse(
        {
            "charLimit": service.limits.max_characters,
            "frontendTimeout": _FRONTEND_TIMEOUT,
            "apiKeys": service.keys is not None,
            "keyRequired": service.require_key,
            "suggestions": False,
            "filesTranslation": service.files is not None,
            "supportedFilesFormat": list_endings() if service.files else [],
            "language": {
                "source": {"code": source, "name": get_name(source)},
                "target": {"code": target, "name": get_name(target)},
            },
        }
    )


ROUTES = (
    Route(
        path="/translate", methods=("POST",), api="LibreTranslate", handle=translate,
        summary="Translate a text or a list of texts",
        parameters=LibreTranslateRequest, answer=LibreTranslateAnswer, forms=True,
    ),
    Route(
        path="/detect", methods=("POST",), api="LibreTranslate", handle=detect, summary="Detect the language of a text",
        parameters=LibreDetectRequest, answer=list[Detected], forms=True,
    ),
    Route(
        path="/languages", methods=("GET", "POST"), api="LibreTranslate", handle=list_languages,
        summary="List languages", answer=list[SourceLanguage], free=True, queued=False,
    ),
    Route(
        path="/frontend/settings", methods=("GET",), api="LibreTranslate", handle=get_settings,
        summary="What a page should know", answer=FrontendSettings, free=True, queued=False,
    ),
)  # fmt: skip
