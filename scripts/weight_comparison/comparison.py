"""Run a training with both versions, and find the weights that differ."""

import time
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import load_file

from weight_comparison.recipes import SETTINGS, START, Recipe
from weight_comparison.sides import Side


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a recipe."""

    tensors: int
    different: tuple[str, ...]
    """Names of tensors, or the errors that ended a training run."""
    seconds: float


def compare(old: Side, new: Side, recipe: Recipe, updates: int) -> Result:
    """Train with both versions at once, and compare the weights after the last update."""
    began = time.perf_counter()
    for side in (old, new):
        side.begin(recipe.config, list_overrides(recipe, updates), recipe.name)
    faults = {name: side.fault() for name, side in (("old", old), ("new", new))}
    tensors, different = 0, tuple(f"{name}: {fault}" for name, fault in faults.items() if fault)
    if not different:
        tensors, different = find_differences(old.weights(recipe.name), new.weights(recipe.name))
    return Result(tensors=tensors, different=different, seconds=time.perf_counter() - began)


def list_overrides(recipe: Recipe, updates: int) -> list[str]:
    """Return the overrides of all training runs and of the recipe. The overrides of the recipe take precedence."""
    given = (*SETTINGS, f"training.max_updates={updates}", *recipe.overrides)
    return list({override.partition("=")[0]: override for override in given}.values())


def find_differences(old: Path, new: Path) -> tuple[int, tuple[str, ...]]:
    """Return the number of tensors in two files, and the names of the tensors that are not equal in both."""
    one, other = ({name: (a.dtype, a.shape, a.tobytes()) for name, a in load_file(path).items()} for path in (old, new))
    names = sorted(one.keys() | other.keys())
    return len(names), tuple(name for name in names if one.get(name) != other.get(name))


def with_starts(recipes: tuple[Recipe, ...], names: list[str]) -> list[Recipe]:
    """Return the recipes with these names, and the recipes whose models they start from."""
    chosen = [recipe for recipe in recipes if recipe.name in names]
    starts = {START.rpartition("/")[2]} if any(START in recipe.overrides for recipe in chosen) else set()
    return [recipe for recipe in recipes if recipe.name in {*names, *starts}]
