"""Faults of clients and of the machine, in a short form of scripts/fault-server."""

from collections.abc import Callable
from pathlib import Path

import pytest
import server_faults
import server_tools

from nmt.translation.translator import Translator

MODEL = server_tools.MODELS / "input_feeding"
TEXTS = server_tools.SOURCE
Fault = Callable[[], server_faults.Outcome]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expected() -> list[str]:
    return Translator.load(MODEL, device="cpu").translate(TEXTS)


def check(outcome: server_faults.Outcome) -> None:
    assert outcome.passed, outcome.report


def test_kill(expected: list[str]) -> None:
    check(server_faults.kill(MODEL, TEXTS, expected, 2, seed=1))


def test_terminate(expected: list[str]) -> None:
    check(server_faults.terminate(MODEL, TEXTS, expected))


def test_answers_are_compared(expected: list[str]) -> None:
    outcome = server_faults.terminate(MODEL, TEXTS, expected[::-1])
    assert not outcome.passed
    assert "wrong" in outcome.report


@pytest.mark.parametrize(
    "fault",
    [
        lambda: server_faults.fill_disk(MODEL),
        lambda: server_faults.send_large_bodies(MODEL, 1 << 25),
        lambda: server_faults.send_bombs(MODEL),
    ],
    ids=["disk", "bodies", "bombs"],
)
def test_faults(fault: Fault) -> None:
    check(fault())


def test_a_server_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such folder"):
        server_faults.Supervisor(tmp_path / "none")
