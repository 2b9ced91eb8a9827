"""The routes of DeepL for documents."""

import asyncio
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from nmt.server.deepl import check_given, find_languages, find_terms
from nmt.server.deepl_records import DeepLSettings
from nmt.server.errors import RequestError
from nmt.server.files import FileJobs, FileRequest, Job, is_known
from nmt.server.routes import Call, Route
from nmt.translation.request import Request


@dataclass(frozen=True, kw_only=True)
class DeepLDocumentRequest(DeepLSettings):
    """A document to translate, in a form that also contains the document as `file`."""

    filename: str | None = None
    """The name of the document. By default, it is the name of the file."""


@dataclass(frozen=True, kw_only=True)
class DeepLDocument:
    """A document that is being translated."""

    document_id: str
    document_key: str


@dataclass(frozen=True, kw_only=True)
class DeepLDocumentKey:
    """The key of a document."""

    document_key: str


@dataclass(frozen=True, kw_only=True)
class DeepLDocumentStatus:
    """The state of a document."""

    document_id: str
    status: Literal["queued", "translating", "done", "error"]
    seconds_remaining: int | None = None
    billed_characters: int | None = None
    error_message: str | None = None


async def upload(call: Call) -> Response:
    """Start to translate a document."""
    files, models = _get_files(call), call.service.models
    file = call.parameters.files.get("file")
    if file is None:
        raise RequestError(400, "Parameter 'file' not specified.")
    check_given(call, "target_lang")
    asked = call.parameters.read(DeepLDocumentRequest)
    source, target = find_languages(models, asked)
    terms = find_terms(call, [asked.glossary_id], source, target)
    name = asked.filename or file.filename or ""
    if not is_known(name):
        raise RequestError(400, "Invalid file: the file extension is not supported.")
    job = files.start(
        FileRequest(
            data=await file.read(),
            name=name,
            source=source,
            target=target,
            template=Request("", terms=terms or None),
            allow_same=False,
        ),
        models,
        call.client,
    )
    return JSONResponse({"document_id": job.id, "document_key": job.key})


async def get_status(call: Call) -> Response:
    """Say how far the translation of a document is."""
    job = _find(call)
    content: dict[str, str | int] = {"document_id": job.id, "status": job.state}
    if job.state in ("queued", "translating"):
        content["seconds_remaining"] = 1
    elif job.state == "done":
        content["billed_characters"] = job.characters
    else:
        content["error_message"] = job.message
    return JSONResponse(content)


async def get_result(call: Call) -> Response:
    """Send a translated document. It can be sent once."""
    job, files = _find(call), _get_files(call)
    if job.state != "done":
        raise RequestError(503, "Document translation is not done", 1)
    content = await asyncio.to_thread(files.read_result, job)
    files.remove(job)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(job.name)}"}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _get_files(call: Call) -> FileJobs:
    if call.service.files is None:
        raise RequestError(403, "Documents are not translated by this server.")
    return call.service.files


def _find(call: Call) -> Job:
    job = _get_files(call).find(call.request.path_params["document_id"])
    if job is None or job.key != call.parameters.get_text("document_key") or job.owner != call.client.name:
        raise RequestError(404, "Document not found")
    return job


_PATH, _ERRORS = "/v2/document/{document_id}", (400, 403, 404, 413, 429, 456, 503)

ROUTES = (
    Route(
        path="/v2/document", methods=("POST",), api="DeepL", handle=upload, summary="Start to translate a document",
        parameters=DeepLDocumentRequest, answer=DeepLDocument, file=True, errors=(*_ERRORS, 504),
    ),
    Route(
        path=_PATH, methods=("POST",), api="DeepL", handle=get_status, summary="Say how far a translation is",
        parameters=DeepLDocumentKey, answer=DeepLDocumentStatus, forms=True, errors=_ERRORS, queued=False,
    ),
    Route(
        path=f"{_PATH}/result", methods=("POST",), api="DeepL", handle=get_result, summary="Send a translated document",
        parameters=DeepLDocumentKey, media="application/octet-stream", forms=True, errors=_ERRORS, queued=False,
    ),
)  # fmt: skip
