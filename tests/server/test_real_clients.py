"""Clients from PyPI, as they are, pointed at a server on this machine."""

import asyncio
import os
from collections.abc import Iterator

import pytest
import server_fuzz
import server_load
import server_tools

from nmt import SearchOptions, Term

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # the clients warn about themselves

MODEL = server_tools.load_model()
BACK = server_tools.load_model("back", "de", "en")
SOURCE = server_tools.SOURCE
ONE, TWO = MODEL.translator.translate(SOURCE[:2])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server_tools.serve_port(MODEL, BACK, requests_per_minute=0) as url:
        yield url


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def test_libretranslatepy(url: str) -> None:
    package = pytest.importorskip("libretranslatepy")
    client = package.LibreTranslateAPI(f"{url}/")
    assert client.translate(SOURCE[0], "en", "de") == ONE
    assert client.detect("wo ist das Haus und der Garten")[0]["language"] == "de"
    assert [one["code"] for one in client.languages()] == ["en", "de"]


def test_deep_translator(url: str) -> None:
    package = pytest.importorskip("deep_translator")
    client = package.LibreTranslator(source="en", target="de", custom_url=f"{url}/", api_key="any")
    assert client.translate(SOURCE[0]) == ONE
    assert client.translate_batch(SOURCE[:2]) == [ONE, TWO]


def test_translate(url: str) -> None:
    package = pytest.importorskip("translate")
    client = package.Translator(from_lang="en", to_lang="de", provider="libre", base_url=url, secret_access_key="any")
    assert client.translate(SOURCE[0]) == ONE


def test_deepl(url: str) -> None:
    deepl = pytest.importorskip("deepl")
    client = deepl.DeepLClient("any", server_url=url)
    found = client.translate_text(SOURCE[:2], source_lang="EN", target_lang="DE")
    assert [(one.text, one.detected_source_lang, one.billed_characters) for one in found] == [
        (ONE, "EN", len(SOURCE[0])),
        (TWO, "EN", len(SOURCE[1])),
    ]
    assert client.translate_text("der Hund ist hier", target_lang="EN-GB").detected_source_lang == "DE"
    assert client.translate_text(f"<p>{SOURCE[0]}</p>", source_lang="EN", target_lang="DE", tag_handling="html").text
    assert {one.code for one in client.get_source_languages()} == {"EN", "DE"}
    assert {one.code for one in client.get_target_languages()} == {"DE", "EN-GB", "EN-US"}
    assert client.get_usage().character.count == 0
    with pytest.raises(deepl.DeepLException, match="target_lang"):
        client.translate_text("a", source_lang="EN", target_lang="XX")


def test_glossaries_of_deepl(url: str) -> None:
    deepl = pytest.importorskip("deepl")
    client = deepl.DeepLClient("any", server_url=url)
    glossary = client.create_glossary("own", source_lang="EN", target_lang="DE", entries={"sister": "Nonne"})
    assert glossary.ready
    assert glossary.entry_count == 1
    assert client.get_glossary_entries(glossary) == {"sister": "Nonne"}
    expected = MODEL.translator.translate(SOURCE[1], terms=[Term("sister", "Nonne")])[0]
    found = client.translate_text(SOURCE[1], source_lang="EN", target_lang="DE", glossary=glossary)
    assert found.text == expected
    assert len(client.get_glossary_languages()) == 2
    assert [one.glossary_id for one in client.list_glossaries()] == [glossary.glossary_id]
    client.delete_glossary(glossary)
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_glossary(glossary.glossary_id)
    entries = [deepl.api_data.MultilingualGlossaryDictionaryEntries("EN", "DE", {"a": "b"})]
    multi = client.create_multilingual_glossary("two", entries)
    assert client.get_multilingual_glossary_entries(multi, "EN", "DE").dictionaries[0].entries == "a\tb"
    client.delete_multilingual_glossary(multi)


def test_keys_of_deepl(url: str) -> None:
    deepl = pytest.importorskip("deepl")
    with server_tools.serve_port(MODEL, require_key=True) as other, pytest.raises(deepl.AuthorizationException):
        deepl.DeepLClient("wrong", server_url=other).get_usage()


def test_the_alternatives_of_libretranslate(url: str) -> None:
    requests = pytest.importorskip("requests")
    asked = {"q": SOURCE[0], "source": "en", "target": "de", "alternatives": 2}
    found = requests.post(f"{url}/translate", json=asked, timeout=60).json()["alternatives"]
    best = MODEL.translator.nbest(SOURCE[0], SearchOptions(beam=5, nbest=3))[0]
    assert found == [one.text for one in best[1:]]


def test_generated_calls(url: str) -> None:
    pytest.importorskip("schemathesis")
    found = server_fuzz.fuzz(url, examples=3)
    assert found.calls > 100
    assert found.faults == []
    assert 200 in found.statuses
    assert 400 in found.statuses


def test_load_loses_and_mixes_up_nothing() -> None:
    """With a queue that is too short, some answers have status 429, and all others are right."""
    expected = MODEL.translator.translate(SOURCE)
    with server_tools.serve_port(MODEL, max_queue_characters=300, cache_bytes=0, requests_per_minute=0) as url:
        run = server_load.run_load(url, SOURCE, expected, clients=40, requests=400, source="en", target="de")
        load = asyncio.run(run)
    assert load.wrong == 0
    assert load.statuses.keys() == {200, 429}
    assert sum(load.statuses.values()) == 400
