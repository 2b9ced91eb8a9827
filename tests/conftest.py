"""Shared by all tests: one CPU thread, so that results do not depend on the machine and parallel runs stay fast."""

import os

import pytest
import torch
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the commands that tests start as processes


def pytest_configure(config: pytest.Config) -> None:
    """No test fails because a machine is slow. Without the slow tests, fewer examples are tried too."""
    every = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("all", every, max_examples=100)
    settings.register_profile("quick", every, max_examples=25)
    settings.load_profile("quick" if config.option.markexpr == "not slow" else "all")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
