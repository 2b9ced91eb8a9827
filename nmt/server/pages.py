"""The page to translate with, and the page that shows the OpenAPI document. Pages load nothing from other servers."""

import functools
import gzip
from pathlib import Path

from starlette.responses import Response

from nmt.server.errors import RequestError
from nmt.server.gate import PAGE_POLICY
from nmt.server.routes import Call, Route
from nmt.web import FOLDER, list_files

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_FILES = ("api.css", "api.js", "icon.svg")  # only these files are sent


async def show_api(call: Call) -> Response:  # noqa: ARG001
    """Show the page."""
    return _send("api.html")


async def send_file(call: Call) -> Response:
    """Send a file of a page."""
    name = call.request.path_params["name"]
    if name not in _FILES:
        raise RequestError(404, "not found")
    return _send(name)


async def send_icon(call: Call) -> Response:  # noqa: ARG001
    """Send the icon, for which browsers ask by themselves."""
    return _send("icon.svg")


async def show_translator(call: Call) -> Response:
    """Show the page to translate with."""
    return _send_part(call, "index.html")


async def send_part(call: Call) -> Response:
    """Send a file of the page to translate with."""
    name = f"page/{call.request.path_params['name']}"
    if name not in list_files():
        raise RequestError(404, "not found")
    return _send_part(call, name)


async def send_named(call: Call) -> Response:
    """Send a file beside the page, whose name is the path."""
    return _send_part(call, Path(call.request.scope["nmt.route"]).name)


def _send_part(call: Call, name: str) -> Response:
    """Send a file of nmt/web/, compressed if the client reads it."""
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "max-age=300", "Vary": "Accept-Encoding"}
    zipped = "gzip" in call.request.headers.get("accept-encoding", "")
    content = _read_zipped(name) if zipped else (FOLDER / name).read_bytes()
    headers |= {"Content-Encoding": "gzip"} if zipped else {}
    return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)


@functools.cache
def _read_zipped(name: str) -> bytes:
    return gzip.compress((FOLDER / name).read_bytes(), mtime=0)


def _send(name: str) -> Response:
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "max-age=300"}
    return Response((_FOLDER / name).read_bytes(), media_type=_TYPES[Path(name).suffix], headers=headers)


_page = functools.partial(Route, methods=("GET",), api="server", errors=(), free=True, queued=False)

ROUTES = (
    _page(path="/", handle=show_translator, summary="A page to translate with", media="text/html"),
    _page(
        path="/page/{name}", handle=send_part, summary="A file of the page", media="text/javascript", errors=(404,)
    ),
    _page(path="/icon.svg", handle=send_named, summary="The icon of the page", media="image/svg+xml"),
    _page(
        path="/manifest.webmanifest", handle=send_named, media="application/manifest+json",
        summary="The name and the icon of the page, for home screens",
    ),
    _page(path="/docs", handle=show_api, summary="A page about all routes", media="text/html"),
    _page(path="/static/{name}", handle=send_file, summary="A file of a page", media="text/css", errors=(404,)),
    _page(path="/favicon.ico", handle=send_icon, summary="The icon of pages", media="image/svg+xml"),
)  # fmt: skip
