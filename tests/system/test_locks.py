import logging
import os
import platform
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
REFUSAL = f"process [0-9]+ on {platform.node()} is using this folder; wait until it ends, or choose another folder"


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


def test_a_killed_holder_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    with lock_folder(tmp_path):
        assert (tmp_path / LOCK).read_text("utf-8") == f"{os.getpid()}\n{platform.node()}\n"
    assert (tmp_path / LOCK).read_text("utf-8") == ""
    where = f"process {holder.pid} on {platform.node()}"
    assert caplog.messages == [f"{tmp_path}: {where}, which used this folder before, has not ended regularly"]
    with lock_folder(tmp_path):  # the second time, there is nothing to tell
        pass
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("content", "warnings"),
    [(b"17\nelsewhere\n", 1), (b"", 0), (b"x\ny", 0), (b"17", 0), (b"1\n\x1b[31m\n", 0), (b"\xff" * 9999, 0)],
)
def test_what_the_lock_file_says_of_other_machines(
    content: bytes, warnings: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / LOCK).write_bytes(content)
    with lock_folder(tmp_path):
        pass
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warnings
    assert all("process 17 on elsewhere" in message for message in caplog.messages)


def test_a_fork_keeps_the_lock_and_the_folder(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from nmt.errors import MachineError
from nmt.system.files import temporary_folder
from nmt.system.locks import lock_folder

with lock_folder(Path({str(tmp_path / "run")!r})), temporary_folder(Path({str(tmp_path)!r})) as folder:
    fork = os.fork()
    if not fork:
        sys.exit(0)
    assert os.waitpid(fork, 0)[1] == 0
    assert folder.is_dir()
    fork = os.fork()
    if not fork:
        try:
            with lock_folder(Path({str(tmp_path / "run")!r})):
                pass
        except MachineError as error:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == 7
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(tmp_path) == []
