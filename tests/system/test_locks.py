import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.errors import MachineError
from nmt.system.locks import LOCK, lock_folder

HOLDER = """
import signal, sys
from pathlib import Path
from nmt.system.locks import lock_folder

with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""
REFUSAL = "another process is using this folder; wait until it ends, or choose another folder"


def test_a_folder_is_locked_for_the_length_of_the_block(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "a" / "run"):
        (tmp_path / "a" / "run" / "result").touch()
        for _ in range(2):  # a refusal leaves the lock where it is
            with pytest.raises(MachineError, match=REFUSAL), lock_folder(tmp_path / "a" / "run"):
                pass
    with lock_folder(tmp_path / "a" / "run"):
        pass
    assert sorted(os.listdir(tmp_path / "a" / "run")) == [LOCK, "result"]


def test_folders_are_locked_separately(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "one"), lock_folder(tmp_path / "two"):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_ends_with_its_process(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(MachineError, match=f"^{tmp_path}: {REFUSAL}$"), lock_folder(tmp_path):
            pass
        holder.send_signal(number)
    with lock_folder(tmp_path):
        pass


def test_a_folder_without_any_result_is_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), lock_folder(tmp_path / "run"):
        raise KeyError
    assert not (tmp_path / "run").exists()
    (tmp_path / "empty").mkdir()
    with lock_folder(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").is_dir()  # it was there before


def test_places_that_cannot_be_locked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match=r"file: is a file; choose another folder"), lock_folder(tmp_path / "file"):
        pass
    with pytest.raises(MachineError, match=r"cannot be written \(Not a directory\)"), lock_folder(tmp_path / "file/a"):
        pass
