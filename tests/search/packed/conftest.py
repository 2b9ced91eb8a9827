"""The tests of int8 run on every machine with Numba."""

from collections.abc import Iterator

import int8
import pytest


@pytest.fixture(autouse=True)
def _exact_int8(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from int8.emulate_int8(monkeypatch)
