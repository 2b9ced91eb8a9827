"""The choice of a recipe: from a text to a YAML file with all settings of its training."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.config.load import apply_override, parse_config
from nmt.config.schema import Config, TrainingConfig
from nmt.data.cleaning import CleaningReport
from nmt.data.readers import read_corpora
from nmt.errors import ConfigError
from nmt.system.devices import choose_device, default_threads
from nmt.system.files import write_whole
from nmt.system.locks import lock_folder
from nmt.system.machine import keep_memory
from nmt.tokenizers.standard_rules import build_normalizers
from nmt.training.choose.adapt import Start, adapt_settings, find_gap, find_old_sets, keep_network, mix_in
from nmt.training.choose.choice import Choice, Parts
from nmt.training.choose.describe import describe_choice
from nmt.training.choose.held_out import cut_text
from nmt.training.choose.measure import SideMeasures, TextMeasures, measure_text
from nmt.training.choose.rules import (
    FEWEST_UPDATES,
    RULES,
    VALIDATIONS,
    Content,
    Rule,
    choose_settings,
    find_rule,
    plan_length,
    shrink_rule,
)
from nmt.training.choose.speed import Length, Speed, fit_length, measure_speed
from nmt.training.choose.text import Text
from nmt.training.log import log_file
from nmt.training.preflight import check_new_training, warn_about_text
from nmt.training.run import check_links

logger = logging.getLogger(__name__)

RECIPE, DATA, MIXED = "recipe.yaml", "data", "mixed"
"""The names of the recipe, and of the folders with the parts of the text and with old text, in the output folder."""


def choose_recipe(
    text: Text,
    output: Path,
    *,
    overrides: Sequence[str] = (),
    minutes: float | None = None,
    processes: int = 1,
    check_text: bool = True,
) -> Speed:
    """Choose all settings of a training by its text, and write them as a recipe into the output folder.

    Args:
        text: the text.
        output: the output folder of the training.
        overrides: settings of the user, as `section.key=value`. The other settings are chosen to fit them.
        minutes: the time that the whole training may take, from the call of this function on.
        processes: the number of processes that will train together.
        check_text: whether to check the text quickly, and to warn about its faults.

    Returns:
        The measured speed of the training. The recipe is in `RECIPE` of the output folder.

    Raises:
        ConfigError: the overrides have faults, or the output folder contains a training run already.
        DataError: the text is missing, cannot be read, or is too short.
        MachineError: another process uses the output folder, or the folder cannot be written.
    """
    began, recipe = time.monotonic(), output / RECIPE
    config = describe_text(text, overrides)
    device = choose_device(config.training.device)
    check_new_training(config)
    check_links(output, (RECIPE, DATA, MIXED))
    with lock_folder(output):
        if recipe.exists() or CheckpointFolder(output).all():
            raise ConfigError(
                f"{output}: already contains a training run; add --resume to continue it, or choose another --output"
            )
        with log_file(output):
            torch.set_num_threads(config.training.threads or default_threads(1))
            keep_memory()
            if check_text:
                logger.info("checking the text")
                warn_about_text(config.data, "text and languages")
            parts = _cut_parts(config, text, output)
            config = describe_text(text, overrides, parts.data)
            measures = measure_text(config.data, build_normalizers(config.tokenizer.normalization))
            logger.info("learning a vocabulary, and timing a few updates")
            left = None if minutes is None else 60 * minutes + began - time.monotonic()
            measure = partial(measure_speed, output=output, device=device, pairs=measures.pairs, processes=processes)
            choice = fit_settings(parts, measures, overrides, measure, left)
            lines = describe_choice(choice, recipe)
            content = _apply_overrides(overrides, {"data": choice.parts.data, **choice.settings})
            body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
            write_whole(recipe, "".join(f"# {line}\n" for line in lines) + f"\n{body}")
            for line in lines:
                logger.info("%s", line)
    return choice.speed


def _apply_overrides(overrides: Sequence[str], settings: Content) -> Content:
    """Return settings with overrides. Faults are ignored here, because `parse_config` reports them."""
    content = {name: dict(keys) for name, keys in settings.items()}
    for override in overrides:
        apply_override(override, content, [])
    return content


def describe_text(text: Text, overrides: Sequence[str], data: dict[str, Any] | None = None) -> Config:
    """Return a configuration for a text whose settings are not chosen yet, so that faults are found before any work.

    Args:
        text: the text.
        overrides: settings of the user.
        data: the section `data`. By default, training is on the whole text.

    Raises:
        ConfigError: the overrides have faults, or name another text.
    """
    given = _apply_overrides(overrides, {})
    if "train" in given.get("data", {}):
        raise ConfigError("data.train: the text is given already; name the text once, or use a configuration")
    unknown = TextMeasures(report=CleaningReport(), source=SideMeasures(), target=SideMeasures())
    settings = _choose(unknown, RULES[0], given, text.start)
    return parse_config({**settings, "data": data or text.data}, overrides, "the chosen settings")


def _choose(measures: TextMeasures, rule: Rule, given: Content, start: Start | None) -> Content:
    """Choose all settings that do not depend on the number of updates, for a new model or to continue from `start`."""
    if start is None:
        return choose_settings(measures, rule, given)
    settings = choose_settings(measures, rule, keep_network(given, start))
    adapt_settings(settings, start)
    return settings


def _cut_parts(config: Config, text: Text, output: Path) -> Parts:
    """Cut the sets off that are not given. `config` is for a training on the whole text."""
    data, read, sizes = text.data, None, dict[str, int]()
    missing = [] if config.data.valid else ["valid"]
    missing += [] if config.data.held_out else ["test"]
    if missing:
        cut = cut_text(config.data, output / DATA, missing)
        keys = {"train": "train", "valid": "valid", "test": "held_out"}
        data |= {keys[name]: str(output / DATA / name) for name in ("train", *missing)}
        read, sizes = cut.report, cut.sizes
    start = text.start
    if start:
        new = describe_text(text, (), data).data
        start = replace(start, gap=find_gap(start, new))
        if text.mix:
            pairs = sum(1 for _ in read_corpora(new.train, new))
            train = data["train"] if isinstance(data["train"], list) else [data["train"]]
            data["train"] = [*train, mix_in(text.mix, new, output / MIXED, pairs)]
        data["held_out"] = [*([data["held_out"]] if "held_out" in data else []), *find_old_sets(start, new)]
    return Parts(data=data, read=read, sizes=sizes, start=start)


def fit_settings(
    parts: Parts,
    measures: TextMeasures,
    overrides: Sequence[str],
    measure: Callable[[Config], Speed],
    seconds: float | None,
) -> Choice:
    """Choose the settings of a training by its text and by the measured speed.

    Args:
        parts: the parts of the text.
        measures: the measures of the training text.
        overrides: settings of the user.
        measure: a function that measures the speed of a training.
        seconds: the time that the training may take, or None.
    """
    began, given, rule = time.monotonic(), _apply_overrides(overrides, {}), find_rule(measures.pairs)
    for small in (False,) if parts.start else (False, True):
        settings = _choose(measures, shrink_rule(rule) if small else rule, given, parts.start)
        config = parse_config({**settings, "data": parts.data}, overrides, "the chosen settings")
        speed = measure(config)
        full = count_updates(config.training, speed.epoch)
        length = Length(updates=full, validations=VALIDATIONS)
        if seconds is None:
            break
        length = fit_length(speed, full, seconds + began - time.monotonic())
        if length.updates >= min(FEWEST_UPDATES, full):
            break
    for section, keys in plan_length(length.updates, length.validations).items():
        settings[section] |= keys
    if length.updates < full:
        settings["training"]["max_updates"] = length.updates
    return Choice(
        parts=parts,
        measures=measures,
        settings=settings,
        config=parse_config({**settings, "data": parts.data}, overrides, "the chosen settings"),
        small=small,
        speed=speed,
        length=length,
        full=full,
    )


def count_updates(settings: TrainingConfig, epoch: int) -> int:
    """Return the number of updates of a training. `epoch` is the number of updates in an epoch."""
    return min(settings.epochs * epoch, settings.max_updates or settings.epochs * epoch)
