"""The page that shows the OpenAPI document, and its files. Pages load nothing from other servers."""

from pathlib import Path

from starlette.responses import Response

from nmt.server.errors import RequestError
from nmt.server.gate import PAGE_POLICY
from nmt.server.routes import Call, Route

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
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


def _send(name: str) -> Response:
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "max-age=300"}
    return Response((_FOLDER / name).read_bytes(), media_type=_TYPES[Path(name).suffix], headers=headers)


ROUTES = (
    Route(
        path="/docs", methods=("GET",), api="server", handle=show_api, summary="A page about all routes",
        media="text/html", errors=(), free=True, queued=False,
    ),
    Route(
        path="/static/{name}", methods=("GET",), api="server", handle=send_file, summary="A file of a page",
        media="text/css", errors=(404,), free=True, queued=False,
    ),
    Route(
        path="/favicon.ico", methods=("GET",), api="server", handle=send_icon, summary="The icon of pages",
        media="image/svg+xml", errors=(), free=True, queued=False,
    ),
)  # fmt: skip
