"""The local API of OPUS-CAT."""

from collections.abc import Iterator

import pytest
import server_tools
from starlette.testclient import TestClient

from nmt import SearchOptions

MODEL = server_tools.load_model()
SOURCE = server_tools.SOURCE
PAIR = {"tokenCode": "0", "srcLangCode": "en", "trgLangCode": "de"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with server_tools.serve(MODEL) as client:
        yield client


@pytest.mark.parametrize("base", ["/MTRestService", "/MtRestService"])
def test_translation_with_alignment(client: TestClient, base: str) -> None:
    found = client.get(f"{base}/TranslateJson", params={**PAIR, "input": SOURCE[0], "modelTag": '""'}).json()
    expected = MODEL.translator.nbest(SOURCE[0], SearchOptions(attention=True))[0][0]
    assert found["translation"] == expected.text
    assert found["segmentedSourceSentence"] == expected.source_tokens
    assert found["segmentedTranslation"] == expected.tokens
    pairs = {(source, place) for place, source in enumerate(expected.alignment)}
    to_target = found["segmentedAlignmentSourceToTarget"]
    assert {(int(source), place) for source, places in to_target.items() for place in places} == pairs
    to_source = found["segmentedAlignmentTargetToSource"]
    assert {(source, int(place)) for place, sources in to_source.items() for source in sources} == pairs
    assert found["alignmentString"] == " ".join(f"{source}-{place}" for place, source in enumerate(expected.alignment))


def test_other_routes(client: TestClient) -> None:
    base = "/MTRestService"
    assert client.get(f"{base}/ListSupportedLanguagePairs", params={"tokenCode": "0"}).json() == ["en-de"]
    assert client.get(f"{base}/GetLanguagePairModelTags", params=PAIR).json() == ["model"]
    assert "ready" in client.get(f"{base}/CheckModelStatus", params={**PAIR, "modelTag": "model"}).json()
    assert "No model" in client.get(f"{base}/CheckModelStatus", params={**PAIR, "srcLangCode": "xx"}).json()
    expected = MODEL.translator.translate(SOURCE[0])[0]
    assert client.get(f"{base}/TranslateStream", params={**PAIR, "input": SOURCE[0]}).text == expected
    assert client.post(f"{base}/TranslatePost", params={**PAIR, "input": SOURCE[0]}).json()["translation"] == expected
    assert client.get(f"{base}/TranslateJson", params=PAIR).json()["translation"] == ""
    assert client.get(f"{base}/TranslateJson", params={"input": "a"}).status_code == 400


def test_segments_that_are_ordered_before() -> None:
    with server_tools.serve(MODEL) as client:
        assert client.post("/MTRestService/PreOrderBatch", params=PAIR, json=SOURCE[:3]).status_code == 200
        for text in SOURCE[:3]:
            client.get("/MTRestService/TranslateJson", params={**PAIR, "input": text})
        assert 'nmt_segments_total{cached="no"} 3.0' in client.get("/metrics").text
        assert client.post("/MTRestService/PreOrderBatch", params=PAIR, json={"a": 1}).status_code == 400
