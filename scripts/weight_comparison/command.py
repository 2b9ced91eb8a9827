"""Train with the code of another commit and with the present code, and compare the weights bit by bit.

    scripts/compare-weights HEAD                        all recipes
    scripts/compare-weights v0.1.0 --only luong risk    some recipes

Use it after changes that must not change training. Each recipe of scripts/weight_comparison/recipes.py trains for a few
updates on sentences from a grammar, on both sides at once, with one CPU thread each. The exit status is 1 if weights
differ.
"""

import argparse
import tempfile
from pathlib import Path

from experiments.training import exit_on_signals

from nmt.commands.arguments import whole_number
from nmt.commands.process import run
from weight_comparison.comparison import Result, compare, with_starts
from weight_comparison.recipes import RECIPES, Recipe
from weight_comparison.sides import Side, worktree

ROOT = Path(__file__).resolve().parents[2]


def compare_weights() -> int:
    options = parse()
    exit_on_signals()
    recipes = with_starts(RECIPES, options.only)
    with (
        tempfile.TemporaryDirectory() as name,
        worktree(ROOT, options.commit, Path(name) / "tree") as tree,
        Side(tree, Path(name) / "old") as old,
        Side(ROOT, Path(name) / "new") as new,
    ):
        results = [show(recipe, compare(old, new, recipe, options.updates)) for recipe in recipes]
    different, seconds = sum(bool(result.different) for result in results), sum(result.seconds for result in results)
    print(f"{different} of {len(results)} training runs differ from {options.commit}, after {seconds:.0f} s")
    return 1 if different else 0


def parse() -> argparse.Namespace:
    names = [recipe.name for recipe in RECIPES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", metavar="COMMIT", help="the commit to compare with")
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", choices=names, default=names, help=f"of {', '.join(names)}; default: all"
    )
    parser.add_argument(
        "--updates", metavar="N", type=whole_number(1), default=20, help="updates of each training run; default: 20"
    )
    return parser.parse_args()


def show(recipe: Recipe, result: Result) -> Result:
    """Print a line of the table, and return the result."""
    verdict = f"DIFFERENT: {', '.join(result.different[:3])}" if result.different else "equal"
    print(f"{recipe.name:18} {result.tensors:4} tensors {result.seconds:5.0f} s  {verdict}", flush=True)
    return result


def run_script() -> int:
    return run("compare-weights", compare_weights)
