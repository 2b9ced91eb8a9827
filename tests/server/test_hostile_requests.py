"""Requests that are valid but would cost too much: they are bounded, and others need not wait for them."""

import asyncio
import gc
import logging
import math
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import server_tools
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.h11_impl import H11Protocol

from nmt import Request, SearchOptions
from nmt.server import files, pool, run, service
from nmt.server.errors import RequestError
from nmt.server.files import FileRequest, Job
from nmt.server.keys import KeyStore
from nmt.server.limits import Client
from nmt.server.pool import Pool, Text

MODEL = server_tools.load_model()
SOURCE = server_tools.SOURCE
SECRET = "A confidential sister."


@contextmanager
def blocked(own: Pool) -> Iterator[None]:
    """Hold the only thread of a pool."""
    free, running = threading.Event(), threading.Event()

    def work() -> None:
        running.set()
        free.wait(60)

    own.call([work], [0], "blocker")
    running.wait(60)
    yield
    free.set()


def test_many_lines_are_translated_in_parts() -> None:
    lines = [*SOURCE, "", "  A dog. ", *SOURCE] * 10
    with server_tools.serve(MODEL, max_texts=1) as client:
        found = client.post("/translate", json={"q": "\n".join(lines), "source": "en", "target": "de"}).json()
    expected = [line.replace(line.strip(), MODEL.translator.translate(line.strip())[0]) for line in lines]
    assert found["translatedText"].split("\n") == expected


@given(st.text(alphabet="ab.! \n\u2028", max_size=60))
def test_splitting_loses_nothing(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "MAX_ATTENTION_CHARACTERS", 7)
        pieces = service._split(text)
    assert "".join(pieces) == text
    assert all(not piece.strip() for piece in pieces[1::2])
    for piece in pieces[::2]:
        assert len(piece) <= 7 or not service._SENTENCES.search(piece.rstrip())
        assert not service._LINES.search(piece)


def test_lines_with_attention_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention weights have as many numbers as the square of the length."""
    for module in (pool, service):
        monkeypatch.setattr(module, "MAX_ATTENTION_CHARACTERS", 60)
    monkeypatch.setattr("nmt.server.nmt_api.MAX_ATTENTION_CHARACTERS", 60)
    sentences, word = ["A dog sleeps here.", "The sister is 12.", "A man runs."] * 4, "dog" * 30
    with server_tools.serve(MODEL) as client:
        found = client.post("/v1/translate", json={"text": " ".join(sentences), "details": True}).json()
        one = found["results"][0]["translations"][0]
        assert len(one["tokens"]) == len(one["alignment"]) == len(one["spans"])
        assert max(one["alignment"]) < len(one["source_tokens"])
        assert client.post("/v1/translate", json={"text": word}).status_code == 200
        for asked in ({"details": True}, {"markup": "html", "text": f"<p>a <b>{word}</b></p>"}, {"attention": True}):
            response = client.post("/v1/translate", json={"text": word, **asked})
            assert response.status_code == 400
            assert "at most 60 characters" in response.json()["error"]


def test_alternatives_are_of_short_texts() -> None:
    with server_tools.serve(MODEL) as client:
        response = client.post("/v1/alternatives", json={"text": "dog " * 600})
        assert response.status_code == 400
        assert "2,000 characters" in response.json()["error"]


def test_scores_are_computed_in_parts() -> None:
    texts = SOURCE * 4
    with server_tools.serve(MODEL) as client:
        found = client.post("/v1/score", json={"text": texts, "translation": texts[::-1]}).json()["scores"]
    expected = MODEL.translator.score(texts, texts[::-1])
    assert len(expected) > 2 * 32
    written = [-math.inf if one["log_probability"] is None else one["log_probability"] for one in found]
    assert written == pytest.approx([one.log_probability for one in expected], 1e-4)


def test_tags_to_ignore_are_bounded() -> None:
    asked = {"text": ["a"], "source_lang": "EN", "target_lang": "DE", "tag_handling": "xml"}
    with server_tools.serve(MODEL) as client:
        tags = [f"t{number}" for number in range(1_001)]
        assert client.post("/v2/translate", json={**asked, "ignore_tags": tags[1:]}).status_code == 200
        assert client.post("/v2/translate", json={**asked, "ignore_tags": tags}).status_code == 400


def test_a_fault_during_a_stream(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The client sees an event, and the log has no text of the client."""

    def fail(_: object) -> None:
        raise ValueError(SECRET)

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(MODEL.translator, "translate_segments", fail, raising=False)
    with server_tools.serve(MODEL) as client:
        response = client.post("/v1/translate", json={"text": SECRET, "stream": True})
    assert response.text == 'event: error\ndata: {"error": "internal error"}\n\n'
    assert "ValueError" in caplog.text
    assert "confidential" not in "".join(one.getMessage() for one in caplog.records if one.name.startswith("nmt"))


def test_refused_text_does_not_count(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys.sqlite", create=True)
    header = {"Authorization": f"Bearer {keys.add('ann', characters_per_month=1_000)}"}
    with server_tools.serve(MODEL, keys=keys, max_queue_characters=1) as client:
        own = client.app._service.pool  # type: ignore[attr-defined]
        with blocked(own):
            waiting = own.translate([Text(model=MODEL, template=Request(""), lines=[SOURCE[0]])], "bob")
            assert client.post("/v1/translate", json={"text": "A dog."}, headers=header).status_code == 429
        waiting[0].result(60)
        assert [key.characters for key in keys.list_all()] == [0]
        assert client.post("/v1/translate", json={"text": "A dog."}, headers=header).status_code == 200
        assert [key.characters for key in keys.list_all()] == [6]
    keys.close()


def test_a_refused_part_of_a_request_drops_the_others() -> None:
    back = server_tools.load_model("back", "de", "en")
    own = server_tools.make_service(MODEL, back, max_queue_characters=len(SOURCE[0]) + 2)

    async def ask() -> None:
        chains = [own.models.paths["en", "de"], own.models.paths["de", "en"]]
        with blocked(own.pool):
            with pytest.raises(RequestError, match="too much text"):
                await own.translate_each([SOURCE[0], "Ein Hund."], chains, Request(""), Client(name="ann"))
            await asyncio.sleep(0)  # lets the cancelled tasks end
            await asyncio.sleep(0)
            assert own.pool.characters == 0

    asyncio.run(ask())
    server_tools.close(own)


def test_replaced_models_can_be_freed() -> None:
    """The cache does not keep models alive."""
    model = server_tools.load_model("old")
    own = Pool(threads=1, max_characters=1_000, cache_bytes=1 << 20)
    own.translate([Text(model=model, template=Request(""), lines=SOURCE[:3])], "ann")[0].result(60)
    own.close()
    known = weakref.ref(model)
    del model
    gc.collect()
    assert known() is None


def test_the_cache_counts_long_texts() -> None:
    """A text without letters stays as it is, in one segment of any length."""
    own = Pool(threads=1, max_characters=1 << 20, cache_bytes=1 << 20)
    for number in range(30):
        line = f"{number} " * 10_000
        own.translate([Text(model=MODEL, template=Request(""), lines=[line])], "ann")[0].result(60)
        assert own._cache.bytes <= 1 << 20
    assert len(own._cache._entries) < 10
    own.close()


def ask_file(jobs: files.FileJobs, name: str, number: int, models: Any) -> Job:
    asked = FileRequest(
        data=f"{SOURCE[number]}\n".encode(), name="a.txt", source="en", target="de", template=Request("")
    )
    return jobs.start(asked, models, Client(name=name))


def test_files_of_clients_take_turns() -> None:
    own = server_tools.make_service(MODEL)
    assert own.files
    order: list[str] = []
    with blocked(own.pool):
        many = [ask_file(own.files, "ann", number, own.models) for number in range(6)]
        few = [ask_file(own.files, "bob", number, own.models) for number in range(2)]
        for job in (*many, *few):
            job.ended.add_done_callback(lambda _, owner=job.owner: order.append(owner))  # type: ignore[misc]
    for job in (*many, *few):
        job.ended.result(60)
        assert job.state == "done"
    assert order.index("bob") < 6
    assert len(order) - 1 - order[::-1].index("bob") < 7
    server_tools.close(own)


def test_files_of_a_client_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MAX_OWN_JOBS", 3)
    own = server_tools.make_service(MODEL)
    assert own.files
    first = ask_file(own.files, "ann", 0, own.models)
    first.ended.result(60)
    with blocked(own.pool):
        waiting = [ask_file(own.files, "ann", number, own.models) for number in (1, 2, 3)]
        assert own.files.find(first.id) is None  # its result has made room
        with pytest.raises(RequestError, match="too many files"):
            ask_file(own.files, "ann", 4, own.models)
        waiting.append(ask_file(own.files, "bob", 4, own.models))
    for job in waiting:
        job.ended.result(60)
    with pytest.raises(RequestError, match="was removed") as error:
        own.files.read_result(first)
    assert error.value.status == 404
    server_tools.close(own)


def test_results_that_cannot_be_stored(caplog: pytest.LogCaptureFixture) -> None:
    own = server_tools.make_service(MODEL)
    assert own.files
    own.files._folder.rmdir()
    job = ask_file(own.files, "ann", 0, own.models)
    job.ended.result(60)
    assert job.message == "the server cannot store data at the moment; try again later"
    assert "a bug" not in caplog.text
    assert "a file in .txt: No such file or directory" in caplog.text
    server_tools.close(own)


def test_glossaries_that_cannot_be_stored(tmp_path: Path) -> None:
    from nmt.server.glossaries import GlossaryStore

    path = tmp_path / "glossaries.sqlite"
    with server_tools.serve(MODEL) as client:
        own = client.app._service  # type: ignore[attr-defined]
        own.glossaries = GlossaryStore(path)
        own.glossaries._connection.execute("PRAGMA max_page_count = 1")  # as on a full disk
        asked = {"name": "own", "source_lang": "en", "target_lang": "de", "entries": "a\tb\n" + "c" * 20_000 + "\td"}
        response = client.post("/v2/glossaries", json=asked)
        own.glossaries.close()
    assert response.status_code == 503
    assert "cannot store data" in response.json()["message"]


def test_a_client_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is closed, so that the responses do not stay in memory."""
    closed = threading.Event()
    monkeypatch.setattr(run, "_READ_SECONDS", 0.2)
    lose = H11Protocol.connection_lost

    def lose_connection(own: H11Protocol, error: Exception | None) -> None:
        lose(own, error)
        closed.set()

    monkeypatch.setattr(H11Protocol, "connection_lost", lose_connection)
    with server_tools.serve_port(MODEL, protocol=run._PatientProtocol) as url, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 600)
        assert closed.wait(60)


def test_a_client_that_reads_slowly_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_READ_SECONDS", 5.0)
    with server_tools.serve_port(MODEL, protocol=run._PatientProtocol) as url, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(request * 99 + request.replace(b"Host", b"Connection: close\r\nHost"))
        received, count = b"", 0
        while part := client.recv(1 << 16):
            received = received[-11:] + part
            count += received.count(b"HTTP/1.1 200")
    assert count == 100


def test_searches_with_attention_are_equal() -> None:
    """Refusing long lines does not change short ones."""
    request = Request(SOURCE[0], options=SearchOptions(attention=True))
    own = Pool(threads=1, max_characters=1_000)
    found = own.translate([Text(model=MODEL, template=replace(request, text=""), lines=[SOURCE[0]])], "a")[0]
    assert found.result(60) == MODEL.translator.nbest([request])
    own.close()
