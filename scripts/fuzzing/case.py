"""Cases. Each case runs in a forked child with limits of time and memory. Then its outcome is judged.

The parent imports nmt and torch once. A forked child starts within milliseconds, and its damage ends with the child.
"""

import contextlib
import faulthandler
import importlib
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CANARY = "canary"  # a file beside the working folder of a case, which no case may change


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a case."""

    status: int
    """The exit status, or minus the number of the signal that ended the child."""
    stdout: bytes
    stderr: str
    seconds: float
    megabytes: float
    """The peak of the child's resident memory minus that at its start. It includes code that the child is first to use
    again after the fork, up to 200 MB if the parent has imported torch."""
    folder: Path
    """The working folder, which exists until the case has been judged."""


def accept(outcome: Outcome) -> str | None:  # noqa: ARG001
    """Find no fault in any outcome."""
    return None


@dataclass(frozen=True, kw_only=True)
class Case:
    """An input and the function that uses it."""

    name: str
    """A description of the input, for the report."""
    act: Callable[[], int | None]
    """Runs in the child, in the working folder of the case. It returns the exit status, where None is 0. Any exception
    except SystemExit counts as a traceback."""
    stdin: bytes = b""
    check: Callable[[Outcome], str | None] = accept
    """Runs in the parent after the general checks. It returns a fault in a few words, or None."""
    allowed: frozenset[int] = frozenset((0, 2))
    """The exit statuses that are not faults."""
    seconds: float = 30
    """The time limit, on a machine that has nothing else to do."""
    megabytes: float = 500
    """The limit of memory in addition to the memory that is shared with the parent."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of a case."""

    name: str
    status: int
    fault: str | None
    detail: str = field(default="", repr=False)
    """The last lines of standard error."""


@dataclass(frozen=True, kw_only=True)
class _CaseFolder:
    """The folder of a case. It contains the working folder and files that the case must not change."""

    outer: Path

    @property
    def work(self) -> Path:
        return self.outer / "work"


def import_for_training() -> None:
    """Import what torch imports with its first optimizer, so that a forked child does not spend three seconds on it."""
    importlib.import_module("torch._dynamo")


@contextlib.contextmanager
def working_folder(keep: Path | None = None) -> Iterator[_CaseFolder]:
    """Make an empty working folder with a canary beside it. It is removed afterwards, unless `keep` names it."""
    with contextlib.ExitStack() as stack:
        outer = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nmt-fuzz-")))
        if keep:
            shutil.rmtree(outer, ignore_errors=True)
            outer.mkdir(parents=True)
        (outer / CANARY).write_text(CANARY, encoding="utf-8")
        (outer / "work").mkdir()
        yield _CaseFolder(outer=outer)


def run_case(case: Case, folder: _CaseFolder) -> Verdict:
    """Run a case in a forked child, and judge its end."""
    outcome, hung, leftover = _run(case, folder)
    detail = "\n".join(outcome.stderr.splitlines()[-12:])
    fault = _judge(case, outcome, folder, hung=hung, leftover=leftover)
    return Verdict(name=case.name, status=outcome.status, fault=fault, detail=detail)


def _judge(case: Case, outcome: Outcome, folder: _CaseFolder, *, hung: bool, leftover: bool) -> str | None:
    """Return the most severe fault of an outcome, or None."""
    if hung:
        return f"hang: no end within {case.seconds:g} s"
    if outcome.status < 0 and outcome.status not in case.allowed:
        return f"crash: {signal.Signals(-outcome.status).name}"
    if "Traceback (most recent call last)" in outcome.stderr:
        return "traceback"
    if outside := _find_outside(folder):
        return f"file outside: {outside}"
    if outcome.megabytes > case.megabytes:
        return f"memory: {outcome.megabytes:.0f} MB"
    if leftover:
        return "processes still run"
    if outcome.status not in case.allowed:
        return f"exit status {outcome.status}"
    if outcome.status == 2 and ": error: " not in outcome.stderr:
        return "exit status 2 without an error line"
    if raw := re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", outcome.stderr):
        return f"control character {raw[0]!r} on standard error"
    return case.check(outcome)


def _find_outside(folder: _CaseFolder) -> str | None:
    """Return the name of a file that was made, changed or removed beside the working folder, or None."""
    expected = {CANARY, "work", "tmp", "stdin", "stdout", "stderr", "memory"}
    found = set(os.listdir(folder.outer))
    canary = folder.outer / CANARY
    if CANARY not in found or canary.read_text(encoding="utf-8", errors="replace") != CANARY:
        return CANARY
    return next(iter(sorted(found ^ expected)), None)


def _run(case: Case, folder: _CaseFolder) -> tuple[Outcome, bool, bool]:
    """Run a case. Return its outcome, whether it hung, and whether processes of it still run."""
    (folder.outer / "stdin").write_bytes(case.stdin)
    (folder.outer / "tmp").mkdir()
    sys.stdout.flush()
    sys.stderr.flush()
    start = time.monotonic()
    pid = os.fork()
    if not pid:
        _run_child(case, folder)
    hung = not _wait(pid, case.seconds)
    if hung:
        _kill_group(pid)
    _, status, usage = os.wait4(pid, 0)
    leftover = not hung and not _wait_for_group(pid)
    _kill_group(pid)
    outcome = Outcome(
        status=os.waitstatus_to_exitcode(status),
        stdout=(folder.outer / "stdout").read_bytes() if (folder.outer / "stdout").exists() else b"",
        stderr=(folder.outer / "stderr").read_text(encoding="utf-8", errors="replace"),
        seconds=time.monotonic() - start,
        megabytes=usage.ru_maxrss / 1024 - float((folder.outer / "memory").read_text(encoding="ascii")),
        folder=folder.work,
    )
    return outcome, hung, leftover


def _wait(pid: int, seconds: float) -> bool:
    """Wait for the end of a child. Return whether it ended in time.

    On a busy machine, a child has up to four times as long, until it has used these seconds of processor time.
    """
    descriptor = os.pidfd_open(pid)
    try:
        for _ in range(4):
            if select.select([descriptor], [], [], seconds)[0]:
                return True
            if _read_processor_seconds(pid) > seconds:
                return False
        return False
    finally:
        os.close(descriptor)


def _read_processor_seconds(pid: int) -> float:
    """Return the processor time of a process, which must exist."""
    values = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime in proc(5)


def _wait_for_group(group: int) -> bool:
    """Wait a moment for the last processes of a session. Return whether all have ended."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _run_child(case: Case, folder: _CaseFolder) -> None:
    """Run a case in the child, and end the child. This function does not return."""
    status = 1
    try:
        os.setsid()
        faulthandler.disable()
        resident = _limit_memory(case.megabytes)
        (folder.outer / "memory").write_text(f"{resident}", encoding="ascii")
        _redirect(folder)
        os.chdir(folder.work)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder.outer / "tmp")
        status = case.act() or 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _redirect(folder: _CaseFolder) -> None:
    """Connect the standard streams of the child with files."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        descriptor = os.open(folder.outer / name, os.O_RDONLY if not number else flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the end of the child
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115


def _limit_memory(megabytes: float) -> float:
    """Let allocations fail at twice the allowed memory, before the memory of the machine is used up.

    Return the resident memory of this process in MB.
    """
    pages, resident = map(int, Path("/proc/self/statm").read_text(encoding="ascii").split()[:2])
    limit = pages * resource.getpagesize() + int(2 * megabytes * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return resident * resource.getpagesize() / 2**20
