"""DeepL's API: translation, languages, usage and glossaries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import server_tools
from starlette.testclient import TestClient

from nmt import Request, Term
from nmt.server.glossaries import GlossaryStore
from nmt.server.keys import KeyStore

MODEL = server_tools.load_model()
BACK = server_tools.load_model("back", "de", "en")
SOURCE = server_tools.SOURCE
TRANSLATOR = MODEL.translator
ONE, TWO = TRANSLATOR.translate(SOURCE[:2])


@pytest.fixture
def client() -> Iterator[TestClient]:
    with server_tools.serve(MODEL, BACK) as client:
        yield client


def post(client: TestClient, status: int = 200, **content: Any) -> Any:
    response = client.post("/v2/translate", json=content)
    assert response.status_code == status, response.text
    return response.json()


def test_texts(client: TestClient) -> None:
    answer = post(client, text=SOURCE[:2], source_lang="EN", target_lang="DE", unknown=1)
    assert answer["translations"] == [
        {"detected_source_language": "EN", "text": text, "billed_characters": len(source)}
        for source, text in zip(SOURCE[:2], (ONE, TWO), strict=True)
    ]
    form = {"text": SOURCE[:2], "source_lang": "en", "target_lang": "de", "show_billed_characters": "1"}
    assert client.post("/v2/translate", data=form).json() == answer
    form["text"] = SOURCE[0]
    assert client.post("/v2/translate", data=form).json()["translations"] == answer["translations"][:1]


def test_languages_are_detected_for_each_text(client: TestClient) -> None:
    texts = ["the dog is here", "der Hund ist hier", "123"]
    found = post(client, text=texts, target_lang="DE")["translations"]
    assert [one["detected_source_language"] for one in found] == ["EN", "DE", "EN"]
    assert [one["text"] for one in found[1:]] == texts[1:]


def test_markup(client: TestClient) -> None:
    text = f'{SOURCE[0]} <x id="12"></x> <keep a="b">the {SOURCE[1]}</keep>'
    asked: dict[str, Any] = {
        "text": [text],
        "source_lang": "EN",
        "target_lang": "DE",
        "tag_handling": "xml",
        "ignore_tags": ["keep"],
    }
    found = post(client, **asked)["translations"][0]["text"]
    assert '<x id="12"' in found
    assert f'<keep a="b">the {SOURCE[1]}</keep>' in found
    assert "translate" not in found
    form = {**asked, "ignore_tags": "x,keep"}
    assert (
        f'<keep a="b">the {SOURCE[1]}</keep>'
        in client.post("/v2/translate", data=form).json()["translations"][0]["text"]
    )
    html = f"<p>{SOURCE[0]}</p>"
    found = post(client, text=[html], source_lang="EN", target_lang="DE", tag_handling="html")["translations"][0][
        "text"
    ]
    assert found == TRANSLATOR.translate(Request(html, markup="html"))[0]


def test_options(client: TestClient) -> None:
    asked: dict[str, Any] = {"text": ["\n".join(SOURCE[:2])], "source_lang": "EN", "target_lang": "DE"}
    assert post(client, **asked)["translations"][0]["text"] == f"{ONE}\n{TWO}"
    joined = post(client, **asked, split_sentences="nonewlines")["translations"][0]["text"]
    assert joined == TRANSLATOR.translate(" ".join(SOURCE[:2]))[0]
    found = post(client, **asked, model_type="prefer_quality_optimized", formality="prefer_more")["translations"][0]
    assert found["model_type_used"] == "quality_optimized"
    assert "formality" in post(client, 400, **asked, formality="more")["message"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "Parameter 'text' not specified."),
        ({"text": ["a"]}, "Parameter 'target_lang' not specified."),
        ({"text": ["a"], "target_lang": "XX"}, "Value for 'target_lang' not supported."),
        ({"text": ["a"], "target_lang": "DE", "source_lang": "XX"}, "Value for 'source_lang' not supported."),
        ({"text": ["a"] * 51, "target_lang": "DE"}, "Parameter 'text' has more than 50 texts."),
        ({"text": "a", "target_lang": "DE"}, "text: must be a list"),
        ({"text": ["a"], "target_lang": "DE", "tag_handling": "pdf"}, "tag_handling: must be html or xml"),
        ({"text": ["a"], "target_lang": "DE", "glossary_id": "a"}, "Use of a glossary requires"),
    ],
)
def test_errors(client: TestClient, content: dict[str, Any], message: str) -> None:
    assert message in post(client, 400, **content)["message"]


def test_languages(client: TestClient) -> None:
    german = {"language": "DE", "name": "German", "supports_formality": False}
    assert german in client.get("/v2/languages").json()
    targets = [one["language"] for one in client.get("/v2/languages", params={"type": "target"}).json()]
    assert targets == ["DE", "EN-GB", "EN-US"]
    # The client of DeepL for Python sends a GET with a form.
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    response = client.request("GET", "/v2/languages", content="type=target", headers=form)
    assert [one["language"] for one in response.json()] == targets
    assert client.get("/v2/languages", params={"type": "x"}).status_code == 400
    assert post(client, text=["Ein Hund"], source_lang="DE", target_lang="EN-US")["translations"]
    found = client.get("/v3/languages", params={"resource": "glossary"}).json()
    assert [one["lang"] for one in found] == ["en", "de"]


def test_usage(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys", create=True)
    key = keys.add("ann", characters_per_month=100)
    headers = {"Authorization": f"DeepL-Auth-Key {key}"}
    asked = {"text": ["a" * 60], "source_lang": "EN", "target_lang": "DE"}
    with server_tools.serve(MODEL, keys=keys, require_key=True) as client:
        assert client.get("/v2/usage").status_code == 403
        assert client.post("/v2/translate", json=asked, headers=headers).status_code == 200
        usage = client.get("/v2/usage", headers=headers).json()
        assert usage == {"character_count": 60, "character_limit": 100}
        assert client.post("/v2/translate", json=asked, headers=headers).status_code == 200
        response = client.post("/v2/translate", json=asked, headers=headers)
        assert (response.status_code, list(response.json())) == (456, ["message"])
        assert client.get("/v2/usage", params={"auth_key": "wrong"}).status_code == 403
    keys.close()


GLOSSARY = {
    "name": "own",
    "source_lang": "EN",
    "target_lang": "DE",
    "entries": "sister\tNonne\nA\tB",
    "entries_format": "tsv",
}


def test_glossaries_of_version_2(client: TestClient) -> None:
    response = client.post("/v2/glossaries", json=GLOSSARY)
    assert response.status_code == 201
    glossary = response.json()
    assert (glossary["source_lang"], glossary["entry_count"], glossary["ready"]) == ("en", 2, True)
    assert glossary["creation_time"].endswith("Z")
    number = glossary["glossary_id"]
    assert client.get("/v2/glossaries").json() == {"glossaries": [glossary]}
    assert client.get(f"/v2/glossaries/{number}").json() == glossary
    entries = client.get(f"/v2/glossaries/{number}/entries", headers={"Accept": "text/tab-separated-values"})
    assert entries.text == GLOSSARY["entries"]
    assert entries.headers["content-type"].startswith("text/tab-separated-values")
    assert client.get(f"/v2/glossaries/{number}/entries", headers={"Accept": "image/png"}).status_code == 415
    asked = {"text": [SOURCE[1]], "source_lang": "EN", "target_lang": "DE", "glossary_id": number}
    expected = TRANSLATOR.translate(SOURCE[1], terms=[Term("sister", "Nonne")])[0]
    assert "Nonne" in expected
    assert post(client, **asked)["translations"][0]["text"] == expected
    answer = client.post("/v1/translate", json={"text": SOURCE[1], "source": "en", "glossary": number}).json()
    assert answer["results"][0]["translations"][0]["text"] == expected
    assert "dictionary" in post(client, 400, **{**asked, "source_lang": "DE", "target_lang": "EN"})["message"]
    assert client.delete(f"/v2/glossaries/{number}").status_code == 204
    assert client.delete(f"/v2/glossaries/{number}").status_code == 404
    assert client.get(f"/v2/glossaries/{number}").json() == {"message": "Glossary not found"}
    assert post(client, 404, **asked)
    pairs = client.get("/v2/glossary-language-pairs").json()["supported_languages"]
    assert {"source_lang": "en", "target_lang": "de"} in pairs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entries": ""}, "no entries"),
        ({"entries": "a"}, "line 1 has no source or no target"),
        ({"entries": "a\tb\n\t c"}, "line 2 has no source or no target"),
        ({"entries": "a\tb\na\tb"}, "line 2 has the source of another line"),
        ({"entries": '"', "entries_format": "csv"}, "not valid CSV"),
        ({"source_lang": "FR"}, "Unsupported glossary"),
        ({"name": " "}, "'name' not specified"),
        ({"entries": "\n".join(f"{n}\tx" for n in range(20_001))}, "at most 20000"),
    ],
)
def test_errors_of_glossaries(client: TestClient, change: dict[str, str], message: str) -> None:
    response = client.post("/v2/glossaries", json=GLOSSARY | change)
    assert response.status_code == 400
    assert message in response.json()["message"]


def test_glossaries_of_version_3(client: TestClient) -> None:
    dictionaries = [
        {"source_lang": "en", "target_lang": "de", "entries": "a,b\nc,d", "entries_format": "csv"},
        {"source_lang": "de", "target_lang": "en", "entries": "b\ta"},
    ]
    response = client.post("/v3/glossaries", json={"name": "two", "dictionaries": dictionaries})
    assert response.status_code == 201
    number = response.json()["glossary_id"]
    assert [one["entry_count"] for one in response.json()["dictionaries"]] == [2, 1]
    path, pair = f"/v3/glossaries/{number}", {"source_lang": "en", "target_lang": "de"}
    changed = client.patch(path, json={"name": "new", "dictionaries": [{**pair, "entries": "e\tf\na\tz"}]}).json()
    assert changed["name"] == "new"
    entries = client.get(f"{path}/entries", params=pair).json()["dictionaries"][0]
    assert entries["entries"] == "a\tz\nc\td\ne\tf"
    response = client.put(f"{path}/dictionaries", json={**pair, "entries": "x\ty"})
    assert response.json() == {**pair, "entry_count": 1}
    assert client.delete(f"{path}/dictionaries", params=pair).status_code == 204
    assert client.get(f"{path}/entries", params=pair).status_code == 404
    assert client.get(path).json()["dictionaries"] == [{"source_lang": "de", "target_lang": "en", "entry_count": 1}]
    assert client.get("/v3/glossaries").json()["glossaries"][0]["name"] == "new"
    assert client.delete(path).status_code == 204


def test_glossaries_belong_to_clients(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys", create=True)
    ann, bob = ({"Authorization": f"DeepL-Auth-Key {keys.add(name)}"} for name in ("ann", "bob"))
    with server_tools.serve(MODEL, keys=keys, max_glossaries=1) as client:
        number = client.post("/v2/glossaries", json=GLOSSARY, headers=ann).json()["glossary_id"]
        assert client.get(f"/v2/glossaries/{number}", headers=bob).status_code == 404
        assert client.get("/v2/glossaries", headers=bob).json() == {"glossaries": []}
        assert client.post("/v2/glossaries", json=GLOSSARY, headers=ann).status_code == 456
    keys.close()


def test_glossaries_in_a_file(tmp_path: Path) -> None:
    store = GlossaryStore(tmp_path / "glossaries")
    number = store.add("ann", "own", {("en", "de"): {"a": "b"}}).id
    store.close()
    store = GlossaryStore(tmp_path / "glossaries")
    found = store.find("ann", number)
    assert found
    assert store.get_terms(found, ("en", "de")) is store.get_terms(found, ("en", "de"))
    store.close()
