"""The table of routes: what the application answers, and what the OpenAPI document says."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from nmt.server.limits import Client
from nmt.server.parameters import Parameters
from nmt.server.service import Service

Api = Literal["nmt", "LibreTranslate", "DeepL", "OPUS-CAT", "server"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request, as handlers see it."""

    request: Request
    parameters: Parameters
    client: Client
    service: Service


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """A path, and how it is answered."""

    path: str
    """The path, with names in braces. It is also the label in metrics and logs."""
    methods: tuple[str, ...]
    api: Api
    handle: Handler
    summary: str
    parameters: type | None = None
    """The record of the parameters."""
    answer: Any = None
    """The type of the JSON response. None if the response is not JSON."""
    status: int = 200
    """The status of a successful response."""
    errors: tuple[int, ...] = (400, 403, 413, 429, 503, 504)
    """The status of other responses."""
    media: str = "application/json"
    """The media type of a successful response."""
    forms: bool = False
    """Whether the parameters may also be a form."""
    query: bool = False
    """Whether the parameters of a POST are in its query."""
    items: Any = None
    """The type of the items, if the body is a JSON list."""
    free: bool = False
    """Whether the route needs no key and is not limited."""
    file: bool = False
    """Whether the request contains a file."""
    queued: bool = True
    """Whether the handler ends when the client leaves, and after the time limit."""
