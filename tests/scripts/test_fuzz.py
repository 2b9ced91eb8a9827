"""scripts/fuzz: each kind of fault is found in a case that has it, and a case can be repeated."""

import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzzing.case import Case, Verdict, run_case, working_folder
from fuzzing.main import PARTS, Part, run_part, summarize


def judge(act: Callable[[], int | None], **settings: float) -> str | None:
    with working_folder() as folder:
        return run_case(Case(name="a case", act=act, **settings), folder).fault  # type: ignore[arg-type]


def print_error(text: str) -> int:
    print(f"nmt: error: {text}", file=sys.stderr)
    return 2


def allocate() -> None:
    content = bytearray(120 << 20)
    content[::4096] = b"x" * len(content[::4096])


def leave_process() -> None:
    if not os.fork():
        time.sleep(100)


FAULTS: dict[str, Callable[[], int | None]] = {
    "crash: SIGSEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "traceback": lambda: 1 // 0,
    "file outside: payload": lambda: Path("../payload").write_text("x"),
    "file outside: canary": lambda: Path("../canary").write_text("x"),
    "processes still run": leave_process,
    "exit status 7": lambda: 7,
    "exit status 2 without an error line": lambda: 2,
    r"control character '\x1b' on standard error": lambda: print_error("\x1b[31m"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault: str) -> None:
    assert judge(lambda: FAULTS[fault]() and None if "outside" in fault else FAULTS[fault]()) == fault


def test_limits_are_held() -> None:
    assert judge(lambda: time.sleep(100), seconds=0.2) == "hang: no end within 0.2 s"
    # The child shares pages with its parent, and a busy machine may evict some of them.
    assert re.fullmatch(r"memory: \d+ MB", judge(allocate, megabytes=80) or "")


def test_good_ends_are_no_faults() -> None:
    assert judge(lambda: None) is None
    assert judge(lambda: print_error("wrong")) is None
    assert judge(lambda: Path("file").write_text("x") and None) is None


def test_a_case_depends_on_its_number_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(draw: random.Random, folder: Path) -> Case:
        (folder / "input").write_text("x")
        status = draw.choice((0, 2, 3))
        return Case(name=f"{status}", act=lambda: print_error("wrong") and status)

    monkeypatch.setitem(PARTS, "tried", Part(prepare=lambda _: make, count=1))
    shown: list[str] = []
    all_of_them = run_part("tried", range(8), 1, show=shown.append)
    assert run_part("tried", [5], 1, show=shown.append) == all_of_them[5:6]
    assert {verdict.status for verdict in all_of_them} > {3}
    assert any(line.endswith(": exit status 3: 3") for line in shown)


def test_the_summary_counts_ends_and_faults() -> None:
    verdicts = [
        Verdict(name="", status=status, fault=fault) for status, fault in ((0, None), (2, None), (1, "hang: x"))
    ]
    expected = "folders: 3 cases in 9 s: 1 with exit status 0, 1 with exit status 2; 1 hang"
    assert summarize("folders", verdicts, 9.0) == expected
