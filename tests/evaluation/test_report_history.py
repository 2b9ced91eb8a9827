"""The course of a training, read back."""

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
    assert history.seconds == 6.5 + 4.0  # the second process began to count anew


def test_a_folder_without_a_history(tmp_path: Path) -> None:
    assert read_history(tmp_path) is None
    assert History(name="empty", records=[]).seconds == 0


def test_another_file_of_that_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("{not ours}\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"metrics\.jsonl: cannot be read"):
        read_history(tmp_path)
