"""scripts/ablate on a corpus that trains in a second."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import tiny
import warm
import yaml
from experiments.ablate import run_script

from nmt.config.load import dump_config, load_config

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"}


def ablate(folder: Path, changes: object, *arguments: str) -> warm.Ended:
    return warm.run_command(run_script, *prepare(folder, changes, *arguments))


def prepare(folder: Path, changes: object, *arguments: str) -> list[str]:
    """Write the files that the script reads. Returns its arguments."""
    (folder / "changes.yaml").write_text(json.dumps(changes))
    (folder / "tiny.yaml").write_text(dump_config(tiny.config(tiny.write_corpus(folder))))
    files = [folder / "tiny.yaml", folder / "changes.yaml", "--output", folder / "runs"]
    return [*map(str, files), "training.epochs=1", "training.shortlist=false", *arguments]


def rows(answer: warm.Ended) -> list[list[str]]:
    assert answer.status == 0, answer.stderr
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in answer.stdout.decode().splitlines()]


@pytest.mark.slow
def test_changes_are_compared_with_the_unchanged_configuration(tmp_path: Path) -> None:
    changes = {"faster": ["training.learning_rate=0.02"], "never trained": ["model.dropout=0.5"]}
    first = ablate(tmp_path, changes, "--only", "faster")
    head, _, base, faster = rows(first)
    assert head == ["change", "BLEU", "gain", "loss", "minutes", "overrides"]
    assert (base[0], base[2], base[5]) == ("as it is", "", "")
    assert (faster[0], faster[5]) == ("faster", "`training.learning_rate=0.02`")
    assert float(faster[3]) < float(base[3])
    assert float(faster[2]) == pytest.approx(float(faster[1]) - float(base[1]), abs=0.011)
    assert not (tmp_path / "runs" / "never trained 1").exists()
    again = ablate(tmp_path, changes, "--only", "faster")
    assert (again.stdout, again.stderr) == (first.stdout, b"")

    other = ablate(tmp_path, {"faster": ["training.learning_rate=0.03"]})
    assert other.status == 2
    assert b"faster 1: was trained with other settings; remove it" in other.stderr

    (tmp_path / "together").mkdir()
    together = rows(ablate(tmp_path / "together", changes, "--only", "faster", "--processes", "2"))
    figures = [[[*row[:4], row[5]] for row in table] for table in (together, rows(first))]  # all but the minutes
    assert figures[0] == figures[1]


@pytest.mark.slow
def test_a_training_that_fails(tmp_path: Path) -> None:
    changes = {"broken": ["data.max_length=1"]}
    answer = ablate(tmp_path, changes, "--processes", "2")
    assert answer.status == 2
    assert answer.stdout == b""
    assert b"ablate: error: a training run failed" in answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_runs_stop_with_the_script(tmp_path: Path, number: signal.Signals) -> None:
    long = [sys.executable, str(ROOT / "scripts" / "ablate")]
    long += prepare(tmp_path, {}, "training.epochs=100000", "training.log_every=1")
    log = tmp_path / "runs" / "as it is 1" / "log"
    attentive = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also where the tests run in the background
    with subprocess.Popen(long, stderr=subprocess.DEVNULL, env=ENVIRONMENT, preexec_fn=attentive) as process:
        with subprocess.Popen(["tail", "-F", str(log)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as following:
            assert following.stdout
            assert any(b"update 2 " in line for line in following.stdout)
            following.terminate()
        process.send_signal(number)
        assert process.wait() == 128 + number
    assert "--resume" in log.read_text(encoding="utf-8").splitlines()[-1]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"a": ["model.dropuot=0.5"]}, "model.dropuot"),
        ({"a": "model.dropout=0.5"}, "must hold names, each with a list"),
        ({"b": []}, "--only a: no such change; there are as it is, b"),
    ],
)
def test_errors_are_reported_before_training(tmp_path: Path, changes: object, fault: str) -> None:
    answer = ablate(tmp_path, changes, "--only", "a")
    assert answer.status == 2
    assert fault in answer.stderr.decode()
    assert not (tmp_path / "runs").exists()


def test_committed_changes_are_valid() -> None:
    changes = yaml.safe_load((ROOT / "configs" / "experiments" / "ablations.yaml").read_text(encoding="utf-8"))
    for overrides in changes.values():
        load_config(ROOT / "configs" / "multi30k-fast.yaml", overrides)
