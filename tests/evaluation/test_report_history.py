"""The history of a training, read back."""

from pathlib import Path

import pytest

from nmt.errors import ModelError
from nmt.evaluation.report.history import History, read_history

LINES = """{"kind": "train", "update": 10, "epoch": 1, "seconds": 5.0, "loss": 4.5}
{"kind": "valid", "update": 10, "epoch": 1, "seconds": 6.5, "loss": 4.0, "bleu": null}
{"kind": "train", "update": 20, "epoch": 2, "seconds": 2.0, "loss": 3.5}
{"kind": "valid", "update": 20, "epoch": 2, "seconds": 4.0, "loss": 3.0, "bleu": 12.5}
{"kind": "tra"""


def test_series_and_seconds(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(LINES, encoding="utf-8")
    history = read_history(tmp_path)
    assert history is not None
    assert history.name == str(tmp_path)
    assert history.series("train", "loss") == ([10, 20], [4.5, 3.5])
    assert history.series("valid", "bleu") == ([20], [12.5])
    assert history.series("valid", "chrf") == ([], [])
    assert history.seconds == 6.5 + 4.0  # the second process reset the timer


def test_a_folder_without_a_history(tmp_path: Path) -> None:
    assert read_history(tmp_path) is None
    assert History(name="empty", records=[]).seconds == 0


def test_another_file_of_that_name_is_reported(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("{not ours}\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"metrics\.jsonl:1: cannot be read"):
        read_history(tmp_path)


def test_equal_seconds_do_not_restart_the_clock() -> None:
    """An update and the validation after it may be recorded within a tenth of a second."""
    assert History(name="run", records=[{"seconds": 2.0}, {"seconds": 2.0}, {"seconds": 3.0}]).seconds == 3.0


def test_an_incomplete_last_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"kind": "train", "update": 1, "seconds": 1.0}\n{"kind": "va', "utf-8")
    history = read_history(tmp_path)
    assert history is not None
    assert len(history.records) == 1


def test_figures_that_are_no_finite_numbers_are_left_out() -> None:
    records = [{"kind": "valid", "update": n, "bleu": value} for n, value in enumerate((1.5, None, float("inf"), 2))]
    assert History(name="run", records=[*records, {"kind": "valid", "update": 9}]).series("valid", "bleu") == (
        [0, 3],
        [1.5, 2],
    )
