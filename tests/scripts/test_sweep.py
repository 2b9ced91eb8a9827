"""scripts/sweep on a corpus that trains in a second."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import warm
from experiments.sweep import run_script

from nmt.config.load import dump_config

SCRIPT = Path(__file__).parents[2] / "scripts" / "sweep"


def sweep(folder: Path, space: object, *arguments: str) -> warm.Ended:
    (folder / "space.yaml").write_text(json.dumps(space))
    (folder / "tiny.yaml").write_text(dump_config(tiny.config(tiny.write_corpus(folder))))
    files = [str(folder / "tiny.yaml"), str(folder / "space.yaml"), "--output", str(folder / "sweep")]
    return warm.run_command(run_script, *files, "training.epochs=2", "training.shortlist=false", *arguments)


def rows(answer: warm.Ended) -> list[list[str]]:
    assert answer.status == 0, answer.stderr
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in answer.stdout.decode().splitlines()]


@pytest.mark.slow
def test_sweep_sorts_trials_and_continues(tmp_path: Path) -> None:
    space = {"training.learning_rate": {"from": 0.0001, "to": 0.01, "log": True}, "model.dropout": [0.1, 0.2]}
    head, _, *trials = rows(sweep(tmp_path, space, "--trials", "2"))
    assert head == ["trial", "best", "validations", "minutes", "`training.learning_rate`", "`model.dropout`"]
    losses = [float(row[1].removeprefix("loss ")) for row in trials]
    assert losses == sorted(losses)
    assert {row[0] for row in trials} == {"0", "1"}
    assert {row[2] for row in trials} == {"2"}
    assert all(0.0001 <= float(row[4]) <= 0.01 and float(row[5]) in (0.1, 0.2) for row in trials)
    assert len({row[1] for row in trials}) == 2
    again = rows(sweep(tmp_path, space, "--trials", "3"))[2:]
    assert len(again) == 3
    assert [row for row in again if row[0] != "2"] == trials
    assert len({(row[4], row[5]) for row in again}) == 3


@pytest.mark.slow
def test_ranges_of_integers(tmp_path: Path) -> None:
    space = {"model.dropout": {"from": 0, "to": 0.5}, "training.warmup": {"from": 1, "to": 9, "step": 4}}
    _, _, *trials = rows(sweep(tmp_path, space, "--trials", "3", "training.epochs=1"))
    assert len({row[4] for row in trials}) == 3
    assert {row[5] for row in trials} <= {"1", "5", "9"}


@pytest.mark.parametrize(
    ("space", "fault"),
    [
        ({"training.learning_rat": [0.1]}, "training.learning_rat"),
        ({"training.learning_rate": 0.1}, "must be a list of values, or numbers {from: A, to: B}"),
        ({"training.learning_rate": {"from": "1e-4", "to": "1e-2"}}, "or numbers {from: A, to: B}"),
        ([], "must hold keys"),
        ({"training.batch_tokens": [300, -5]}, "training.batch_tokens: must be from 1 to 10,000,000, not -5"),
        ({"training.batch_tokens": {"from": 600, "to": 300}}, "from must not be above to, and 600 is above 300"),
        ({"training.batch_tokens": {"from": 300, "to": 600, "step": 0}}, "step must be above 0, not 0"),
        ({"training.learning_rate": {"from": 0, "to": 0.01, "log": True}}, "log needs a range above 0"),
    ],
)
def test_errors_are_reported_before_training(tmp_path: Path, space: object, fault: str) -> None:
    answer = sweep(tmp_path, space)
    assert answer.status == 2
    assert b"sweep: error: " in answer.stderr
    assert fault in answer.stderr.decode()
    assert not (tmp_path / "sweep").exists()


def test_missing_optuna(tmp_path: Path) -> None:
    (tmp_path / "optuna.py").write_text("raise ModuleNotFoundError(name='optuna')")
    environment = {"PYTHONPATH": ":".join([str(tmp_path), *sys.path])}
    answer = subprocess.run([sys.executable, str(SCRIPT)], check=False, capture_output=True, text=True, env=environment)
    assert (answer.returncode, answer.stderr) == (
        2,
        'sweep: error: the package optuna is missing; pip install -e ".[sweep]"\n',
    )
