"""Faults of clients and of the machine, and what a server does then."""

import contextlib
import http.client
import io
import json
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 60.0  # the most time that a client waits
_PASSWORDS = "root:"  # what /etc/passwd begins with
_BAD_BODIES = (
    b"{", b'{"q": ', b"[" * 100_000, b'{"q": NaN}', b"\xff\xfe\x00", b"null", b'{"q": {"q": []}}', b'{"q": 1e999}',
    b'{"q": "a", "source": [], "target": "de"}', b'{"q": "a", "source": "en", "target": "de", "alternatives": 1e99}',
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What happened."""

    fault: str
    passed: bool
    report: str


class Supervisor:
    """Starts a server again whenever it ends, as systemd does.

    Args:
        model: the model folder.
        arguments: other arguments of nmt-serve.
        file_bytes: the limit of the size of files that the server writes. None means no limit.
    """

    def __init__(self, model: Path, *arguments: str, file_bytes: int | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        limits = ["--requests-per-minute", "0", "--characters-per-minute", "0", *arguments]
        self._command = [sys.executable, "-m", "nmt.commands.serve", str(model), "--port", str(self.port), *limits]
        self._file_bytes, self._stopping, self.ends = file_bytes, False, list[int]()
        self.lines: list[str] = []
        self.process = self._start()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _start(self) -> "subprocess.Popen[str]":
        def limit() -> None:
            if self._file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self._file_bytes, self._file_bytes))

        process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True, preexec_fn=limit)
        assert process.stderr
        for line in process.stderr:
            self.lines.append(line)
            if "ready at" in line:
                return process
        process.stderr.close()
        process.wait()
        raise RuntimeError(f"the server does not start:\n{''.join(self.lines)}")

    def _watch(self) -> None:
        while True:
            with self.process as process:  # waits for its end
                assert process.stderr
                self.lines.extend(process.stderr)
            self.ends.append(process.returncode)
            if self._stopping:
                return
            self.process = self._start()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the server for good. Return its exit status."""
        self._stopping = True
        self.process.send_signal(number)
        self._thread.join()
        return self.ends[-1]

    def read_memory(self) -> int:
        """Return the resident memory of the server in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) >> 10

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request. Return the status and the body of the response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_SECONDS)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def translate(self, text: str) -> str | None:
        """Translate a text. Return None if the status is not 200."""
        status, body = self.call("POST", "/translate", json.dumps({"q": text, "source": "en", "target": "de"}))
        return json.loads(body)["translatedText"] if status == 200 else None


@contextlib.contextmanager
def supervise(model: Path, *arguments: str, file_bytes: int | None = None) -> Iterator[Supervisor]:
    """Run a server during the block."""
    server = Supervisor(model, *arguments, file_bytes=file_bytes)
    try:
        yield server
    finally:
        if not server._stopping:
            server.stop(signal.SIGKILL)


class Clients:
    """Clients in threads, each of which sends one text after the other and checks every answer."""

    def __init__(self, server: Supervisor, texts: Sequence[str], expected: Sequence[str], count: int) -> None:
        self.seen: Counter[str] = Counter()
        self._ending, self._lock, self._server = threading.Event(), threading.Lock(), server
        self._pairs = list(zip(texts, expected, strict=True))
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self, place: int) -> None:
        while not self._ending.is_set():
            text, expected = self._pairs[place % len(self._pairs)]
            place += 1
            try:
                found = self._server.translate(text)
                what = "refused" if found is None else "right" if found == expected else "wrong"
            except ConnectionRefusedError:
                what = "connection refused"
                time.sleep(0.05)
            except http.client.IncompleteRead:
                what = "half an answer"
            except (ConnectionError, http.client.HTTPException):
                what = "connection closed"
            with self._lock:
                self.seen[what] += 1

    def wait_for(self, count: int) -> None:
        """Wait until this many more texts are translated."""
        wanted = self.seen["right"] + self.seen["wrong"] + count
        while self.seen["right"] + self.seen["wrong"] < wanted:
            time.sleep(0.01)

    def end(self) -> Counter[str]:
        """Stop the clients. Return how often each thing was seen."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        return self.seen


def kill(model: Path, texts: Sequence[str], expected: Sequence[str], times: int, seed: int) -> Outcome:
    """Kill the server under load. A supervisor starts it again."""
    generator = random.Random(seed)
    with supervise(model, "--cache", "0") as server:
        clients = Clients(server, texts, expected, 8)
        for _ in range(times):
            clients.wait_for(generator.randint(1, 50))
            process = server.process
            process.kill()
            while server.process is process:
                time.sleep(0.01)
        clients.wait_for(20)
        seen = clients.end()
        passed = not seen["wrong"] and not seen["refused"] and server.ends == [-signal.SIGKILL] * times
    return Outcome(f"kill -9 under load, {times} times", passed, _count(seen))


def terminate(model: Path, texts: Sequence[str], expected: Sequence[str]) -> Outcome:
    """Send SIGTERM under load. What the server has received, it answers.

    The kernel closes connections that the server has not accepted yet, so some clients see no answer.
    """
    with supervise(model, "--cache", "0") as server:
        clients = Clients(server, texts, expected, 8)
        clients.wait_for(30)
        status = server.stop()
        seen = clients.end()
    unwanted = seen["wrong"] + seen["half an answer"]
    return Outcome("SIGTERM under load", status == 0 and not unwanted, f"exit status {status}, {_count(seen)}")


def fill_disk(model: Path) -> Outcome:
    """Let the server write nothing beyond 64 KiB in a file. Translation works, and what must be stored is refused."""
    with tempfile.TemporaryDirectory() as folder:
        keys = str(Path(folder) / "glossaries.sqlite")
        with supervise(model, "--glossaries", keys, file_bytes=1 << 16) as server:
            statuses = {}
            statuses["file"] = _upload(server, "a.txt", b"A dog.\n" * 300_000)[0]
            entries = "\n".join(f"{number}\t{number}" for number in range(15_000))
            glossary = {"name": "own", "source_lang": "en", "target_lang": "de", "entries": entries}
            statuses["glossary"] = server.call("POST", "/v2/glossaries", json.dumps(glossary))[0]
            statuses["text"] = 200 if server.translate("A dog.") else 0
            small = _upload(server, "a.txt", b"A dog.\n")
            result = server.call("GET", _path(small[1]))[0] if small[0] == 200 else small[0]
            bugs = sum("a bug of nmt" in line for line in server.lines)
            status = server.stop()
    passed = statuses == {"file": 503, "glossary": 503, "text": 200} and result == 200 and not bugs and status == 0
    return Outcome("full disk", passed, f"statuses {statuses}, a small file {result}")


def send_large_bodies(model: Path, size: int) -> Outcome:
    """Send a body of 1 GB, with its length and in chunks."""
    with supervise(model) as server:
        server.translate("A dog.")
        before, seconds = server.read_memory(), []
        statuses = []
        for head in (f"Content-Length: {size}\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
            start = time.perf_counter()
            with socket.create_connection(("127.0.0.1", server.port), _SECONDS) as client:
                client.sendall(f"POST /translate HTTP/1.1\r\nHost: x\r\n{head}".encode())
                chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n" if "chunked" in head else b"a" * 0x10000
                with contextlib.suppress(ConnectionError):
                    for _ in range(size >> 16):
                        client.sendall(chunk)
                with contextlib.suppress(ConnectionError):
                    statuses.append(client.recv(12)[-3:].decode())
            seconds.append(time.perf_counter() - start)
        grown = server.read_memory() - before
        passed = statuses == ["413", "413"] and grown < 50 and server.translate("A dog.") is not None
    times = ", ".join(f"{one:.1f} s" for one in seconds)
    return Outcome(f"bodies of {size:,} bytes", passed, f"statuses {statuses}, {times}, {grown} MiB more memory")


def send_slowly(model: Path, connections: int) -> Outcome:
    """Open connections that send a byte each second and never end (slowloris). Meanwhile, others are answered."""
    with supervise(model) as server:
        held = [socket.create_connection(("127.0.0.1", server.port), _SECONDS) for _ in range(connections)]
        start, slowest, left = time.perf_counter(), 0.0, held
        while left and time.perf_counter() - start < _SECONDS:
            left = [client for client in left if _send_byte(client)]
            begin = time.perf_counter()
            assert server.translate("A dog.")
            slowest = max(slowest, time.perf_counter() - begin)
            time.sleep(1.0)
        seconds = time.perf_counter() - start
        for client in held:
            client.close()
    report = f"all closed after {seconds:.0f} s, slowest answer to others {slowest * 1000:.0f} ms"
    return Outcome(f"{connections} clients that never finish a request", not left, report)


def hold_connections(model: Path, connections: int) -> Outcome:
    """Hold many connections open, and translate over another one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, connections + 200)), hard))
    with supervise(model) as server:
        before = server.read_memory()
        held = [socket.create_connection(("127.0.0.1", server.port), _SECONDS) for _ in range(connections)]
        for client in held:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        answered = sum(b" 200 " in client.recv(32) for client in held)
        begin = time.perf_counter()
        found, seconds = server.translate("A dog."), time.perf_counter() - begin
        grown = server.read_memory() - before
        for client in held:
            client.close()
    report = f"{answered} answered, translation in {seconds * 1000:.0f} ms, {grown} MiB more memory"
    return Outcome(f"{connections} open connections", answered == connections and found is not None, report)


def send_bad_bodies(model: Path) -> Outcome:
    """Send what is not JSON, or not what the route expects."""
    routes = ("/translate", "/v1/translate", "/v2/translate", "/detect", "/v1/score", "/v3/glossaries")
    with supervise(model) as server:
        statuses = Counter(server.call("POST", route, body)[0] for route in routes for body in _BAD_BODIES)
    return Outcome("bad JSON", statuses.keys() <= {400, 200} and statuses[400] > 0, f"statuses {dict(statuses)}")


def send_bombs(model: Path) -> Outcome:
    """Send zip archives and XML that grow when they are read, and XML that asks for files of the server."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    documents: dict[str, str | bytes] = {
        "a.docx": _zip({"word/document.xml": b"<a>" + b" " * (300 << 20)}),
        "b.docx": _zip({f"{number}.xml": b"" for number in range(30_000)}),
        "c.xliff": f'<!DOCTYPE x [<!ENTITY e0 "dog">{entities}]><xliff version="1.2"><file source-language="en" '
        'target-language="de"><body><trans-unit id="1"><source>&e9;</source></trans-unit></body></file></xliff>',
        "d.xliff": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xliff version="1.2"><file source-language='
        '"en" target-language="de"><body><trans-unit id="1"><source>&e;</source></trans-unit></body></file></xliff>',
        "e.html": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><p>&e;</p>',
    }
    with supervise(model) as server:
        server.translate("A dog.")
        before, statuses, leaked = server.read_memory(), {}, False
        for name, content in documents.items():
            status, body = _upload(server, name, content if isinstance(content, bytes) else content.encode())
            if status == 200:
                status, body = server.call("GET", _path(body))
            statuses[name] = status
            leaked |= _PASSWORDS.encode() in body
        xml = json.dumps(
            {"text": [documents["d.xliff"]], "target_lang": "de", "source_lang": "en", "tag_handling": "xml"}
        )
        status, body = server.call("POST", "/v2/translate", xml)
        leaked |= _PASSWORDS.encode() in body
        grown, bugs = server.read_memory() - before, sum("a bug of nmt" in line for line in server.lines)
        statuses["text"] = status
        passed = not leaked and not bugs and grown < 500 and max(statuses.values()) < 500
        passed &= server.translate("A dog.") is not None
    return Outcome("zip bombs, XML bombs, XXE", passed, f"statuses {statuses}, {grown} MiB more memory, nothing leaked")


def _send_byte(client: socket.socket) -> bool:
    """Send a byte of a head. Return whether the connection is open."""
    try:
        client.sendall(b"G")
        client.setblocking(False)
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    finally:
        client.settimeout(_SECONDS)


def _upload(server: Supervisor, name: str, content: bytes) -> tuple[int, bytes]:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    fields = "".join(
        f'\r\n--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}'
        for key, value in (("source", "en"), ("target", "de"))
    )
    body = head + content + fields.encode() + b"\r\n--x--\r\n"
    return server.call("POST", "/translate_file", body, {"Content-Type": "multipart/form-data; boundary=x"})


def _path(body: bytes) -> str:
    return "/" + str(json.loads(body)["translatedFileUrl"]).split("/", 3)[3]


def _zip(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _count(seen: Counter[str]) -> str:
    return ", ".join(f"{what}: {count}" for what, count in sorted(seen.items()))


def list_faults(model: Path, texts: Sequence[str], expected: Sequence[str], seed: int) -> list[Callable[[], Outcome]]:
    """Return a function for each fault, with sizes that take two minutes in all."""
    return [
        lambda: kill(model, texts, expected, 10, seed),
        lambda: terminate(model, texts, expected),
        lambda: fill_disk(model),
        lambda: send_large_bodies(model, 1 << 30),
        lambda: send_slowly(model, 200),
        lambda: hold_connections(model, 1_000),
        lambda: send_bad_bodies(model),
        lambda: send_bombs(model),
    ]
