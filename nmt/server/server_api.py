"""Routes about the server itself: health, readiness, metrics."""

import functools
from dataclasses import dataclass
from typing import Literal

from starlette.responses import JSONResponse, Response

from nmt.server.metrics import CONTENT_TYPE
from nmt.server.routes import Call, Route


@dataclass(frozen=True, kw_only=True)
class Health:
    """That the server runs."""

    status: Literal["ok"]


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """Whether the server accepts requests."""

    status: Literal["ready", "draining"]


async def report_health(call: Call) -> Response:  # noqa: ARG001
    """Say that the process answers."""
    return JSONResponse({"status": "ok"})


async def report_readiness(call: Call) -> Response:
    """Say whether new requests are welcome."""
    ready = call.service.ready
    return JSONResponse({"status": "ready" if ready else "draining"}, 200 if ready else 503)


async def write_metrics(call: Call) -> Response:
    """Write measurements for Prometheus."""
    return Response(call.service.metrics.write(), media_type=CONTENT_TYPE)


_route = functools.partial(Route, methods=("GET",), api="server", errors=(), free=True, queued=False)

ROUTES = (
    _route(path="/health", handle=report_health, summary="Whether the process answers", answer=Health),
    _route(
        path="/ready", handle=report_readiness, summary="Whether new requests are welcome", answer=Readiness,
        errors=(503,),
    ),
    _route(path="/metrics", handle=write_metrics, summary="Measurements for Prometheus", media="text/plain"),
)  # fmt: skip
