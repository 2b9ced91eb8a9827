"""scripts/compare-weights: what counts as a difference, and its recipes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warm
from numpy.typing import NDArray
from safetensors.numpy import save_file
from weight_comparison.command import run_script
from weight_comparison.comparison import find_differences, list_overrides, with_starts
from weight_comparison.recipes import RECIPES, Recipe

from nmt.config.load import load_config

ROOT = Path(__file__).parents[2]


def test_every_bit_counts(tmp_path: Path) -> None:
    zeros = np.zeros(3, np.float32)
    old: dict[str, NDArray[Any]] = {"same": zeros, "sign": zeros, "shape": zeros, "type": zeros, "gone": zeros}
    new = old | {"sign": -zeros, "shape": zeros[:2], "type": zeros.astype(np.float16), "added": zeros}
    del new["gone"]
    save_file(old, tmp_path / "old")
    save_file(new, tmp_path / "new")
    assert find_differences(tmp_path / "old", tmp_path / "old") == (5, ())
    assert find_differences(tmp_path / "old", tmp_path / "new") == (6, ("added", "gone", "shape", "sign", "type"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recipes_can_be_trained(recipe: Recipe) -> None:
    config = load_config(next((ROOT / "configs").rglob(recipe.config)), list_overrides(recipe, updates=20))
    assert config.training.max_updates == 20


def test_start_models_are_trained_first() -> None:
    assert [recipe.name for recipe in with_starts(RECIPES, ["luong", "risk"])] == ["luong", "small", "risk"]
    assert [recipe.name for recipe in with_starts(RECIPES, ["luong"])] == ["luong"]


def test_an_unknown_commit_is_one_line() -> None:
    answer = warm.run_command(run_script, "nowhere")
    assert answer.status == 2
    assert answer.stderr.startswith(b"compare-weights: error: nowhere: cannot be checked out (")
