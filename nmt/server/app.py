"""The ASGI application: routes, errors, time limits."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from nmt.server import (
    deepl,
    deepl_documents,
    deepl_glossaries,
    libretranslate,
    libretranslate_files,
    nmt_api,
    opus_cat,
    pages,
    server_api,
)
from nmt.server.errors import TOO_SLOW, RequestError, explain
from nmt.server.gate import Gate, GateSettings
from nmt.server.limits import find_network
from nmt.server.openapi import describe
from nmt.server.parameters import Parameters, read_parameters
from nmt.server.routes import Api, Call, Route
from nmt.server.service import Service

logger = logging.getLogger(__name__)

_KEY_SCHEMES = ("deepl-auth-key", "bearer")
_KEY_NAMES = ("api_key", "auth_key")
_CLIENT_GONE, _QUOTA = 499, 456
DOCUMENT = "/openapi.json"

ROUTES: tuple[Route, ...] = (
    *server_api.ROUTES,
    *nmt_api.ROUTES,
    *libretranslate.ROUTES,
    *libretranslate_files.ROUTES,
    *opus_cat.ROUTES,
    *deepl.ROUTES,
    *deepl_glossaries.ROUTES,
    *deepl_documents.ROUTES,
    *pages.ROUTES,
)


def make_app(service: Service, settings: GateSettings | None = None) -> ASGIApp:
    """Build the application of a service.

    Args:
        service: the service.
        settings: what the application tells browsers and proxies.
    """
    settings = settings or GateSettings()
    document = describe(ROUTES, settings.prefix)

    async def show_document(request: Request) -> Response:
        request.scope["nmt.route"] = DOCUMENT
        return JSONResponse(document)

    endpoints = [(one, _make_endpoint(service, one)) for one in ROUTES]
    routes = [StarletteRoute(one.path, endpoint, methods=list(one.methods)) for one, endpoint in endpoints]
    routes.append(StarletteRoute(DOCUMENT, show_document))
    app = Starlette(routes=routes, exception_handlers={HTTPException: _explain_missing})
    app.router.redirect_slashes = False
    exact = {(method, one.path): endpoint for one, endpoint in endpoints for method in one.methods}

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Most paths need no search among all routes."""
        endpoint = exact.get((scope.get("method", ""), scope.get("path", "")))
        if endpoint is None:
            await app(scope, receive, send)
        else:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

    return Gate(dispatch, service, settings, large=[route.path for route in ROUTES if route.file])


def _make_endpoint(service: Service, route: Route) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        request.scope["nmt.route"] = route.path
        try:
            return await _answer(service, route, request)
        except RequestError as error:
            return write_error(route.api, error)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_GONE)
        except Exception as error:
            return write_error(route.api, explain(error, route.path))

    return answer


async def _answer(service: Service, route: Route, request: Request) -> Response:
    try:
        async with asyncio.timeout(service.limits.body_seconds):
            parameters = await read_parameters(request)
    except TimeoutError:
        raise RequestError(408, "the request was not sent in time") from None
    try:
        return await _answer_parameters(service, route, request, parameters)
    finally:
        await parameters.close()


async def _answer_parameters(service: Service, route: Route, request: Request, parameters: Parameters) -> Response:
    address = find_network(request.client.host) if request.client else "unknown"
    if route.free:
        client = service.identify_anybody(address)
    else:
        given = next(filter(None, map(parameters.get_text, _KEY_NAMES)), None)
        client = service.identify(_find_key(request) or given, address)
        request.scope["nmt.client"] = client.name
        service.rates.charge(client, requests=1)
        if not service.ready:
            raise RequestError(503, "the server is shutting down", 5)
    call = Call(request=request, parameters=parameters, client=client, service=service)
    if not route.queued:
        return await route.handle(call)
    return await _answer_in_time(request, route.handle(call), service.limits.seconds)


def _find_key(request: Request) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() in _KEY_SCHEMES else None


async def _answer_in_time(request: Request, work: Awaitable[Response], seconds: float) -> Response:
    """Wait for a response. If the client leaves, or after the time limit, cancel the work.

    Raises:
        RequestError: the time is over (504).
        ClientDisconnect: the client has left.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        done, _ = await asyncio.wait((task, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
    if task in done:
        return task.result()
    if gone in done:
        raise ClientDisconnect
    raise RequestError(504, TOO_SLOW)


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def write_error(api: Api, error: RequestError) -> JSONResponse:
    """Return the response for an error, in the form of an API."""
    headers = {} if error.retry_after is None else {"Retry-After": str(math.ceil(error.retry_after))}
    if api == "DeepL":
        return JSONResponse({"message": str(error)}, error.status, headers)
    status = 403 if error.status == _QUOTA else error.status
    return JSONResponse({"error": str(error)}, status, headers)


async def _explain_missing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    api: Api = "DeepL" if request.url.path.startswith(("/v2/", "/v3/")) else "server"
    message = {404: "not found", 405: "method not allowed"}.get(error.status_code, "bad request")
    response = write_error(api, RequestError(error.status_code, message))
    response.headers.update(error.headers or {})
    return response
