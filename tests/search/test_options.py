"""Search options: length limits, rows of a step, and bounds."""

import subprocess
import sys
from typing import Any

import pytest

from nmt.config.fields import docs_of
from nmt.search.options import SampleOptions, SearchOptions


@pytest.mark.parametrize(
    ("settings", "source_length", "limit"),
    [
        ({}, 7, 24),
        ({"max_length_factor": 1.5, "max_length_extra": 1}, 3, 5),  # 4.5 is rounded down
        ({"max_length_factor": 0, "max_length_extra": 0, "min_length": 0}, 9, 1),
        ({"max_length_factor": 0, "max_length_extra": 2, "min_length": 4}, 9, 4),
    ],
)
def test_maximum_length_depends_on_the_source(settings: dict[str, Any], source_length: int, limit: int) -> None:
    assert SearchOptions(**settings).max_length(source_length) == limit


def test_rows_are_the_hypotheses_of_a_sentence() -> None:
    assert SearchOptions(beam=4, nbest=2).rows == 4
    assert SampleOptions(samples=3).rows == 3


def test_bounds_are_included() -> None:
    SearchOptions(beam=1, nbest=1, length_penalty=10, coverage_penalty=0, min_length=0, max_length_factor=1000)
    SearchOptions(beam=3, nbest=3, length_penalty=0, max_length_factor=0, max_length_extra=0)
    SampleOptions(samples=1, seed=0, temperature=0, top_k=1)


def test_every_option_is_documented() -> None:
    for kind in (SearchOptions, SampleOptions):
        assert docs_of(kind).keys() == kind.__dataclass_fields__.keys()


def test_options_do_not_import_torch() -> None:
    code = "import sys, nmt.search.options; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
