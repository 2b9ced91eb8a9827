"""The OpenAPI document and the page that shows it."""

import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import server_tools

from nmt.server.app import ROUTES
from nmt.server.gate import GateSettings

MODEL = server_tools.load_model()


def find_references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(find_references, value.values()))
    return set().union(*map(find_references, value)) if isinstance(value, list) else set()


def test_the_document_describes_every_route() -> None:
    with server_tools.serve(MODEL, gate=GateSettings(prefix="/mt")) as client:
        document = client.get("/openapi.json").json()
    assert document["servers"] == [{"url": "/mt"}]
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.path, method) for route in ROUTES for method in route.methods}
    names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))
    schemas = document["components"]["schemas"]
    assert {reference.rpartition("/")[2] for reference in find_references(document)} <= set(schemas)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    beam = schemas["SearchOptions"]["properties"]["beam"]
    assert beam["minimum"] == 1
    assert beam["description"].startswith("Number of hypotheses")


def test_answers_have_their_schemas() -> None:
    with server_tools.serve(MODEL) as client:
        document = client.get("/openapi.json").json()
        asked = {"text": "A dog.", "attention": True, "terms": [{"source": "dog", "target": "Hund"}]}
        answers = {
            "/v1/translate": client.post("/v1/translate", json=asked),
            "/v1/score": client.post("/v1/score", json={"text": "a", "translation": "b"}),
            "/translate": client.post(
                "/translate", json={"q": "a", "source": "auto", "target": "de", "alternatives": 2}
            ),
            "/v2/translate": client.post("/v2/translate", json={"text": ["a"], "target_lang": "de"}),
        }
        for path, response in answers.items():
            schema = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.validate(response.json(), {**schema, "components": document["components"]})


def test_the_page_needs_no_other_server() -> None:
    with server_tools.serve(MODEL) as client:
        page = client.get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
        assert links
        for link in links:
            assert "//" not in link
            response = client.get(f"/{link}")
            assert response.status_code == 200
            if not link.endswith((".json", ".svg")):
                assert "http" not in response.text
        assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"
        assert client.get("/static/pages.py").status_code == 404
        assert client.get("/static/..%2fpages.py").status_code == 404


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.methods[0]} {route.path}")
def test_paths_have_no_capitals_and_summaries_are_short(route: Any) -> None:
    assert len(route.summary) < 70
    assert route.path == route.path.lower()
