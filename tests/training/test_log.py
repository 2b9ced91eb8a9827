"""The records of a training run: what is logged, and what a resumed run keeps."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from nmt.errors import MachineError
from nmt.training.log import NoLog, TrainingLog, import_event_writer, log_file


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def show(log: TrainingLog, update: int, loss: float = 20.0) -> None:
    log.update(update=update, epoch=1, progress=update / 10, loss=loss, tokens=10, norm=1.5, rate=0.1)


def test_records_are_means_over_the_window(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    with TrainingLog(tmp_path, update=0, every=2, bar=False, tensorboard=False) as log:
        for update, loss in enumerate([20.0, 30.0, 40.0, 40.0], start=1):
            show(log, update, loss)
        log.validation(
            update=4, epoch=1, values={"loss": 2.0, "bleu": float("nan"), "bleu en-fr": 1.23}, best="BLEU nan"
        )
    kinds = [(record["kind"], record["update"], record["loss"]) for record in records(tmp_path)]
    assert kinds == [("train", 2, 2.5), ("train", 4, 4.0), ("valid", 4, 2.0)]
    assert records(tmp_path)[-1]["bleu"] is None  # NaN is not JSON
    assert "40%  epoch 1  update 4  loss 4.000" in caplog.text
    assert "loss 2  BLEU nan  BLEU en-fr 1.23  best so far (BLEU nan)" in caplog.text


def test_restarting_the_clock_keeps_the_sums(tmp_path: Path) -> None:
    with TrainingLog(tmp_path, update=0, every=4, bar=False, tensorboard=False) as log:
        for update, loss in enumerate([20.0, 30.0, 40.0, 50.0], start=1):
            show(log, update, loss)
            if update == 2:
                log.restart_clock()
                assert log.timed == 0
            if update == 3:
                log.validation(update=3, epoch=1, values={"loss": 2.0}, best="loss 2")
    assert [record["loss"] for record in records(tmp_path)] == [2.0, 3.5]


def test_seconds_continue(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"kind": "valid", "update": 3, "epoch": 1, "seconds": 100.0}\n')
    with TrainingLog(tmp_path, update=3, every=1, bar=False, tensorboard=False) as log:
        show(log, 4)
    assert 100 <= records(tmp_path)[-1]["seconds"] < 200


def test_a_resumed_training_drops_later_records(tmp_path: Path) -> None:
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


def test_a_full_disk_drops_messages(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.log").symlink_to("/dev/full")
    logging.getLogger("nmt").setLevel(logging.INFO)
    with log_file(tmp_path):
        logging.getLogger("nmt").info("dropped")
    logging.getLogger("nmt").setLevel(logging.NOTSET)
    assert capfd.readouterr().err == ""


def test_a_record_averages_only_its_own_updates(tmp_path: Path) -> None:
    with TrainingLog(tmp_path, update=0, every=2, bar=False, tensorboard=False) as log:
        for update, norm in enumerate([1.0, 3.0, 5.0, 7.0], start=1):
            log.update(
                update=update, epoch=1, progress=0.1, loss=30.0, tokens=10 * update, norm=norm, rate=0.1 * update
            )
    first, second = records(tmp_path)
    assert (first["gradient_norm"], second["gradient_norm"]) == (2.0, 6.0)
    assert (first["loss"], second["loss"]) == (60 / 30, 60 / 70)  # per token, however many an update has
    assert (first["learning_rate"], second["learning_rate"]) == (0.2, 0.4)  # of the last update


def test_the_speed_is_of_the_time_since_the_clock_was_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("nmt.training.log.time.perf_counter", lambda: now)
    with TrainingLog(tmp_path, update=0, every=2, bar=False, tensorboard=False) as log:
        now = 102.0
        show(log, 1)
        show(log, 2)  # 20 tokens in 2 seconds
        now = 110.0
        log.validation(update=2, epoch=1, values={"loss": 2.0}, best="loss 2")
        now = 115.0
        show(log, 3)
        show(log, 4)  # 20 tokens in 5 seconds, the validation excluded
    train = [record for record in records(tmp_path) if record["kind"] == "train"]
    assert [record["tokens_per_second"] for record in train] == [10, 4]
    assert [record["seconds"] for record in records(tmp_path)] == [2.0, 10.0, 15.0]


@pytest.mark.parametrize(
    ("seconds", "progress", "left"),
    [(10.0, 0.5, "0:10 left"), (600.0, 0.1, "1:30:00 left"), (90.0, 0.6, "1:00 left"), (5.0, 1.0, "0:00 left")],
)
def test_the_remaining_time_follows_from_the_share_that_is_done(
    seconds: float,
    progress: float,
    left: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    now = 0.0
    monkeypatch.setattr("nmt.training.log.time.perf_counter", lambda: now)
    with TrainingLog(tmp_path, update=0, every=1, bar=False, tensorboard=False) as log:
        log.first_progress = 0.0
        now = seconds
        log.update(update=1, epoch=1, progress=progress, loss=1.0, tokens=1, norm=1.0, rate=0.1)
    assert left in caplog.text


def test_a_resumed_training_estimates_by_its_own_progress(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    now = 0.0
    monkeypatch.setattr("nmt.training.log.time.perf_counter", lambda: now)
    with TrainingLog(tmp_path, update=4, every=1, bar=False, tensorboard=False) as log:
        now = 1.0
        show(log, 5)
        now = 10.0
        show(log, 6)  # a tenth in ten seconds, four tenths left
    assert "? left" in caplog.text
    assert "0:40 left" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("bleu", 12.345678, "BLEU 12.35"),
        ("bleu data/en fr", 1.2, "BLEU data/en fr 1.20"),
        ("chrf++", 55.5, "chrF2++ 55.50"),
        ("ter", 101.0, "TER 101.00"),
        ("loss", 2.345678, "loss 2.346"),
        ("perplexity", 10.44321, "perplexity 10.44"),
    ],
)
def test_figures_are_shown_as_their_metric_formats_them(
    name: str, value: float, shown: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    with TrainingLog(tmp_path, update=0, every=1, bar=False, tensorboard=False) as log:
        log.validation(update=1, epoch=2, values={name: value}, best=None)
    assert caplog.messages == [f"validation after update 1 (epoch 2): {shown}"]


def test_the_log_names_the_metric_that_decided(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    values = {"bleu": 3.5, "chrf": 18.9, "auto": 1.89}
    with TrainingLog(tmp_path, update=0, every=1, bar=False, tensorboard=False) as log:
        log.validation(update=1, epoch=2, values=values, best="chrF2 18.90")
    assert caplog.messages == ["validation after update 1 (epoch 2): BLEU 3.50  chrF2 18.90  best so far (chrF2 18.90)"]
    assert records(tmp_path)[-1]["auto"] == 1.89


def test_tensorboard_gets_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            calls.append(("open", folder, purge_step))

        def add_scalar(self, tag: str, value: float, step: int) -> None:
            calls.append((tag, value, step))

        def close(self) -> None:
            calls.append(("close",))

    monkeypatch.setattr("nmt.training.log.import_event_writer", lambda: Writer)
    with TrainingLog(tmp_path, update=3, every=1, bar=False, tensorboard=True) as log:
        show(log, 4)
        log.validation(update=4, epoch=1, values={"loss": 2.0, "bleu": 3.0}, best="BLEU 3.00")
    assert calls[0] == ("open", str(tmp_path / "tensorboard"), 4)
    assert {("train/loss", 2.0, 4), ("train/learning_rate", 0.1, 4), ("valid/bleu", 3.0, 4)} <= set(calls)
    assert calls[-1] == ("close",)


def test_a_missing_tensorboard_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MachineError, match=r"nmt\[tensorboard\]"):
        import_event_writer()


def test_the_log_of_other_processes_discards_everything() -> None:
    with NoLog() as log:
        log.update(update=1)
        log.validation(values={})
        log.restart_clock()
