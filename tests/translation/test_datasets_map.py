"""A translator in map of Hugging Face datasets, whose processes receive it as a pickle."""

import shutil
from pathlib import Path

import pytest
from datasets import Dataset

from nmt.translation.translator import Translator

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "parallel"
TEXT = (MODEL.parent / "source.txt").read_text(encoding="utf-8").splitlines()[:6]


@pytest.mark.slow
# datasets forks its processes.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("processes", [None, 2])
def test_map_translates_a_dataset(processes: int | None, tmp_path: Path) -> None:
    translator = Translator.load(shutil.copytree(MODEL, tmp_path / "model"))
    dataset = Dataset.from_dict({"en": TEXT, "line": list(range(len(TEXT)))})

    def translate(batch: dict[str, list[str]]) -> dict[str, list[str]]:
        return {"de": translator.translate(batch["en"])}

    translated = dataset.map(translate, batched=True, num_proc=processes)
    assert translated["de"][:] == translator.translate(TEXT)
    assert translated["line"][:] == list(range(len(TEXT)))
