"""The web page, and the engine in JavaScript that translates in the browser. This package only says where they are.

The folder contains static files, which need no build step. The server (nmt/server/) serves the page, which then asks
the server for translations. `nmt-export --format web` copies the page with the engine and a model, which it then asks
(nmt/checkpoint/web.py).

    index.html, page/    the page, which asks an engine through the interface that page/engines.js describes
    engine/              the engine: text -> ids -> search -> text, the parts of nmt/ that translation needs
    service-worker.js    keeps an exported folder in the browser, so that it works without a network
"""

from pathlib import Path

FOLDER = Path(__file__).parent
"""The folder of the static files."""


def list_files() -> list[str]:
    """Return the paths of the static files, relative to `FOLDER`."""
    paths = (path for path in FOLDER.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    return sorted(path.relative_to(FOLDER).as_posix() for path in paths)
