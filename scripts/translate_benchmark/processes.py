"""Commands as processes: how long they take, how much memory they need, when they first answer; the processor."""

import contextlib
import os
import platform
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nmt.errors import DataError, MachineError

Stream = IO[bytes] | int

PAUSE = 0.02  # seconds between two looks at a process's memory
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, kw_only=True)
class Done:
    """A process that has ended well."""

    output: str
    seconds: float
    peak_mib: float
    """VmHWM, including worker processes; pages that they share count for each."""


def run(command: Sequence[str], text: str = "") -> Done:
    """Give a command a text on standard input and wait for its end. Raises DataError: it failed."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(text.encode())
        given.seek(0)
        begin = time.perf_counter()
        process = _start(command, given, output, errors)
        peak = _watch(process)
        seconds = time.perf_counter() - begin
        if process.returncode:
            raise DataError(f"{shlex.join(command)} failed with {process.returncode}:\n{_content(errors)[-2000:]}")
        return Done(output=_content(output), seconds=seconds, peak_mib=peak)


def first_answer(command: Sequence[str], line: str) -> float:
    """Seconds from the start of a command to the first line that it answers with, its input still open.

    Raises:
        DataError: it failed.
    """
    with tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = _start(command, subprocess.PIPE, subprocess.PIPE, errors)
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended without reading, and does not answer either
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
        answer = process.stdout.readline()
        seconds = time.perf_counter() - begin
        process.communicate()
        if process.returncode or not answer:
            raise DataError(f"{shlex.join(command)} failed with {process.returncode}:\n{_content(errors)[-2000:]}")
        return seconds


def _start(command: Sequence[str], given: Stream, output: Stream, errors: Stream) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=given, stdout=output, stderr=errors, env={**os.environ, **ONE_THREAD})
    except OSError as error:
        raise MachineError(f"{command[0]}: cannot be started ({error.strerror}); check the command") from error


def _watch(process: subprocess.Popen[bytes]) -> float:
    """Wait for the end; returns the peak memory in MiB. A killed benchmark takes the process with it."""
    peak = 0.0
    try:
        while process.poll() is None:
            peak = max(peak, sum(map(high_water, [process.pid, *_children(process.pid)])))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PAUSE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return peak


def high_water(pid: int) -> float:
    """The peak memory so far of a process in MiB; 0 when it has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text("ascii", errors="replace"))
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        return []


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def processor() -> str:
    """Its name."""
    found = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    )
    return found[1].strip() if found else platform.machine()
