import json
import logging
from pathlib import Path

import pytest

from nmt.training.log import TrainingLog, log_file


def records(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def show(log: TrainingLog, update: int, loss: float = 20.0) -> None:
    log.update(update=update, epoch=1, progress=update / 10, loss=loss, tokens=10, norm=1.5, rate=0.1)


def test_records_are_means_over_the_window(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    with TrainingLog(tmp_path, update=0, every=2, bar=False, tensorboard=False) as log:
        for update, loss in enumerate([20.0, 30.0, 40.0, 40.0], start=1):
            show(log, update, loss)
        log.validation(update=4, epoch=1, values={"loss": 2.0, "bleu": float("nan"), "bleu en-fr": 1.23}, best=True)
    kinds = [(record["kind"], record["update"], record["loss"]) for record in records(tmp_path)]
    assert kinds == [("train", 2, 2.5), ("train", 4, 4.0), ("valid", 4, 2.0)]
    assert records(tmp_path)[-1]["bleu"] is None  # NaN is not JSON
    assert "40%  epoch 1  update 4  loss 4.000" in caplog.text
    assert "loss 2  BLEU nan  BLEU en-fr 1.23  best so far" in caplog.text


def test_a_pause_stops_the_clock_and_loses_no_loss(tmp_path: Path) -> None:
    with TrainingLog(tmp_path, update=0, every=4, bar=False, tensorboard=False) as log:
        for update, loss in enumerate([20.0, 30.0, 40.0, 50.0], start=1):
            show(log, update, loss)
            if update == 2:
                log.restart_clock()
                assert log.timed == 0
            if update == 3:
                log.validation(update=3, epoch=1, values={"loss": 2.0}, best=True)
    assert [record["loss"] for record in records(tmp_path)] == [2.0, 3.5]


def test_seconds_go_on(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"kind": "valid", "update": 3, "epoch": 1, "seconds": 100.0}\n')
    with TrainingLog(tmp_path, update=3, every=1, bar=False, tensorboard=False) as log:
        show(log, 4)
    assert 100 <= records(tmp_path)[-1]["seconds"] < 200


def test_going_on_drops_what_comes_again(tmp_path: Path) -> None:
    with TrainingLog(tmp_path, update=0, every=1, bar=False, tensorboard=False) as log:
        for update in range(1, 6):
            show(log, update)
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"kind": "tra')  # cut short by a kill
    with TrainingLog(tmp_path, update=3, every=1, bar=False, tensorboard=False) as log:
        show(log, 4)
    assert [record["update"] for record in records(tmp_path)] == [1, 2, 3, 4]


def test_a_progress_bar(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with TrainingLog(tmp_path, update=0, every=1, bar=True, tensorboard=False) as log:
        show(log, 5)
        log.say("hello")
    shown = capfd.readouterr().err
    assert "50%" in shown
    assert "tokens/s" in shown


def test_tensorboard_events(tmp_path: Path) -> None:
    with TrainingLog(tmp_path, update=0, every=1, bar=False, tensorboard=True) as log:
        show(log, 1)
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


def test_log_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    logger = logging.getLogger("nmt.anything")
    with log_file(tmp_path):
        logger.info("said")
    logger.info("not said")
    assert (tmp_path / "train.log").read_text().splitlines()[0].endswith(" said")
    assert "not said" not in (tmp_path / "train.log").read_text()
