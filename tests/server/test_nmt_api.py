"""nmt's own API: everything that a request can ask for, and errors."""

import json
import math
import statistics
from collections.abc import Iterator
from typing import Any

import pytest
import server_tools
from starlette.testclient import TestClient

from nmt import Request, SampleOptions, SearchOptions, Term

MODEL = server_tools.load_model()
SOURCE = server_tools.SOURCE
TRANSLATOR = MODEL.translator


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with server_tools.serve(MODEL) as client:
        yield client


def post(client: TestClient, path: str = "/v1/translate", status: int = 200, **content: Any) -> Any:
    response = client.post(path, json=content)
    assert response.status_code == status, response.text
    return response.json()


def first(answer: Any, number: int = 0) -> Any:
    return answer["results"][number]["translations"][0]


def test_one_text_and_lists(client: TestClient) -> None:
    answer = post(client, text=SOURCE[0])
    assert answer["results"][0]["source"] == "en"
    assert answer["results"][0]["models"] == ["model"]
    assert first(answer)["text"] == TRANSLATOR.translate(SOURCE[0])[0]
    answer = post(client, text=SOURCE, source="EN", target="de-AT")
    assert [one["translations"][0]["text"] for one in answer["results"]] == TRANSLATOR.translate(SOURCE)
    assert post(client, text=[]) == {"results": []}


def test_lines_and_white_space_stay(client: TestClient) -> None:
    text = f"\n  {SOURCE[0]}\r\n\r\n{SOURCE[1]} \n"
    one, two = TRANSLATOR.translate(SOURCE[:2])
    assert first(post(client, text=text))["text"] == f"\n  {one}\r\n\r\n{two} \n"
    assert first(post(client, text=" \n "))["text"] == " \n "
    assert first(post(client, text=""))["text"] == ""


def test_details(client: TestClient) -> None:
    text = f"{SOURCE[0]}\n{SOURCE[1]}"
    found = first(post(client, text=text, attention=True))
    lines = [one[0] for one in TRANSLATOR.nbest(SOURCE[:2], SearchOptions(attention=True))]
    assert found["tokens"] == [*lines[0].tokens, *lines[1].tokens]
    assert [found["text"][start:end] for start, end in found["spans"]] == [
        line.text[start:end] for line in lines for start, end in line.spans
    ]
    assert found["alignment"][0] == lines[0].alignment[0]
    assert found["alignment"][-1] == lines[1].alignment[-1] + len(lines[0].source_tokens)
    assert len(found["attention"]) == len(found["tokens"])
    assert "tokens" not in first(post(client, text=text))
    assert "attention" not in first(post(client, text=text, details=True))


def test_options_of_search(client: TestClient) -> None:
    options = SearchOptions(beam=4, nbest=3, length_penalty=0.5)
    answer = post(client, text=SOURCE[0], search={"beam": 4, "nbest": 3, "length_penalty": 0.5})
    found = [(one["text"], one["score"]) for one in answer["results"][0]["translations"]]
    assert found == [(one.text, round(one.score, 6)) for one in TRANSLATOR.nbest(SOURCE[0], options)[0]]
    answer = post(client, text=SOURCE[0], sample={"samples": 3, "seed": 7})
    samples = [one["text"] for one in answer["results"][0]["translations"]]
    assert samples == [one.text for one in TRANSLATOR.nbest(SOURCE[0], SampleOptions(samples=3, seed=7))[0]]
    answer = post(client, text=SOURCE[0], mbr={"sampling": {"samples": 4}, "search": {"nbest": 2}})
    assert first(answer)["text"]


def test_two_lines_have_an_nbest_list_of_both(client: TestClient) -> None:
    answer = post(client, text="\n".join(SOURCE[:2]), search={"nbest": 3})
    found = [one["text"] for one in answer["results"][0]["translations"]]
    assert found[0] == "\n".join(TRANSLATOR.translate(SOURCE[:2]))
    assert len(set(found)) == 3
    assert all(text.count("\n") == 1 for text in found)


def test_everything_else_of_a_request(client: TestClient) -> None:
    terms = [Term("sister", "Nonne")]
    found = first(post(client, text=SOURCE[1], terms=[{"source": "sister", "target": "Nonne"}]))
    assert found["text"] == TRANSLATOR.translate(SOURCE[1], terms=terms)[0]
    assert found["terms"] == [{"source": "sister", "target": "Nonne", "used": True}]
    assert first(post(client, text=SOURCE[1], prefix="Der b"))["text"].startswith("Der b")
    markup = f"<p>{SOURCE[0]} <code>&lt;script&gt;</code></p>"
    found = first(post(client, text=markup, markup="html"))
    assert found["text"] == TRANSLATOR.translate(Request(markup, markup="html"))[0]
    assert "&lt;script&gt;" in found["text"]
    found = first(post(client, text=f"{SOURCE[0]} http://x.org"))
    assert found["copied"] == ["http://x.org"]
    assert "copied" not in first(post(client, text=f"{SOURCE[0]} http://x.org", protect=False))
    whole = " ".join(SOURCE[:2])
    assert first(post(client, text=whole, split=True))["text"] == " ".join(TRANSLATOR.translate(SOURCE[:2]))


def test_surrogates_and_control_characters(client: TestClient) -> None:
    response = client.post("/v1/translate", content=b'{"text": "A \\ud800 \\u0000 dog"}')
    assert response.status_code == 200


def test_scores(client: TestClient) -> None:
    targets = TRANSLATOR.translate(SOURCE[:2])
    answer = post(client, "/v1/score", text=SOURCE[:2], translation=targets)
    for found, one in zip(answer["scores"], TRANSLATOR.score(SOURCE[:2], targets), strict=True):
        assert math.isclose(found["log_probability"], one.log_probability, abs_tol=1e-5)
        assert found["tokens"] == one.tokens
    assert "give one for each text" in post(client, "/v1/score", 400, text="a", translation=["b", "c"])["error"]


def test_alternatives(client: TestClient) -> None:
    answer = post(client, "/v1/alternatives", text=SOURCE[0], prefix="", count=3)
    assert [one["word"] for one in answer["alternatives"]] == [
        one.word for one in TRANSLATOR.alternatives(SOURCE[0], "", 3)
    ]


def test_languages(client: TestClient) -> None:
    answer = post(client, "/v1/detect", text=["the dog is here", "wo ist das Haus", "1234"])
    assert [[guess["language"] for guess in guesses][:1] for guesses in answer["results"]] == [["en"], ["de"], []]
    models = client.get("/v1/models").json()
    assert models["pairs"] == [{"source": "en", "target": "de", "models": ["model"]}]


def test_each_text_of_a_list_has_its_own_language() -> None:
    with server_tools.serve(MODEL, server_tools.load_model("back", "de", "en")) as client:
        answer = post(client, text=["the dog is here", "wo ist das Haus und der Garten"], source="auto")
        assert [(one["source"], one["target"]) for one in answer["results"]] == [("en", "de"), ("de", "en")]
        assert answer["results"][0]["detected"] > 0.5
        assert "source: missing" in post(client, status=400, text="a")["error"]


def test_a_pivot_joins_two_models() -> None:
    back = server_tools.load_model("back", "fr", "en")
    with server_tools.serve(MODEL, back, pivot="en") as client:
        answer = post(client, text=SOURCE[0], source="fr", target="de")
        assert answer["results"][0]["models"] == ["back", "model"]
        between = back.translator.translate(SOURCE[0])[0]
        assert first(answer)["text"] == TRANSLATOR.translate(between)[0]
        terms = [{"source": "a", "target": "b"}]
        assert "directly" in post(client, status=400, text="a", source="fr", target="de", terms=terms)["error"]


def test_several_target_languages_and_tags() -> None:
    model = server_tools.load_model(folder="languages")
    tag = model.tags[0]
    with server_tools.serve(model) as client:
        for to, own in (("xx", None), ("de", tag)):
            expected = model.translator.translate(SOURCE[0], to=to, tag=own)
            assert first(post(client, text=SOURCE[0], target=to, tag=own))["text"] == expected[0]
        assert "tag" in post(client, status=400, text="a", target="de", tag="nothing")["error"]
        assert "target: missing" in post(client, status=400, text="a")["error"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "text: missing"),
        ({"text": 5}, "text: must be"),
        ({"text": ["a", 5]}, "text[1]: must be text"),
        ({"text": "a", "size": 3}, "size: not known"),
        ({"text": "a", "source": "xx"}, "source: choose en"),
        ({"text": "a", "target": "xx"}, "target: choose de"),
        ({"text": "a", "model": "other"}, "model: not loaded; choose model"),
        ({"text": "a", "markup": "pdf"}, "markup: must be html or xml"),
        ({"text": "a", "search": {"beam": 0}}, "beam: must be from 1"),
        ({"text": "a", "search": {"beam": 500}}, "beam: must be at most 20"),
        ({"text": "a", "search": {"nbest": 7}}, "nbest: must be at most the beam"),
        ({"text": "a", "search": {"min_length": 9_000}}, "min_length: must be at most"),
        ({"text": "a", "search": {}, "sample": {}}, "choose one"),
        ({"text": "a", "sample": {}, "terms": [{"source": "a", "target": "b"}]}, "terms: only for search"),
        ({"text": "a", "terms": [{"source": "a"}]}, "terms[0].target: missing"),
        ({"text": "a", "terms": [{"source": " ", "target": "b"}]}, "must be text"),
        ({"text": "a", "details": "yes"}, "details: must be true or false"),
        ({"text": "a\nb", "prefix": "c"}, "prefix: only for text on a single line"),
        ({"text": "a", "glossary": "none"}, "glossary: there is none"),
    ],
)
def test_errors(client: TestClient, content: dict[str, Any], message: str) -> None:
    assert message in post(client, status=400, **content)["error"]


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"text": NaN}', b'{"text": "\xff"}', b"9" * 5_000, b"[" * 100_000, b'{"text": {}}', b"\x00"],
)
def test_bad_bodies(client: TestClient, body: bytes) -> None:
    assert client.post("/v1/translate", content=body).status_code == 400


def read_events(text: str) -> list[tuple[str, Any]]:
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    return [(event["event"], json.loads(event["data"])) for event in events]


def test_stream(client: TestClient) -> None:
    response = client.post("/v1/translate", json={"text": SOURCE, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, last = read_events(response.text)
    assert last == ("done", {})
    found = {content["index"]: content["translations"][0]["text"] for _, content in events}
    assert [found[number] for number in range(len(SOURCE))] == TRANSLATOR.translate(SOURCE)
    response = client.post("/v1/translate", json={"text": SOURCE[0], "stream": True, "prefix": "a", "sample": {}})
    assert response.status_code == 200


def test_probabilities_of_words(client: TestClient) -> None:
    """The product over all words is the probability of the translation without EOS."""
    text = f"  {SOURCE[0]}\n\n{SOURCE[1]}"
    one = first(post(client, text=text, details=True))
    words = [one["text"][word["start"] : word["end"]] for word in one["words"]]
    assert words == one["text"].split()
    scores = TRANSLATOR.score(SOURCE[:2], one["text"].split("\n")[::2])
    expected = sum(value for score in scores for value in score.token_log_probabilities[:-1])
    assert sum(math.log(word["probability"]) for word in one["words"]) == pytest.approx(expected, abs=0.01)
    starts = [number for number, token in enumerate(scores[0].tokens) if token.startswith("▁")]
    own = math.exp(sum(scores[0].token_log_probabilities[starts[1] : starts[2]]))
    assert one["words"][1]["probability"] == pytest.approx(own, abs=1e-3)
    probabilities = [word["probability"] for word in one["words"]]
    assert [word["confidence"] for word in one["words"]] == pytest.approx(probabilities, abs=1e-4)
    assert one["confidence"] == pytest.approx(statistics.mean(word["confidence"] for word in one["words"]), abs=1e-3)
    assert "words" not in first(post(client, text=text))
    assert "words" not in first(post(client, text=f"<p>{SOURCE[0]}</p>", markup="html", details=True))
