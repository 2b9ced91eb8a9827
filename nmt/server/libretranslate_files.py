"""The routes of LibreTranslate for files.

A file is translated by a job, not within the request. The answer has an address, which can be read at once: the
response begins when the translation is ready.
"""

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from nmt.server.errors import RequestError
from nmt.server.files import FileRequest
from nmt.server.libretranslate import LanguagePair, find_chain, find_languages
from nmt.server.routes import Call, Route
from nmt.translation.request import Request


@dataclass(frozen=True, kw_only=True)
class LibreFileRequest(LanguagePair):
    """A file to translate, in a form that also contains the file as `file`."""


@dataclass(frozen=True, kw_only=True)
class LibreFileAnswer:
    """Where the translation will be."""

    translatedFileUrl: str  # noqa: N815
    """The address of the translated file."""


async def translate_file(call: Call) -> Response:
    """Start to translate a file."""
    service, models = call.service, call.service.models
    if service.files is None:
        raise RequestError(403, "Files translation are disabled on this server.")
    file = call.parameters.files.get("file")
    if file is None:
        raise RequestError(400, "Invalid request: missing file parameter")
    source, target = find_languages(call)
    if source:
        find_chain(models, source, target)
    if not file.filename:
        raise RequestError(400, "Invalid request: empty file")
    data = await file.read()
    asked = FileRequest(data=data, name=file.filename, source=source, target=target, template=Request(""))
    job = service.files.start(asked, models, call.client)
    base = str(call.request.base_url).rstrip("/") + service.prefix
    return JSONResponse({"translatedFileUrl": f"{base}/download_file/{job.id}.{quote(job.name)}"})


async def download_file(call: Call) -> Response:
    """Wait for the translation of a file, and send it."""
    number = call.request.path_params["name"].partition(".")[0]
    files = call.service.files
    job = files.find(number) if files else None
    if files is None or job is None:
        raise RequestError(404, "the file does not exist, or was removed")
    await asyncio.shield(asyncio.wrap_future(job.ended))
    if job.state == "error":
        raise RequestError(400, job.message)
    name = quote(job.name)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    content = await asyncio.to_thread(files.read_result, job)
    return Response(content, media_type="application/octet-stream", headers=headers)


ROUTES = (
    Route(
        path="/translate_file", methods=("POST",), api="LibreTranslate", handle=translate_file,
        summary="Start to translate a file", parameters=LibreFileRequest, answer=LibreFileAnswer, file=True,
    ),
    Route(
        path="/download_file/{name}", methods=("GET",), api="LibreTranslate", handle=download_file,
        summary="Wait for the translation of a file", media="application/octet-stream",
        errors=(400, 404, 429, 504), free=True,
    ),
)  # fmt: skip
