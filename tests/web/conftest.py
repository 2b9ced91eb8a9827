"""The engine in JavaScript, as one process for all tests of a file."""

from collections.abc import Iterator

import pytest
from javascript import Engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    process = Engine()
    yield process
    process.close()
