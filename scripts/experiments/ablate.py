"""Train a configuration as it is and with each of several changes, and print a table of the gain of each change.

    scripts/ablate configs/multi30k-fast.yaml configs/experiments/ablations.yaml --seeds 1 2 --output runs/ablations \\
        data.train=DIR/train data.valid=DIR/val training.epochs=8 training.threads=1 > table.md

The second file names changes: `layer norm: [model.layer_norm=true]`. The unchanged configuration and each change are
trained with every seed. Finished training runs are kept, so the same command continues where it stopped, even if a
change was added. Figures are from the best validation of each training run. The table is written to standard output.
"""

import argparse
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from experiments.training import Training, exit_on_signals, make_parser, validations
from nmt.commands.arguments import whole_number
from nmt.commands.process import run
from nmt.config.load import dump_config, load_config, read_yaml
from nmt.errors import ConfigError
from nmt.metrics.metric import Loss
from nmt.metrics.standard import BLEU

BASE = "as it is"


@dataclass(frozen=True, kw_only=True)
class Result:
    """The results of a change, with a figure for each seed."""

    change: str
    overrides: tuple[str, ...]
    bleu: tuple[float, ...]
    loss: tuple[float, ...]
    minutes: tuple[float, ...]


def main() -> None:
    options = parse()
    exit_on_signals()
    changes: dict[str, list[str]] = {BASE: [], **read_changes(options.changes)}
    if options.only:
        changes = {name: changes[name] for name in (BASE, *check_names(options.only, changes))}
    for overrides in changes.values():
        load_config(options.config, [*options.overrides, *overrides])
    train_all(options, changes)
    print(format_table([measure_change(options, name, overrides) for name, overrides in changes.items()]))


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__, "changes", "a YAML file with a list of overrides for each change")
    parser.add_argument("--seeds", metavar="N", type=whole_number(0), nargs="+", default=[1], help="default: 1")
    parser.add_argument(
        "--processes",
        metavar="N",
        type=whole_number(1),
        default=1,
        help="the number of training runs at once; use training.threads=1; default: 1",
    )
    parser.add_argument("--only", metavar="NAME", nargs="+", help="only these changes")
    return parser.parse_intermixed_args()


def read_changes(path: Path) -> dict[str, list[str]]:
    """Read the overrides of each change. Raises ConfigError: the file does not have the right form."""
    changes = read_yaml(path)
    lists = isinstance(changes, dict) and all(isinstance(overrides, list) for overrides in changes.values())
    if not lists or not all(isinstance(one, str) for overrides in changes.values() for one in overrides):
        raise ConfigError(
            f"{path}: must hold names, each with a list of overrides: `layer norm: [model.layer_norm=true]`"
        )
    return {str(name): overrides for name, overrides in changes.items()}


def check_names(names: list[str], changes: dict[str, list[str]]) -> list[str]:
    unknown = [name for name in names if name not in changes]
    if unknown:
        raise ConfigError(f"--only {unknown[0]}: no such change; there are {', '.join(changes)}")
    return names


def train_all(options: argparse.Namespace, changes: dict[str, list[str]]) -> None:
    """Train every change with every seed, unless this is done already. Raises MachineError: a training run failed."""
    runs = [(name, overrides, seed) for name, overrides in changes.items() for seed in options.seeds]
    begun: list[Training] = []
    with ThreadPoolExecutor(options.processes) as pool:
        try:
            list(pool.map(lambda run: train(options, begun, *run), runs))  # after a failure, no other run begins
        except SystemExit:
            for training in begun:
                training.stop()
            raise


def train(options: argparse.Namespace, begun: list[Training], change: str, overrides: list[str], seed: int) -> None:
    output = find_folder(options, change, seed)
    given = [*options.overrides, *overrides, f"training.seed={seed}"]
    done, settings = output / "done", dump_config(load_config(options.config, given))
    if done.exists():
        if done.read_text(encoding="utf-8") != settings:
            raise ConfigError(f"{output}: was trained with other settings; remove it, or choose another --output")
        return
    print(f"{change}, seed {seed}", file=sys.stderr)
    with Training(options.config, given, output) as training:
        begun.append(training)
        figures = list(training.figures(BLEU.name))
    done.write_text(settings, encoding="utf-8")
    print(f"{change}, seed {seed}: {' '.join(f'{figure:.2f}' for figure in figures)}", file=sys.stderr)


def find_folder(options: argparse.Namespace, change: str, seed: int) -> Path:
    return Path(options.output / f"{change} {seed}".replace("/", "-"))


def measure_change(options: argparse.Namespace, change: str, overrides: list[str]) -> Result:
    runs = [validations(find_folder(options, change, seed)) for seed in options.seeds]
    return Result(
        change=change,
        overrides=tuple(overrides),
        bleu=tuple(BLEU.best(entry[BLEU.name] for entry in run) for run in runs),
        loss=tuple(Loss.best(entry[Loss.name] for entry in run) for run in runs),
        minutes=tuple(run[-1]["seconds"] / 60 for run in runs),
    )


def format_table(results: list[Result]) -> str:
    """Format the results as Markdown. The others are compared with the first result."""
    base = results[0]
    heads = ["change", "BLEU", "gain", "loss", "minutes", "overrides"]
    rows = []
    for result in results:
        gain = statistics.mean(result.bleu) - statistics.mean(base.bleu)
        rows.append(
            [
                result.change,
                ", ".join(f"{figure:.2f}" for figure in result.bleu),
                f"{gain:+.2f}" if result is not base else "",
                f"{statistics.mean(result.loss):.3f}",
                f"{statistics.mean(result.minutes):.0f}",
                " ".join(f"`{override}`" for override in result.overrides),
            ]
        )
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def run_script() -> int:
    return run("ablate", main)
