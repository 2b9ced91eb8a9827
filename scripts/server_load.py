"""Load for a server: many clients that send one text after the other, and check every answer."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Load:
    """What clients have seen."""

    seconds: float = 0.0
    """The time of the whole load."""
    latencies: list[float] = field(default_factory=list)
    """The seconds of each answer with status 200."""
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    """The number of answers that are not the translation of their text."""

    def describe(self) -> str:
        """Return a line with the rate, latencies and statuses."""
        ordered = sorted(self.latencies) or [0.0]
        p50, p95, p99 = (
            1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 0.99)
        )
        others = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()) if status != 200)
        rate = len(self.latencies) / self.seconds if self.seconds else 0.0
        return f"{rate:8.1f}/s  p50 {p50:7.1f} ms  p95 {p95:7.1f} ms  p99 {p99:7.1f} ms  wrong {self.wrong}  {others}"


class Connection:
    """A connection of HTTP/1.1 that is kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader, self._writer, self._host = reader, writer, host

    @classmethod
    async def open(cls, url: str) -> "Connection":
        """Connect to the server at an address."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        return cls(reader, writer, parts.netloc)

    async def post(self, path: str, content: object) -> tuple[int, bytes]:
        """Send JSON. Return the status and the body of the response."""
        body = json.dumps(content).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await self._writer.drain()
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), await self._reader.readexactly(int(fields["content-length"]))

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


async def run_load(
    url: str, texts: Sequence[str], expected: Sequence[str], *, clients: int, requests: int, source: str, target: str
) -> Load:
    """Send texts from several clients at once.

    Args:
        url: the address of the server.
        texts: the texts. Each client begins at another one.
        expected: their translations.
        clients: the number of clients.
        requests: the number of requests of all clients.
        source: the source language.
        target: the target language.
    """
    load, left = Load(), iter(range(requests))
    connections = [await Connection.open(url) for _ in range(clients)]

    async def work(connection: Connection) -> None:
        for number in left:
            place = number % len(texts)
            start = time.perf_counter()
            asked = {"q": texts[place], "source": source, "target": target}
            status, body = await connection.post("/translate", asked)
            load.statuses[status] += 1
            if status == 200:
                load.latencies.append(time.perf_counter() - start)
                load.wrong += json.loads(body)["translatedText"] != expected[place]
            else:
                await asyncio.sleep(0.01)

    start = time.perf_counter()
    await asyncio.gather(*map(work, connections))
    load.seconds = time.perf_counter() - start
    for connection in connections:
        connection.close()
    return load
