"""Shared by all tests: one CPU thread, so that results do not depend on the machine and parallel runs stay fast."""

import os

import pytest
import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the commands that tests start as processes


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
