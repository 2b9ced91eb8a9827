"""The API of LibreTranslate: its answers, its errors, and not its faults."""

from collections.abc import Iterator
from typing import Any

import pytest
import server_tools
from starlette.testclient import TestClient

from nmt import Request, SearchOptions
from nmt.server.language_names import get_name

MODEL = server_tools.load_model()
BACK = server_tools.load_model("back", "de", "en")
SOURCE = server_tools.SOURCE
TRANSLATOR = MODEL.translator
ONE, TWO = TRANSLATOR.translate(SOURCE[:2])


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with server_tools.serve(MODEL, BACK) as client:
        yield client


def post(client: TestClient, status: int = 200, **content: Any) -> Any:
    response = client.post("/translate", json=content)
    assert response.status_code == status, response.text
    return response.json()


def test_text_and_lists(client: TestClient) -> None:
    assert post(client, q=SOURCE[0], source="en", target="de") == {"translatedText": ONE}
    assert post(client, q=SOURCE[:2], source="EN", target="DE") == {"translatedText": [ONE, TWO]}
    assert post(client, q=["", SOURCE[0]], source="en", target="de") == {"translatedText": ["", ONE]}
    assert post(client, q=SOURCE[0], source="en", target="en") == {"translatedText": SOURCE[0]}


def test_forms_and_queries(client: TestClient) -> None:
    fields = {"q": f"{SOURCE[0]}\r\n{SOURCE[1]}", "source": "en", "target": "de", "alternatives": "0"}
    expected = {"translatedText": f"{ONE}\n{TWO}"}
    assert client.post("/translate", data=fields).json() == expected
    assert client.post("/translate", params=fields).json() == expected
    assert client.post("/translate", files={"x": ("x", b"")}, data=fields).json() == expected


def test_detected_languages(client: TestClient) -> None:
    answer = post(client, q="the dog is here and the cat", source="auto", target="de")
    assert answer["detectedLanguage"]["language"] == "en"
    assert 50 < answer["detectedLanguage"]["confidence"] <= 100
    texts = ["the dog is here", "der Hund ist hier", "😀 😀"]
    answer = post(client, q=texts, source="auto", target="de")
    assert [one["language"] for one in answer["detectedLanguage"]] == ["en", "de", "en"]
    assert answer["detectedLanguage"][2]["confidence"] == 0.0
    assert answer["translatedText"][1:] == texts[1:]


def test_alternatives(client: TestClient) -> None:
    found = [one.text for one in TRANSLATOR.nbest(SOURCE[0], SearchOptions(beam=5, nbest=4))[0]]
    answer = post(client, q=SOURCE[0], source="en", target="de", alternatives=3)
    assert answer == {"translatedText": found[0], "alternatives": found[1:]}
    answer = post(client, q=SOURCE[:2], source="en", target="de", alternatives="3")
    assert answer["alternatives"][0] == found[1:]
    assert post(client, q="<p>A</p>", source="en", target="de", format="html", alternatives=1)["alternatives"] == []


def test_html_is_not_unescaped(client: TestClient) -> None:
    text = f"<p>{SOURCE[0]} <code>&lt;script&gt;alert(1)&lt;/script&gt;</code></p>"
    found = post(client, q=text, source="en", target="de", format="html")["translatedText"]
    assert "<script" not in found
    assert "&lt;script&gt;" in found
    assert found == TRANSLATOR.translate(Request(text, markup="html"))[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "Invalid request: missing q parameter"),
        ({"q": "", "source": "en", "target": "de"}, "Invalid request: missing q parameter"),
        ({"q": []}, "Invalid request: missing q parameter"),
        ({"q": "a"}, "Invalid request: missing source parameter"),
        ({"q": "a", "source": "en"}, "Invalid request: missing target parameter"),
        ({"q": "a", "source": "zz", "target": "de"}, "zz is not supported"),
        ({"q": "a", "source": "en", "target": "zz"}, "zz is not supported"),
        ({"q": "a", "source": "en", "target": "de", "format": "pdf"}, "pdf format is not supported"),
        (
            {"q": "a", "source": "en", "target": "de", "alternatives": "x"},
            "Invalid request: alternatives parameter is not a number",
        ),
        (
            {"q": "a", "source": "en", "target": "de", "alternatives": 11},
            "Invalid request: alternatives parameter must be <= 10",
        ),
        ({"q": ["a"] * 5, "source": "en", "target": "de"}, "Invalid request: request (5) exceeds text limit (4)"),
        ({"q": "a" * 101, "source": "en", "target": "de"}, "Invalid request: request (101) exceeds text limit (100)"),
        ({"q": ["a", 5], "source": "en", "target": "de"}, "q[1]: must be text"),
        ({"q": {}, "source": "en", "target": "de"}, "Invalid request: missing q parameter"),
        ({"q": "a", "source": ["en"], "target": "de"}, "Invalid request: source parameter is not text"),
    ],
)
def test_errors(content: dict[str, Any], message: str) -> None:
    with server_tools.serve(MODEL, max_texts=4, max_characters=100) as client:
        assert post(client, 400, **content) == {"error": message}


def test_a_pair_without_a_model() -> None:
    with server_tools.serve(MODEL, server_tools.load_model("other", "fr", "en")) as client:
        message = "German (de) is not available as a target language from French (fr)"
        assert post(client, 400, q="a", source="fr", target="de") == {"error": message}


def test_detection(client: TestClient) -> None:
    found = client.post("/detect", data={"q": "wo ist das Haus"}).json()
    assert found[0]["language"] == "de"
    assert found[0]["confidence"] > 50
    assert client.post("/detect", json={"q": "123"}).json() == [{"confidence": 0.0, "language": "en"}]
    assert client.post("/detect", json={}).status_code == 400
    assert client.get("/detect").status_code == 405


def test_languages_and_settings(client: TestClient) -> None:
    expected = [
        {"code": "en", "name": "English", "targets": ["de", "en"]},
        {"code": "de", "name": "German", "targets": ["en", "de"]},
    ]
    assert client.get("/languages").json() == expected
    assert client.post("/languages").json() == expected  # libretranslatepy asks so
    settings = client.get("/frontend/settings").json()
    assert settings["language"]["source"] == {"code": "en", "name": "English"}
    assert settings["charLimit"] == 100_000
    assert client.post("/health").status_code == 405


def test_names_of_languages() -> None:
    assert [get_name(code) for code in ("zh_Hans", "chr", "EN", "xx")] == [
        "Chinese (Hans)",
        "Cherokee",
        "English",
        "xx",
    ]
