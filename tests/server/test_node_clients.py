"""Clients from npm, as they are, pointed at a server on this machine. `.ci/run` installs them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import server_tools

from nmt import Term

MODEL = server_tools.load_model()
BACK = server_tools.load_model("back", "de", "en")
TEXTS = server_tools.SOURCE[:2]
DRIVER = Path(__file__).parent / "clients" / "clients.mjs"


@pytest.fixture(scope="module")
def found() -> Any:
    """What the clients return, by the name of the client."""
    folder = os.environ.get("NMT_NODE_CLIENTS")
    if not folder:
        pytest.skip("NMT_NODE_CLIENTS is not set: scripts/install-node-clients FOLDER installs the clients")
    javascript = pytest.importorskip("javascript")
    proxies = [name for name in os.environ if name.lower().endswith("_proxy")]
    environment = {name: value for name, value in os.environ.items() if name not in proxies}
    with server_tools.serve_port(MODEL, BACK, requests_per_minute=0) as url:
        command = [javascript.NODE, DRIVER, folder, url, *TEXTS]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120, env=environment)
    return json.loads(ended.stdout)


def test_translate(found: Any) -> None:
    assert found["translate"] == MODEL.translator.translate(TEXTS)


def test_deepl(found: Any) -> None:
    own = found["deepl"]
    assert own["texts"] == MODEL.translator.translate(TEXTS)
    assert own["detected"] == ["en", "en"]
    assert own["billed"] == list(map(len, TEXTS))
    assert own["marked"] == f"<p>{own['texts'][0]}</p>"
    assert own["sources"] == ["en", "de"]
    assert own["targets"] == ["de", "en-GB", "en-US"]
    assert own["count"] == 0
    assert "target_lang" in own["error"]


def test_glossaries_of_deepl(found: Any) -> None:
    own = found["deepl"]
    assert own["withTerms"] == MODEL.translator.translate(TEXTS, terms=[Term("sister", "Nonne")])
    assert own["entries"] == {"sister": "Nonne"}
    assert own["dictionary"] == {"a": "b"}
    assert own["pairs"] == 2


def test_documents_of_deepl(found: Any) -> None:
    assert found["document"] == f"{MODEL.translator.translate(TEXTS[0])[0]}\n"
