"""Shared by all tests: one CPU thread, so that results do not depend on the machine and parallel runs stay fast."""

import os

import pytest
import torch
from hypothesis import HealthCheck, settings

from nmt.native import library
from nmt.system.native_library import LIBRARY, OFF

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


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep packed models out of the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Translate with PyTorch, also where the native library is installed."""
    library.load()  # the result is cached, and other tests in this process need the library
    monkeypatch.setenv("NMT_NATIVE", OFF)  # in child processes
    monkeypatch.setattr("nmt.translation.load.load", lambda: None)


@pytest.fixture(params=["torch", "library"])
def each_way(request: pytest.FixtureRequest) -> None:
    """Run a test with PyTorch and with the native library."""
    if request.param == "torch":
        request.getfixturevalue("without_library")
    elif not LIBRARY.exists() or library.load() is None:
        pytest.skip("the native library is not installed")
