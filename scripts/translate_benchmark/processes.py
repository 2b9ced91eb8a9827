"""Run commands as processes, and measure their time, their memory and the time to their first line."""

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

PAUSE = 0.02  # seconds between two measurements of the memory of a process
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, kw_only=True)
class Done:
    """The result of a successful process."""

    output: str
    seconds: float
    peak_mib: float
    """The VmHWM, including worker processes. Shared pages count once for each process."""


def run(command: Sequence[str], text: str = "") -> Done:
    """Run a command with a text on standard input. Raises DataError: the command failed."""
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
    """Measure the seconds from the start of a command to its first line of output. Its input remains open.

    Raises:
        DataError: the command failed.
    """
    with tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = _start(command, subprocess.PIPE, subprocess.PIPE, errors)
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # the process ended without reading; its failure is reported below
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
    """Wait for the end of a process. Return its peak memory in MiB. If the benchmark is stopped, kill the process."""
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
    """Read the peak memory of a process so far in MiB, or return 0 if the process has ended."""
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
    """Return the name of the processor."""
    found = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    )
    return found[1].strip() if found else platform.machine()
