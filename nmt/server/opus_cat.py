"""The local API of OPUS-CAT MT Engine, which its plugins for Trados, memoQ, OmegaT and Wordfast call.

The gate writes these paths in lower case, because the plugins use different capitals.
"""

from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from nmt.search.options import SearchOptions
from nmt.server.errors import RequestError
from nmt.server.models import Chain
from nmt.server.parameters import ITEMS
from nmt.server.pool import Text
from nmt.server.routes import Call, Route
from nmt.translation.request import Request, Translation

_BASE = "/mtrestservice"


@dataclass(frozen=True, kw_only=True)
class OpusCatToken:
    """A parameter that plugins always send. Names of parameters are in lower case here, and in any case in requests."""

    tokencode: str | None = None
    """Ignored."""


@dataclass(frozen=True, kw_only=True)
class OpusCatPair(OpusCatToken):
    """A pair of languages."""

    srclangcode: str
    """The code of the source language."""
    trglangcode: str
    """The code of the target language."""
    modeltag: str | None = None
    """The name of a model."""


@dataclass(frozen=True, kw_only=True)
class OpusCatQuery(OpusCatPair):
    """A segment of a document."""

    input: str
    """The segment."""


@dataclass(frozen=True, kw_only=True)
class OpusCatTranslation:
    """A translation and its alignment."""

    translation: str
    rawTranslation: str  # noqa: N815
    segmentedSourceSentence: list[str]  # noqa: N815
    """The tokens of the source."""
    segmentedTranslation: list[str]  # noqa: N815
    """The tokens of the translation."""
    segmentedAlignmentSourceToTarget: dict[str, list[int]]  # noqa: N815
    """For each token of the source, the tokens of the translation that are aligned to it."""
    segmentedAlignmentTargetToSource: dict[str, list[int]]  # noqa: N815
    """For each token of the translation, the tokens of the source that it is aligned to."""
    alignmentString: str  # noqa: N815
    """The alignment, as `source-target` for each pair of tokens."""
    segmentation: str
    """The kind of tokens."""
    autoEditedTranslation: bool  # noqa: N815
    """Always false."""


async def list_pairs(call: Call) -> Response:
    """List the pairs of languages."""
    return JSONResponse([f"{source}-{target}" for source, target in call.service.models.paths])


async def list_tags(call: Call) -> Response:
    """List the names of the models for a pair of languages."""
    source, target = _get(call, "srclangcode"), _get(call, "trglangcode")
    models = call.service.models
    ends = models.find_source(source), models.find_target(target)
    found = [each.name for each in models.models if ends[0] in each.sources and ends[1] in each.targets]
    return JSONResponse(found)


async def report_status(call: Call) -> Response:
    """Say in a sentence whether the server translates between two languages."""
    try:
        chain = _find_chain(call)
    except RequestError as error:
        return JSONResponse(f"No model translates this language pair. {error}")
    return JSONResponse(f"Model {' and '.join(step.model.name for step in chain)} is ready.")


async def translate(call: Call) -> Response:
    """Translate a segment, with alignments."""
    chain, text = _find_chain(call), _get(call, "input", "")
    template = Request("", options=SearchOptions(attention=True))
    found = (await call.service.translate([text], chain, template, call.client))[0][0]
    return JSONResponse(_write(found))


async def translate_plain(call: Call) -> Response:
    """Translate a segment, as plain text."""
    chain, text = _find_chain(call), _get(call, "input", "")
    found = await call.service.translate([text], chain, Request("", options=SearchOptions(attention=True)), call.client)
    return PlainTextResponse(found[0][0].text)


async def preorder(call: Call) -> Response:
    """Start to translate segments that will be asked for soon. Their translations wait in the cache."""
    chain, texts = _find_chain(call), call.parameters.values.get(ITEMS)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RequestError(400, "the body must be a JSON list of texts")
    call.service.check_texts(texts)
    call.service.charge(call.client, sum(map(len, texts)))
    step = chain[0]
    template = Request("", to=step.target, options=SearchOptions(attention=True))
    queued = [Text(model=step.model, template=template, lines=[text]) for text in texts]
    call.service.pool.translate(queued, call.client.name)
    return JSONResponse(f"{len(texts)} segments are being translated.")


def _get(call: Call, name: str, default: str | None = None) -> str:
    """Return a parameter by its name in lower case. memoQ writes two quote characters for nothing."""
    values = {key.lower(): value for key, value in call.parameters.values.items()}
    value = values.get(name, default)
    if not isinstance(value, str):
        raise RequestError(400, f"{name}: missing")
    return "" if value == '""' else value


def _find_chain(call: Call) -> Chain:
    models, tag = call.service.models, _get(call, "modeltag", "")
    known = tag if any(model.name == tag for model in models.models) else None  # plugins may remember an old name
    return models.find_path(_get(call, "srclangcode"), _get(call, "trglangcode"), model=known)


def _write(found: Translation) -> dict[str, Any]:
    to_target: dict[str, list[int]] = {}
    for place, source in enumerate(found.alignment):
        to_target.setdefault(str(source), []).append(place)
    return {
        "translation": found.text,
        "rawTranslation": found.text,
        "segmentedSourceSentence": found.source_tokens,
        "segmentedTranslation": found.tokens,
        "segmentedAlignmentSourceToTarget": to_target,
        "segmentedAlignmentTargetToSource": {str(place): [source] for place, source in enumerate(found.alignment)},
        "alignmentString": " ".join(f"{source}-{place}" for place, source in enumerate(found.alignment)),
        "segmentation": "SentencePiece",
        "autoEditedTranslation": False,
    }


ROUTES = (
    Route(
        path=f"{_BASE}/listsupportedlanguagepairs", methods=("GET",), api="OPUS-CAT", handle=list_pairs,
        summary="List the pairs of languages", parameters=OpusCatToken, answer=list[str], free=True, queued=False,
    ),
    Route(
        path=f"{_BASE}/getlanguagepairmodeltags", methods=("GET",), api="OPUS-CAT", handle=list_tags,
        summary="List the models for a pair of languages", parameters=OpusCatPair, answer=list[str], queued=False,
    ),
    Route(
        path=f"{_BASE}/checkmodelstatus", methods=("GET",), api="OPUS-CAT", handle=report_status,
        summary="Say whether a model is ready", parameters=OpusCatPair, answer=str, queued=False,
    ),
    Route(
        path=f"{_BASE}/translatejson", methods=("GET",), api="OPUS-CAT", handle=translate,
        summary="Translate a segment", parameters=OpusCatQuery, answer=OpusCatTranslation,
    ),
    Route(
        path=f"{_BASE}/translatepost", methods=("POST",), api="OPUS-CAT", handle=translate,
        summary="Translate a segment", parameters=OpusCatQuery, answer=OpusCatTranslation, query=True,
    ),
    Route(
        path=f"{_BASE}/translatestream", methods=("GET",), api="OPUS-CAT", handle=translate_plain,
        summary="Translate a segment into plain text", parameters=OpusCatQuery, media="text/plain",
    ),
    Route(
        path=f"{_BASE}/preorderbatch", methods=("POST",), api="OPUS-CAT", handle=preorder,
        summary="Start to translate segments that will be asked for soon", parameters=OpusCatPair, answer=str,
        query=True, items=str,
    ),
)  # fmt: skip
