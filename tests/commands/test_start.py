"""The entry points: a signal at any moment ends a command without a traceback."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"
# Tells when the entry point handles the first signals, as everything before belongs to Python.
CODE = """
import os, signal
from nmt.commands import start
handle = signal.signal
def tell(number, handler):
    handle(number, handler)
    if number == signal.SIGTERM:
        signal.signal = handle
        os.write(1, b"+")
signal.signal = tell
start.{}()
"""


def start(command: str, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    line = [sys.executable, "-c", CODE.format(command), *map(str, arguments)]
    process = subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout
    assert process.stdout.read(1) == b"+"
    return process


@pytest.mark.parametrize("command", ["train", "translate", "evaluate", "export", "average"])
def test_every_command_has_an_entry_point(command: str) -> None:
    with start(command, "--version") as process:
        assert process.communicate()[0].startswith(b"nmt ")
    assert process.returncode == 0
    with start(command) as process:
        assert process.communicate()[1].count(b"\n") == 1
    assert process.returncode == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("seconds", [0.002, 0.03, 0.2, pytest.param(1.5, marks=pytest.mark.slow)])
def test_a_signal_while_a_command_starts(seconds: float, number: int, status: int, tmp_path: Path) -> None:
    model = shutil.copytree(MODEL, tmp_path / "model")  # translation may add a packed network to the folder
    with start("translate", model, "--threads", "2") as process:
        with contextlib.suppress(subprocess.TimeoutExpired):  # the moment need not be exact
            process.wait(timeout=seconds)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (status, b"", b"")


def test_ctrl_c_is_ignored_in_the_background() -> None:
    code = CODE.format("translate")
    command = ["env", "--ignore-signal=INT", sys.executable, "-c", code, "--version"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read(1) == b"+"
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout.read().startswith(b"nmt ")
    assert process.returncode == 0
