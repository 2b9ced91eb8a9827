"""What applies to all requests: limits of bodies, headers, a path prefix, metrics and the log."""

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nmt.server.errors import RequestError
from nmt.server.service import Service

logger = logging.getLogger("nmt.server.requests")

_ANY_CASE = "/mtrestservice/"  # clients of OPUS-CAT write these paths with different capitals
_FORM_BYTES = 64 << 10  # the parts of a form besides its file
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of pages: everything comes from this server."""


@dataclass(frozen=True, kw_only=True)
class GateSettings:
    """What the application tells browsers and proxies."""

    origins: tuple[str, ...] = ("*",)
    """The origins of web pages that may use the server (CORS). `*` means all."""
    prefix: str = ""
    """The path under which a proxy publishes the server, such as /translate. The proxy may remove it or not."""


class Gate:
    """Wraps an application.

    Args:
        app: the application.
        service: the service, for its limits and metrics.
        settings: the settings for browsers and proxies.
        large: the paths of routes that accept a file.
    """

    def __init__(self, app: ASGIApp, service: Service, settings: GateSettings, large: Collection[str]) -> None:
        self._app, self._service, self._settings, self._large = app, service, settings, large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        self._service.metrics.observe_start()
        headers = Headers(scope=scope)
        path = self._strip_prefix(scope)
        limit = self._service.limits.max_body_bytes
        if path in self._large:
            limit = max(limit, self._service.limits.max_file_bytes + _FORM_BYTES)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = list(message.get("headers", ()))
                self._add_headers(MutableHeaders(raw=message["headers"]), headers)
            await send(message)

        try:
            if scope["method"] == "OPTIONS":
                response: ASGIApp = Response(status_code=204)
            elif (headers.get("content-length") or "0").isdecimal() and int(headers.get("content-length") or 0) > limit:
                name = "message" if path.startswith(("/v2/", "/v3/")) else "error"
                response = JSONResponse({name: f"the body is larger than {limit:,} bytes"}, 413)
            else:
                response = self._app
            await response(scope, _LimitedBody(receive, limit), send_with_headers)
        except asyncio.CancelledError:
            status = 503
            raise
        finally:
            seconds = time.perf_counter() - started
            route = scope.get("nmt.route", "other")
            self._service.metrics.observe_end(route, status, seconds)
            client = scope.get("nmt.client") or (scope["client"][0] if scope.get("client") else "-")
            logger.info("%s %s %d %.0f ms %s", scope["method"][:10], route, status, seconds * 1000, client)

    def _strip_prefix(self, scope: Scope) -> str:
        """Remove the prefix from the path of a request, and return the path."""
        prefix, path = self._settings.prefix, str(scope["path"])
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            path = path[len(prefix) :] or "/"
        if path.lower().startswith(_ANY_CASE):
            path = path.lower()
        scope["path"], scope["raw_path"] = path, path.encode()
        return path

    def _add_headers(self, own: MutableHeaders, request: Headers) -> None:
        own.setdefault("Content-Security-Policy", _NOTHING)
        own["X-Content-Type-Options"] = "nosniff"
        own["Referrer-Policy"] = "no-referrer"
        origins, origin = self._settings.origins, request.get("origin")
        if "*" in origins:
            own["Access-Control-Allow-Origin"] = "*"
        elif origin in origins:
            own["Access-Control-Allow-Origin"] = str(origin)
            own.add_vary_header("Origin")
        else:
            return
        own["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
        own["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        own["Access-Control-Expose-Headers"] = "Content-Disposition, Retry-After"
        own["Access-Control-Max-Age"] = "86400"


class _LimitedBody:
    """Receives the body of a request, up to a limit. Raises RequestError: the body is larger (413)."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit, self._bytes = receive, limit, 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._limit:
            raise RequestError(413, f"the body is larger than {self._limit:,} bytes")
        return message
