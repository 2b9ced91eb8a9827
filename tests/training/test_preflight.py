"""The quick checks of text at the start of a training."""

import logging
from pathlib import Path

import pytest
from grammar_corpus.main import write

from nmt.config.load import parse_config
from nmt.config.schema import DataConfig
from nmt.training.preflight import warn_about_text


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    write(tmp_path, {"valid": 200, "train": 1500}, seed=1)
    return parse_config({"data": {"train": str(tmp_path / "train"), "valid": str(tmp_path / "valid")}}).data


def test_clean_text_causes_no_warning(data: DataConfig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "nmt"):
        warn_about_text(data)
    assert caplog.messages == []


def test_there_are_at_most_five_warnings(data: DataConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    english, german = ((tmp_path / f"train.{side}").read_text(encoding="utf-8").splitlines() for side in ("en", "de"))
    german[100:200] = english[100:200]
    german = [f"\ufffd{line} fÃ¼r f\u0075\u0308r" for line in german]
    english = [f"\ufffd{line} fÃ¼r f\u0075\u0308r" for line in english]
    del german[700]
    for side, lines in (("en", english), ("de", german)):
        (tmp_path / f"train.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with caplog.at_level(logging.INFO, "nmt"):
        warn_about_text(data)
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 5
    assert "has 1500 lines but" in "".join(warnings)
    assert "misaligned from about line" in "".join(warnings)
    assert "more faults, examples and what to do" in caplog.messages[-1]
