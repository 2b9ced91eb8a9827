"""Train a configuration many times with values that Optuna chooses, and print a table of the results.

    scripts/sweep configs/multi30k-en-de.yaml configs/experiments/sweep.yaml --output sweeps/m30k --trials 40 \\
        data.train=DIR/train data.valid=DIR/val training.epochs=8 training.threads=1 > table.md

The second file gives for each key the values to choose from, or a range {from: 0.1, to: 0.5}, optionally with
step: 0.1 or log: true. The tree-structured Parzen estimator (Bergstra et al. 2011) chooses the values. A trial that is
worse than the median of the others at the same validation is stopped. OUTPUT/study.log contains all trials. The same
command continues with them, and several processes can share them if they are started one after the other. The table,
best first, is written to standard output. The script requires the extra `sweep`.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.study import MaxTrialsCallback
from tabulate import tabulate

from experiments.training import Training, exit_on_signals, make_parser
from nmt.commands import arguments, process
from nmt.config.load import load_config, read_yaml
from nmt.errors import ConfigError
from nmt.metrics.metric import Measure
from nmt.metrics.standard import MEASURES

ENDED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)


def main() -> None:
    options = parse()
    exit_on_signals()
    space = read_space(options.space)
    first = {key: list_values(choice)[0] for key, choice in space.items()}
    tried = [{**first, key: value} for key, choice in space.items() for value in list_values(choice)]
    configs = [load_config(options.config, [*options.overrides, *format_overrides(values)]) for values in tried]
    measure = MEASURES[configs[0].validation.metric]
    study = open_study(options.output, measure, options.seed)

    def objective(trial: optuna.Trial) -> float:
        values = {key: suggest(trial, key, choice) for key, choice in space.items()}
        changed = [*options.overrides, *format_overrides(values)]
        return run(Training(options.config, changed, options.output / f"trial-{trial.number}"), trial, measure)

    if count_ended_trials(study) < options.trials:
        study.optimize(objective, callbacks=[MaxTrialsCallback(options.trials, states=ENDED)])
    print(format_table(study, list(space), measure))


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__, "space", "a YAML file with the keys to vary and their values")
    parser.add_argument("--trials", type=arguments.whole_number(1), default=20, metavar="N", help="in all; default: 20")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the choices; default: 1")
    return parser.parse_intermixed_args()


def read_space(path: Path) -> dict[str, Any]:
    """Read the keys to vary and their values. Raises ConfigError: a choice is neither a list nor a valid range."""
    space = read_yaml(path)
    if not isinstance(space, dict) or not space:
        raise ConfigError(f"{path}: must hold keys such as training.learning_rate, each with a list or a range")
    for key, choice in space.items():
        if not (is_range(choice) or (isinstance(choice, list) and choice)):
            raise ConfigError(
                f"{path}: {key}: must be a list of values, or numbers {{from: A, to: B}} with step or log "
                "(1.0e-4, not 1e-4, which is text)"
            )
        if isinstance(choice, Mapping) and (fault := range_fault(choice)):
            raise ConfigError(f"{path}: {key}: {fault}")
    return space


def range_fault(choice: Mapping[str, Any]) -> str | None:
    if choice["from"] > choice["to"]:
        return f"from must not be above to, and {choice['from']} is above {choice['to']}"
    if choice.get("log") and (choice["from"] <= 0 or "step" in choice):
        return "log needs a range above 0, and no step"
    return None if choice.get("step", 1) > 0 else f"step must be above 0, not {choice['step']}"


def is_range(choice: Any) -> bool:
    if not isinstance(choice, Mapping) or not {"from", "to"} <= choice.keys() <= {"from", "to", "step", "log"}:
        return False
    numbers = [choice[name] for name in ("from", "to", "step") if name in choice]
    return all(isinstance(number, int | float) for number in numbers)


def list_values(choice: Any) -> list[Any]:
    """Return all values of a list, or the smallest and the largest value of a range."""
    return choice if isinstance(choice, list) else [choice["from"], choice["to"]]


def suggest(trial: optuna.Trial, key: str, choice: Any) -> Any:
    if isinstance(choice, list):
        return trial.suggest_categorical(key, choice)
    whole = all(isinstance(choice.get(name, 1), int) for name in ("from", "to", "step"))
    kind = trial.suggest_int if whole else trial.suggest_float
    extra = {name: choice[name] for name in ("step", "log") if name in choice}
    return kind(key, choice["from"], choice["to"], **extra)


def format_overrides(values: Mapping[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def open_study(output: Path, measure: type[Measure], seed: int) -> optuna.Study:
    """Open the study in a folder, or create it."""
    output.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="sweep",
        storage=JournalStorage(JournalFileBackend(str(output / "study.log"))),
        load_if_exists=True,
        direction="maximize" if measure.higher_is_better else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2),
    )
    # A continued sweep draws other values. Trials that are running elsewhere count as poor, so that their values are
    # not repeated.
    seed += len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    return study


def count_ended_trials(study: optuna.Study) -> int:
    """Count the trials that were completed or stopped early. Interrupted trials are not included."""
    return len(study.get_trials(deepcopy=False, states=ENDED))


def run(training: Training, trial: optuna.Trial, measure: type[Measure]) -> float:
    """Run a trial and return its best validation figure. A poor trial is stopped early."""
    began = time.monotonic()
    reported: list[float] = []
    try:
        with training:
            for figure in training.figures(measure.name):
                trial.report(figure, len(reported))
                reported.append(figure)
                if trial.should_prune():
                    raise optuna.TrialPruned
    finally:
        trial.set_user_attr("minutes", (time.monotonic() - began) / 60)
    return measure.best(reported)


def format_table(study: optuna.Study, keys: Sequence[str], measure: type[Measure]) -> str:
    """Format all trials as Markdown, best first."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.intermediate_values]
    scored = [(measure.best(trial.intermediate_values.values()), trial) for trial in trials]
    scored.sort(key=lambda pair: pair[0], reverse=measure.higher_is_better)
    head = ["trial", "best", "validations", "minutes", *(f"`{key}`" for key in keys)]
    rows = [
        [
            str(trial.number),
            measure.describe(figure),
            f"{len(trial.intermediate_values)}{', stopped' if trial.state is optuna.trial.TrialState.PRUNED else ''}",
            f"{trial.user_attrs.get('minutes', 0):.0f}",
            *(
                f"{trial.params[key]:.4g}" if isinstance(trial.params[key], float) else str(trial.params[key])
                for key in keys
            ),
        ]
        for figure, trial in scored
    ]
    return tabulate(rows, head, tablefmt="github", disable_numparse=True)


def run_script() -> int:
    return process.run("sweep", main)
