"""Clients that are slow, many or rude: the server answers others, and closes what takes too long."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import server_tools

from nmt.server import run

MODEL = server_tools.load_model()
ANSWER = MODEL.translator.translate("A dog.")[0]


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(run, "_HEADER_SECONDS", 0.2)
    with server_tools.serve_port(MODEL, body_seconds=0.3, protocol=run._PatientProtocol) as url:
        yield url


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))


async def ask(url: str) -> Any:
    reader, writer = await connect(url)
    body = json.dumps({"q": "A dog.", "source": "en", "target": "de"}).encode()
    head = f"POST /translate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    found = await reader.read()
    writer.close()
    return json.loads(found.partition(b"\r\n\r\n")[2])["translatedText"]


async def send_part(url: str, part: bytes) -> bytes:
    """Send the beginning of a request. Return what the server sends until it closes the connection."""
    reader, writer = await connect(url)
    writer.write(part)
    async with asyncio.timeout(60):
        found = await reader.read()
    writer.close()
    return found


@pytest.mark.parametrize("part", [b"", b"GET /hea", b"POST /translate HTTP/1.1\r\nHost: x\r\nX-A: "])
def test_heads_that_never_end(url: str, part: bytes) -> None:
    assert asyncio.run(send_part(url, part)) == b""


def test_a_second_head_that_never_ends(url: str) -> None:
    found = asyncio.run(send_part(url, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea"))
    assert found.startswith(b"HTTP/1.1 200")
    assert found.count(b"HTTP/1.1") == 1


def test_bodies_that_never_end(url: str) -> None:
    head = b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    assert b" 408 " in asyncio.run(send_part(url, head + b"\r\n")).partition(b"\r\n")[0]


def test_bytes_that_are_not_http(url: str) -> None:
    assert b" 400 " in asyncio.run(send_part(url, b"\x16\x03\x01\x02\x00\r\n\r\n")).partition(b"\r\n")[0]
    try:
        found = asyncio.run(send_part(url, b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000))
    except ConnectionResetError:  # the server closed before it had read everything
        return
    assert b" 400 " in found.partition(b"\r\n")[0]


def test_many_open_connections(url: str) -> None:
    async def hold() -> Any:
        held = [await connect(url) for _ in range(300)]
        answer = await ask(url)
        for _, writer in held:
            writer.close()
        return answer

    assert asyncio.run(hold()) == ANSWER
