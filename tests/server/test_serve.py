"""The command: real processes, signals, and one line for what is wrong."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import server_tools
import warm

from nmt.commands.serve import main

MODEL = str(server_tools.MODELS / "input_feeding")
SOURCE = server_tools.SOURCE


class Server:
    """A process with a server."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "nmt.commands.serve", MODEL, "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self.connections: list[http.client.HTTPConnection] = []
        match = self.wait_for(r"ready at http://127\.0\.0\.1:(\d+)")
        self.port = int(match[1])

    def wait_for(self, pattern: str) -> re.Match[str]:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"the server ended:\n{''.join(self.lines)}")

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.connections.append(connection)
        return connection

    def post(self, content: Any) -> Any:
        connection = self.connect()
        connection.request("POST", "/v1/translate", json.dumps(content))
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@contextmanager
def started(*arguments: str) -> Iterator[Server]:
    server = Server(*arguments)
    try:
        yield server
    finally:
        for connection in server.connections:
            connection.close()
        server.process.kill()
        server.process.communicate()


@pytest.mark.slow
def test_signals() -> None:
    """A server reloads on SIGHUP. On SIGTERM, it answers what it has received, and refuses connections."""
    with started() as server:
        assert server.post({"text": SOURCE[0]})[0] == 200
        wrong = server.connect()
        wrong.request("POST", "/translate_file", b"--x\r\nsecret", {"Content-Type": "multipart/form-data; boundary=x"})
        assert wrong.getresponse().status == 400
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("loaded the models again")
        running = server.connect()
        running.request("POST", "/v1/translate", json.dumps({"text": SOURCE * 8, "search": {"beam": 20}}))
        idle = server.connect()
        idle.request("GET", "/metrics")
        while b"nmt_requests_running 2.0" not in idle.getresponse().read():
            idle.request("GET", "/metrics")
        server.process.send_signal(signal.SIGTERM)
        response = running.getresponse()
        assert response.status == 200
        assert len(json.loads(response.read())["results"]) == len(SOURCE * 8)
        server.wait_for("stopped")
        assert "secret" not in "".join(server.lines)
        assert "invalid" not in "".join(server.lines)
        assert server.process.wait(60) == 0
        with pytest.raises(ConnectionRefusedError):
            server.post({"text": "a"})


@pytest.mark.slow
def test_ctrl_c_and_clients_that_leave() -> None:
    """Work for a client that has left is dropped, so that the server is free again."""
    with started("--threads", "1") as server:
        gone = server.connect()
        texts = [f"{one} {other}" for one in SOURCE for other in SOURCE][:900]
        gone.request("POST", "/v1/translate", json.dumps({"text": texts, "search": {"beam": 20}}))
        other = server.connect()
        other.request("GET", "/metrics")
        while b"nmt_requests_running 2.0" not in other.getresponse().read():
            other.request("GET", "/metrics")
        gone.close()
        server.wait_for("/v1/translate 499")
        other.request("GET", "/metrics")
        written = other.getresponse().read().decode()
        assert "nmt_queue_characters 0.0" in written
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 130


@pytest.mark.slow
def test_a_port_that_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended = warm.run_command(main, MODEL, "--port", str(other.getsockname()[1]))
    assert ended.status == 2
    assert ended.stderr.decode().count("\n") == 1
    assert "in use" in ended.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing"),
        ([MODEL, MODEL], "another model is called input_feeding"),
        ([MODEL, "--pivot", "fr"], "no two models can be joined"),
        ([MODEL, "--require-key"], "needs --keys"),
        ([MODEL, "--keys", "none"], "does not exist"),
        ([MODEL, "--prefix", "mt"], "must begin with a slash"),
        ([MODEL, "--max-beam", "0"], "must be a whole number"),
        ([MODEL, "--host", "256.1.1.1"], "256.1.1.1"),
        ([], "MODEL"),
        (["keys", "list", "--keys", "none"], "does not exist"),
        (["keys"], "add|list|revoke"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        ended = warm.run_command(main, *arguments, *(["--port", "0"] if arguments[:1] != ["keys"] else []))
    finally:
        os.chdir(before)
    assert ended.status == 2, ended.stderr
    assert ended.stderr.decode().count("\n") == 1
    assert message in ended.stderr.decode()


def test_keys(tmp_path: Path) -> None:
    path = str(tmp_path / "keys.sqlite")
    key = warm.run_command(main, "keys", "add", "ann", "--requests-per-minute", "9", "--keys", path)
    assert key.status == 0
    assert key.stdout.startswith(b"nmt_")
    listed = warm.run_command(main, "keys", "list", "--keys", path).stdout.decode()
    assert re.fullmatch(r"ann\t\d{4}-\d\d-\d\d\t0 characters this month\trequests_per_minute=9\n", listed)
    assert warm.run_command(main, "keys", "revoke", "ann", "--keys", path).status == 0
    assert warm.run_command(main, "keys", "list", "--keys", path).stdout == b""
