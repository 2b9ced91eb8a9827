import os
from pathlib import Path

import pytest
import torch

from nmt.system import machine
from nmt.system.machine import keep_memory, return_memory


def test_memory_can_be_kept_and_returned() -> None:
    keep_memory()
    assert torch.ones(1 << 20).sum() == 1 << 20
    kept = _resident()
    return_memory()
    assert torch.ones(1 << 20).sum() == 1 << 20
    assert _resident() <= kept


def _resident() -> int:
    """The number of resident pages of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1])


def test_cores() -> None:
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("content", "expected"),
    [("max 100000\n", 8), ("200000 100000\n", 2), ("50000 100000\n", 1), ("250000 100000\n", 3)],
)
def test_cores_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, expected: int) -> None:
    monkeypatch.setattr(machine, "count_own_cores", lambda: 8)
    monkeypatch.setattr(machine, "CPU_MAX", tmp_path / "cpu.max")
    assert machine.cores() == 8
    (tmp_path / "cpu.max").write_text(content)
    assert machine.cores() == expected
