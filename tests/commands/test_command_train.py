"""nmt-train as a command: its arguments, its exit status, its one-line messages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from nmt.checkpoint.folder import load_model
from nmt.commands.train import main
from nmt.config.load import dump_config


@pytest.fixture
def path(tmp_path: Path) -> Path:
    text = dump_config(tiny.config(tiny.write_corpus(tmp_path)))
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "config.yaml"


def test_overrides_and_options_in_any_order(path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "run")
    assert main([str(path), "training.max_updates=2", "--output", output, "training.log_every=1"]) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "done after update 2" in captured.err
    assert main([str(path), "--resume", "training.max_updates=2", "--output", output]) == 0
    assert "nothing left to do" in capfd.readouterr().err


@pytest.mark.slow
def test_one_of_two_that_start_at_once_trains(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nmt.commands.train", str(path), "--output", str(tmp_path / "run")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=200)[1] for process in both]
    refused = [error for process, error in zip(both, errors, strict=True) if process.returncode == 2]
    assert sorted(process.returncode for process in both) == [0, 2], errors
    # The other one may start only after the first has ended. Then it finds a finished training.
    assert re.search(r"process [0-9]+ on .* is using this folder|already contains a training run", refused[0])
    assert load_model(tmp_path / "run")


def test_all_faults_at_once(path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([str(path), "model.dropuot=0.2", "training.epochs=many", "--output", str(tmp_path / "run")]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("nmt-train: error: ") for line in lines)
    assert "did you mean model.dropout?" in lines[0]
    assert "whole number" in lines[1]
    assert not (tmp_path / "run").exists()


def test_a_missing_configuration(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yaml"), "--output", str(tmp_path / "run")]) == 2
    assert "none.yaml: cannot be read (No such file or directory)" in capfd.readouterr().err


def test_output_is_required(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(path)])
    fault = "nmt-train: error: the following arguments are required: --output; see nmt-train --help\n"
    assert (ended.value.code, capsys.readouterr().err) == (2, fault)
