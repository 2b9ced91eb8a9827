"""A few cases of scripts/fuzz, the same ones each time: damaged model folders and configurations."""

import pytest
from fuzzing.main import run_part


def test_damaged_configurations() -> None:
    faults = [verdict for verdict in run_part("configurations", range(40), 7) if verdict.fault]
    assert faults == []


@pytest.mark.slow
def test_damaged_folders() -> None:
    faults = [verdict for verdict in run_part("folders", range(40), 7) if verdict.fault]
    assert faults == []
