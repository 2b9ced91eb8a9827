"""The limits, keys, headers, metrics and the log."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import server_tools
from starlette.testclient import TestClient

from nmt import ConfigError, DataError
from nmt.server.errors import RequestError
from nmt.server.gate import GateSettings
from nmt.server.keys import KeyStore
from nmt.server.limits import Client, Limits, Rates, find_network

MODEL = server_tools.load_model()
SECRET = "A confidential sister."


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore(tmp_path / "keys.sqlite", create=True)
    yield store
    store.close()


def test_keys(keys: KeyStore) -> None:
    key = keys.add("ann", requests_per_minute=5)
    found = keys.find(key)
    assert found
    assert (found.name, found.requests_per_minute, found.characters) == ("ann", 5, 0)
    keys.count("ann", 7)
    keys.count("ann", 5)
    assert [one.characters for one in keys.list_all()] == [12]
    assert key.encode() not in keys.path.read_bytes()
    assert keys.path.stat().st_mode & 0o077 == 0
    with pytest.raises(ConfigError, match="there is a key"):
        keys.add("ann")
    keys.revoke("ann")
    assert keys.find(key) is None
    with pytest.raises(ConfigError, match="no key has this name"):
        keys.revoke("ann")


def test_files_that_are_no_keys(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        KeyStore(tmp_path / "none")
    (tmp_path / "text").write_text("no database" * 100)
    with pytest.raises(DataError, match="cannot be used"):
        KeyStore(tmp_path / "text")


def test_requests_with_keys(keys: KeyStore) -> None:
    key = keys.add("ann", requests_per_minute=3, characters_per_month=100)
    with server_tools.serve(MODEL, keys=keys, require_key=True) as client:
        assert client.get("/health").status_code == 200
        assert client.post("/v1/translate", json={"text": "a"}).status_code == 403
        wrong = {"Authorization": "Bearer nmt_wrong"}
        assert client.post("/v1/translate", json={"text": "a"}, headers=wrong).status_code == 403
        for scheme in ("Bearer", "DeepL-Auth-Key"):
            headers = {"Authorization": f"{scheme} {key}"}
            assert client.post("/v1/translate", json={"text": "a" * 30}, headers=headers).status_code == 200
        assert client.get("/v1/models", params={"api_key": key}).status_code == 200
        response = client.get("/v1/models", params={"api_key": key})
        assert response.status_code == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 20
        assert [one.characters for one in keys.list_all()] == [60]
        keys.revoke("ann")
        assert client.get("/v1/models", params={"api_key": key}).status_code == 403


def test_the_quota_of_a_month(keys: KeyStore) -> None:
    key = keys.add("ann", characters_per_month=50)
    with server_tools.serve(MODEL, keys=keys) as client:
        asked = {"text": "a" * 60}
        headers = {"Authorization": f"Bearer {key}"}
        assert client.post("/v1/translate", json=asked, headers=headers).status_code == 200
        assert client.post("/v1/translate", json=asked, headers=headers).status_code == 403
        assert client.post("/v1/translate", json=asked).status_code == 200


def test_rates() -> None:
    now = [0.0]
    rates, client = Rates(lambda: now[0]), Client(name="ann", requests_per_minute=2, characters_per_minute=100)
    rates.charge(client, requests=1)
    rates.charge(client, requests=1)
    with pytest.raises(RequestError) as error:
        rates.charge(client, requests=1)
    assert error.value.retry_after == pytest.approx(30)
    now[0] += 30.01
    rates.charge(client, requests=1)
    rates.charge(client, characters=1_000)  # more than a minute allows, but the first
    with pytest.raises(RequestError):
        rates.charge(client, characters=1)
    rates.charge(Client(name="bob"), requests=1_000_000)


def test_requests_from_one_ipv6_network_have_one_limit() -> None:
    statuses = []
    with server_tools.serve(MODEL, requests_per_minute=2) as client:
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:3", "2001:db8:0:1::1"):
            visitor = TestClient(client.app, client=(address, 1))
            statuses.append(visitor.post("/v1/translate", json={"text": "a"}).status_code)
    assert statuses == [200, 200, 429, 200]
    assert find_network("2001:db8:1:2::3") == find_network("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert find_network("2001:db8:1:3::3") == "2001:db8:1:3::/64"
    assert find_network("192.0.2.1") == find_network("::ffff:192.0.2.1") == "192.0.2.1"
    assert find_network("testclient") == "testclient"


def test_limits_have_bounds() -> None:
    with pytest.raises(ConfigError, match="max_beam"):
        Limits(max_beam=0)


def test_limits_of_requests() -> None:
    with server_tools.serve(MODEL, max_texts=2, max_characters=100, max_body_bytes=2_000) as client:
        assert client.post("/v1/translate", json={"text": ["a"] * 3}).status_code == 400
        assert client.post("/v1/translate", json={"text": "a" * 101}).status_code == 400
        assert client.post("/v1/translate", json={"text": "a" * 3_000}).status_code == 413
        parts = (b"a" * 500 for _ in range(10))  # without Content-Length
        assert client.post("/v1/translate", content=parts).status_code == 413
        assert client.post("/v1/translate", json={"text": "a" * 100}).status_code == 200


def test_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    with server_tools.serve(MODEL, seconds=0.2) as client:
        from threading import Event

        free = Event()
        translate = MODEL.translator.translate_segments

        def wait(segments):  # type: ignore[no-untyped-def]
            free.wait(30)
            return translate(segments)

        monkeypatch.setattr(MODEL.translator, "translate_segments", wait, raising=False)
        assert client.post("/v1/translate", json={"text": "a dog"}).status_code == 504
        free.set()


def test_headers() -> None:
    with server_tools.serve(MODEL) as client:
        response = client.get("/health")
        assert response.json() == {"status": "ok"}
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert client.options("/v1/translate").status_code == 204
        assert client.get("/nothing").json() == {"error": "not found"}
        assert client.get("/v1/translate").status_code == 405
        assert client.get("/v2/nothing").json() == {"message": "not found"}
    with server_tools.serve(MODEL, gate=GateSettings(origins=("https://a.org",))) as client:
        assert "Access-Control-Allow-Origin" not in client.get("/health").headers
        response = client.get("/health", headers={"Origin": "https://a.org"})
        assert response.headers["Access-Control-Allow-Origin"] == "https://a.org"
        assert response.headers["Vary"] == "Origin"


def test_a_prefix() -> None:
    with server_tools.serve(MODEL, gate=GateSettings(prefix="/mt")) as client:
        assert client.get("/mt/health").status_code == 200
        assert client.get("/health").status_code == 200
        assert client.get("/mtx/health").status_code == 404


def test_readiness() -> None:
    service = server_tools.make_service(MODEL)
    from nmt.server.app import make_app

    with TestClient(make_app(service)) as client:
        assert client.get("/ready").status_code == 200
        service.ready = False
        assert client.get("/ready").status_code == 503
        assert client.get("/health").status_code == 200
        assert client.post("/v1/translate", json={"text": "a"}).status_code == 503
    server_tools.close(service)


def test_neither_text_nor_keys_in_logs_and_metrics(
    keys: KeyStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    key = keys.add("ann")
    with server_tools.serve(MODEL, keys=keys) as client:
        client.post("/v1/translate", json={"text": SECRET, "api_key": key})
        client.get("/v1/models", params={"api_key": key, "text": SECRET})
        client.get(f"/{SECRET}")
        client.post("/v1/translate", json={"text": SECRET, "source": SECRET, "target": SECRET})

        def fail(_: object) -> None:
            raise ValueError(SECRET)

        monkeypatch.setattr(MODEL.translator, "translate_segments", fail, raising=False)
        response = client.post("/v1/translate", json={"text": SECRET + " Again."})
        assert response.status_code == 500
        assert response.json() == {"error": "internal error"}
        metrics = client.get("/metrics").text
    records = [record for record in caplog.records if record.name.startswith("nmt")]
    written = metrics + "\n".join(record.getMessage() for record in records)
    lines = [record.getMessage() for record in records if record.name == "nmt.server.requests"]
    assert len(lines) == 6
    assert any("POST /v1/translate 200" in line or "POST /v1/translate 400" in line for line in lines)
    assert "confidential" not in written
    assert key not in written
    assert "ValueError" in written


def test_metrics() -> None:
    with server_tools.serve(MODEL) as client:
        client.post("/v1/translate", json={"text": ["A sister.", "A sister."]})
        client.get("/v9/x")
        written = client.get("/metrics").text
    assert 'nmt_requests_total{route="/v1/translate",status="200"} 1.0' in written
    assert 'nmt_requests_total{route="other",status="404"} 1.0' in written
    assert 'nmt_characters_total{pair="en-de"} 18.0' in written
    assert 'nmt_segments_total{cached="no"} 1.0' in written
    assert "nmt_queue_characters 0.0" in written
