"""Models that nmt 0.1.0 trained translate as they did then. tests/models/0.1.0/README.md says how they were made.

Their samples are no longer compared: random numbers come from another generator since 0.3.0.
"""

import json
import shutil
from itertools import compress
from pathlib import Path
from typing import Any

import pytest

from nmt.search.options import SearchOptions
from nmt.system.native_library import LIBRARY
from nmt.translation.native_search import NativeSearch
from nmt.translation.translator import Translator

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
SOURCE = (MODELS / "source.txt").read_text(encoding="utf-8").splitlines()
WAYS = {
    "greedy": SearchOptions(beam=1),
    "beam": SearchOptions(beam=5),
    "nbest": SearchOptions(beam=5, nbest=3),
}
UNKNOWN = ("bideep", "copy", "gnmt", "layer_norm_lstm")  # networks that the library does not know


def list_cases(*unknown: str, precisions: tuple[str, ...] = ("fp32", "int8")) -> list[Any]:
    """The models and what they translate to in these precisions, without the models in `unknown`."""
    return [
        pytest.param(
            path.with_suffix(""),
            case,
            id=" ".join([path.stem, case["precision"], *case["where"].values()]),
        )
        for path in sorted(MODELS.glob("*.json"))
        for case in json.loads(path.read_text(encoding="utf-8"))
        if path.stem not in unknown and case["precision"] in precisions
    ]


@pytest.mark.usefixtures("without_library")
@pytest.mark.parametrize(("folder", "case"), list_cases(precisions=("fp32",)))
def test_translations_are_those_of_0_1_0(folder: Path, case: dict[str, Any]) -> None:
    translator = Translator.load(folder, device="cpu", precision=case["precision"])
    for way in WAYS.keys() & case["texts"].keys():
        expected, found = case["texts"][way], translator.nbest(SOURCE, WAYS[way], **case["where"])
        robust = [line is not None for line in expected]  # a rounding error can decide the others
        if way == "nbest":
            # 0.1.0 listed a text as often as the search had found it, and only one text for a line in parts.
            columns = (compress(column, robust) for column in (found, expected, case["scores"]))
            for line, before, scores in zip(*columns, strict=True):
                distinct = list(dict.fromkeys(before))
                assert [translation.text for translation in line if translation.text in distinct] == distinct
                assert line[0].score == pytest.approx(scores[0], abs=1e-3)
        else:
            texts = [[translation.text for translation in line] for line in found]
            assert list(compress(texts, robust)) == list(compress(expected, robust)), way


@pytest.mark.skipif(not LIBRARY.exists(), reason="the native library is not installed")
@pytest.mark.parametrize(("folder", "case"), list_cases(*UNKNOWN))
def test_the_library_translates_like_0_1_0(folder: Path, case: dict[str, Any], tmp_path: Path) -> None:
    """In int8, the library rounds in other places, which decides some lines differently."""
    shutil.copytree(folder, tmp_path / "model")
    translator = Translator.load(tmp_path / "model", device="cpu", precision=case["precision"])
    assert isinstance(translator._search, NativeSearch)
    for way in case["texts"].keys() & {"greedy", "beam"}:
        found, expected = translator.translate(SOURCE, WAYS[way], **case["where"]), case["texts"][way]
        pairs = [([own], line) for own, line in zip(found, expected, strict=True) if line is not None]
        equal = sum(own == line for own, line in pairs)
        assert equal >= (len(pairs) if case["precision"] == "fp32" else 0.8 * len(pairs)), way
