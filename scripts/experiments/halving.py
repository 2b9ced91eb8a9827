"""Compare settings on several corpora by successive halving, and print a table of the results.

    scripts/sweep-recipes plan.yaml --output runs/recipes --log docs/lab/recipes.jsonl training.threads=1 > table.md

plan.yaml names the corpora, the settings and the rounds:

    corpora:
      chren: runs/chren/recipe.yaml                  # a configuration, such as nmt-train writes
      tanaka: {text: tanaka.tsv, from: en, to: ja}   # or a text, with the options of nmt-train
    settings:
      as chosen: []                                  # the baseline, which takes part in every round
      wide: [model.encoder_size=1024, model.decoder_size=1024]
    rounds:
      - {length: 0.25, corpora: [chren]}             # all settings, at a quarter of the length
      - {length: 1, keep: 0.33}                      # the best third of them, on all corpora
      - {length: 1, keep: 2, seeds: [1, 2, 3]}       # the best two

`keep` is a share of the settings of the round before, or a number of settings. Settings are ranked by the mean of BLEU
and chrF2 on the validation sets (beam 5) over the corpora and seeds of a round. A length is a share of the epochs.
Warmup, moving average and the time between validations follow the number of updates, unless a setting gives them.

Each training adds a line to the log. The same command skips the trainings in the log and continues the one that was
stopped. A training ends early if half of its validations have passed and its best chrF2 is less than 0.8 of what the
best training of this round on the same corpus had by then; trainings of the last round are not ended. Models of the
last round are kept.
"""

import argparse
import hashlib
import math
import shutil
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from experiments.records import Job, Record, append_record, describe_commit, format_table, read_log
from experiments.training import Training, exit_on_signals, validations
from nmt.commands.process import run
from nmt.config.load import dump_config, load_config, read_yaml
from nmt.config.schema import Config
from nmt.errors import ConfigError
from nmt.metrics.metric import Loss
from nmt.metrics.standard import BLEU, Auto, ChrF
from nmt.tokenizers.standard_rules import build_normalizers
from nmt.training.choose.recipe import RECIPE, choose_recipe
from nmt.training.choose.rules import VALIDATIONS, plan_length
from nmt.training.choose.text import find_text
from nmt.training.validation import read_validation_sets
from nmt.translation.translator import Translator

HOPELESS = 0.8  # the share of the best chrF2 below which a training ends early
KEYS = {"text", "source", "target", "from", "to", "valid", "test"}  # of a corpus that is a text


@dataclass(frozen=True, kw_only=True)
class Round:
    """A round of the comparison."""

    length: float
    keep: float
    """The number of settings to keep from the round before, or their share if it is not a whole number."""
    corpora: tuple[str, ...]
    seeds: tuple[int, ...]


def main() -> None:
    options = parse()
    exit_on_signals()
    corpora, settings, rounds = read_plan(options.plan)
    recipes = {name: find_recipe(name, corpus, options.output) for name, corpus in corpora.items()}
    for recipe in recipes.values():
        for overrides in settings.values():
            config = load_config(recipe, [*options.overrides, *overrides])
            if config.validation.metric not in (Auto.name, ChrF.name):
                raise ConfigError(f"{recipe}: validation.metric must be auto or chrf, so that chrF2 is measured")
    names, records = list(settings), list[Record]()
    for number, stage in enumerate(rounds):
        if number:
            names = choose_settings(names, records, stage.keep)
        print(f"round {number + 1}: {', '.join(names)}", file=sys.stderr)
        records = []
        for corpus in stage.corpora or corpora:
            for seed in stage.seeds:
                for name in names:
                    given = [*options.overrides, f"training.seed={seed}"]
                    given = plan_run(recipes[corpus], given, settings[name], stage.length)
                    config = load_config(recipes[corpus], given)
                    job = Job(corpus=corpus, setting=name, overrides=settings[name], length=stage.length, seed=seed)
                    rivals = [other for other in records if other.corpus == corpus]
                    last = number == len(rounds) - 1
                    records.append(train(options, recipes[corpus], config, given, job, rivals, last=last))
    print(format_table(read_log(options.log).values()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", metavar="PLAN", type=Path, help="a YAML file with corpora, settings and rounds")
    parser.add_argument("overrides", metavar="section.key=value", nargs="*", help="overrides of all training runs")
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="the folder of all training runs")
    parser.add_argument("--log", metavar="FILE", type=Path, help="a line of JSON per training; default: DIR/runs.jsonl")
    options = parser.parse_intermixed_args()
    options.log = options.log or options.output / "runs.jsonl"
    return options


def read_plan(path: Path) -> tuple[dict[str, Any], dict[str, list[str]], list[Round]]:
    """Read the corpora, the settings and the rounds. Raises ConfigError: the file does not have the right form."""
    plan = read_yaml(path)
    if not isinstance(plan, dict) or plan.keys() != {"corpora", "settings", "rounds"} or not all(plan.values()):
        raise ConfigError(f"{path}: must hold corpora, settings and rounds; scripts/sweep-recipes --help shows them")
    corpora, settings = plan["corpora"], plan["settings"]
    lists = isinstance(settings, dict) and all(isinstance(overrides, list) for overrides in settings.values())
    if not isinstance(corpora, dict) or not lists:
        raise ConfigError(f"{path}: corpora and settings must hold names; a setting is a list of overrides")
    rounds = []
    for number, stage in enumerate(plan["rounds"], start=1):
        where = f"{path}: round {number}"
        if not isinstance(stage, dict) or not {"length"} <= stage.keys() <= {"length", "keep", "corpora", "seeds"}:
            raise ConfigError(f"{where}: must be {{length: 0.25}}, with keep, corpora and seeds as needed")
        if unknown := set(stage.get("corpora", ())) - corpora.keys():
            raise ConfigError(f"{where}: {unknown.pop()} is not among the corpora, {', '.join(corpora)}")
        length, keep = (stage.get(name, 1.0) for name in ("length", "keep"))
        if not all(isinstance(value, int | float) and value > 0 for value in (length, keep)):
            raise ConfigError(f"{where}: length and keep must be numbers above 0")
        keep = keep if "keep" in stage else len(settings)
        names, seeds = tuple(stage.get("corpora", ())), tuple(stage.get("seeds", (1,)))
        rounds.append(Round(length=length, keep=keep, corpora=names, seeds=seeds))
    return corpora, {str(name): list(map(str, overrides)) for name, overrides in settings.items()}, rounds


def find_recipe(name: str, corpus: Any, output: Path) -> Path:
    """Return the path of the recipe of a corpus. The recipe of a text is chosen as nmt-train chooses it."""
    if isinstance(corpus, str):
        return Path(corpus)
    if not isinstance(corpus, Mapping) or not (corpus.keys() <= KEYS and corpus.keys() & {"text", "source"}):
        raise ConfigError(f"corpora: {name}: must be the path of a recipe, or have keys of {', '.join(sorted(KEYS))}")
    recipe = output / name / RECIPE
    if not recipe.exists():
        text = find_text(
            corpus.get("text") or (corpus["source"], corpus["target"]),
            source_language=corpus.get("from"),
            target_language=corpus.get("to"),
            valid=corpus.get("valid"),
            test=corpus.get("test"),
        )
        choose_recipe(text, output / name)
    return recipe


def plan_run(recipe: Path, common: Sequence[str], setting: Sequence[str], length: float) -> list[str]:
    """Return all overrides of a training with a setting, at a share of the length of the recipe."""
    base, changed = load_config(recipe, common), load_config(recipe, [*common, *setting])
    epochs = max(1, round(changed.training.epochs * length))
    ratio = epochs / base.training.epochs * base.training.batch_tokens / changed.training.batch_tokens
    planned = []
    if base.validation.every and ratio != 1:  # the recipe has a fixed number of validations
        content = plan_length(math.ceil(base.validation.every * VALIDATIONS * ratio), VALIDATIONS)
        planned = [f"{section}.{key}={value}" for section, keys in content.items() for key, value in keys.items()]
    limit = [f"training.max_updates={max(1, round(most * length))}"] if (most := changed.training.max_updates) else []
    return [*common, *planned, *setting, f"training.epochs={epochs}", *limit]


def train(
    options: argparse.Namespace,
    recipe: Path,
    config: Config,
    given: Sequence[str],
    job: Job,
    rivals: Sequence[Record],
    *,
    last: bool,
) -> Record:
    """Train with all overrides `given`, and log the scores. If the log has this training, only read its record."""
    key = hashlib.sha256(dump_config(config).encode()).hexdigest()[:16]
    if known := read_log(options.log).get(key):
        return replace(known, **asdict(job))
    name = f"{job.setting} {job.length:g} {job.seed}"
    output, stopped = options.output / job.corpus / name.replace("/", "-"), False
    print(f"{job.corpus}, {name}", file=sys.stderr)
    with Training(str(recipe), given, output) as training:
        curve = list[float]()
        for figure in training.figures(ChrF.name):
            curve.append(figure)
            if not last and is_hopeless(curve, rivals):
                stopped = True
                break
    entries = validations(output)
    best = max(entries, key=lambda entry: entry[config.validation.metric])
    bleu, chrf = score_validation(config, output)
    record = Record(
        **asdict(job),
        bleu=round(bleu, 2),
        chrf=round(chrf, 2),
        loss=round(best[Loss.name], 4),
        updates=int(entries[-1]["update"]),
        best_update=int(best["update"]),
        minutes=round(entries[-1]["seconds"] / 60, 1),
        stopped=stopped,
        curve=[round(entry[ChrF.name], 2) for entry in entries],
        commit=describe_commit(),
        key=key,
    )
    append_record(options.log, record)
    if not last:
        shutil.rmtree(output)
    return record


def is_hopeless(curve: Sequence[float], rivals: Iterable[Record]) -> bool:
    """Return whether a training is far worse than another one at the same share of its length."""
    done = len(curve)
    others = [max(rival.curve[:done]) for rival in rivals if not rival.stopped]
    return done >= VALIDATIONS // 2 and bool(others) and max(curve) < HOPELESS * max(others)


def score_validation(config: Config, model: Path) -> tuple[float, float]:
    """Return BLEU and chrF2 of the best checkpoint of a training on its validation set, with beam 5."""
    translator, scores = Translator.load(model), []
    for part in read_validation_sets(config, build_normalizers(config.tokenizer.normalization)):
        lines = translator.translate(part.sources, to=part.to, tag=part.tag, split=False)
        scores.append([part.score(metric, lines) for metric in (BLEU.name, ChrF.name)])
    bleu, chrf = map(statistics.mean, zip(*scores, strict=True))
    return bleu, chrf


def choose_settings(names: Sequence[str], records: Sequence[Record], keep: float) -> list[str]:
    """Return the best settings of a round, in their order in the plan. The first setting, the baseline, is always kept.

    Args:
        names: the settings of the round.
        records: the trainings of the round.
        keep: the number of settings to keep, or their share if it is below 1.
    """
    means = {name: statistics.mean(one.bleu + one.chrf for one in records if one.setting == name) for name in names}
    count = math.ceil(keep * len(names)) if keep < 1 else round(keep)
    best = sorted(names, key=means.__getitem__, reverse=True)[:count]
    return [name for number, name in enumerate(names) if number == 0 or name in best]


def run_script() -> int:
    return run("sweep-recipes", main)
