"""The cache of compiled loops: it saves time, and nothing that happens to its files does harm."""

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

numba = pytest.importorskip("numba")

from nmt.search.packed.compilation import compiled  # noqa: E402


def triple(number: int) -> int:
    return 3 * number


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def load_and_call() -> bool:
    """Call a compiled function as a new process would. Return whether it comes from the cache."""
    kernel: Any = compiled()(triple)
    assert kernel(5) == 15
    return bool(kernel.stats.cache_hits)


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in range(40, len(content), 50):
        content[place] ^= 1
    path.write_bytes(content)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_the_second_process_loads_what_the_first_has_compiled(folder: Path) -> None:
    assert [load_and_call(), load_and_call()] == [False, True]
    assert [file.suffix for file in files(folder)] == [".nbc", ".nbi"]


@pytest.mark.parametrize("ending", [".nbc", ".nbi"])
@pytest.mark.parametrize("damage", [cut, empty, flip, Path.unlink, replace_by_folder])
def test_damaged_files_are_replaced(folder: Path, ending: str, damage: Callable[[Path], None]) -> None:
    load_and_call()
    (path,) = folder.rglob(f"*{ending}")
    damage(path)
    assert not load_and_call()
    if damage is not replace_by_folder:
        assert load_and_call()


def test_a_full_disk_costs_only_time(folder: Path) -> None:
    fork = os.fork()
    if not fork:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
            status = 3 if load_and_call() else 0
        finally:
            os._exit(status)
    assert os.waitpid(fork, 0)[1] == 0
    assert files(folder) == []


def test_a_folder_that_cannot_be_written_costs_only_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/dev/null/cache")
    kernel: Any = compiled()(triple)
    assert kernel(5) == 15
    assert files(folder) == []
