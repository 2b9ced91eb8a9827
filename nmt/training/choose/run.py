"""A training run on a text without a configuration: choose a recipe, train by it, and score the test set."""

import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nmt.config.load import load_config
from nmt.config.schema import Config
from nmt.data.readers import read_corpora
from nmt.errors import ConfigError
from nmt.evaluation.scores import evaluate
from nmt.metrics.standard import BLEU, ChrF
from nmt.system.machine import cores
from nmt.training.choose.recipe import RECIPE, choose_recipe
from nmt.training.choose.text import Text
from nmt.training.distributed import ALONE, Processes
from nmt.training.run import train
from nmt.training.time_limit import Clock, TimeLimit
from nmt.translation.translator import Translator

logger = logging.getLogger(__name__)


def train_on_text(
    text: Text,
    output: Path,
    *,
    overrides: Sequence[str] = (),
    minutes: float | None = None,
    resume: bool = False,
    bar: bool = False,
    processes: Processes = ALONE,
    check_text: bool = True,
    clock: Clock = time.monotonic,
) -> None:
    """Train a model on a text. All settings are chosen by the text, and written to OUTPUT/recipe.yaml.

    Args:
        text: the text.
        output: the output folder.
        overrides: settings of the user, as `section.key=value`.
        minutes: the time that the whole run may take, or None for as long as the text allows. Training ends early if it
            is slower than planned.
        resume: whether to continue a run in `output`, if there is one. Its recipe is kept.
        bar: whether to draw a progress bar on stderr instead of writing log lines there.
        processes: the processes that train together.
        check_text: whether to check the text quickly, and to warn about its faults.
        clock: measures the time that is left while the network is trained.

    Raises:
        UserError: as in `choose_recipe` and `train`.
        Interrupted: a signal stopped training. A checkpoint has been saved.
    """
    recipe, limit, began = output / RECIPE, None, clock()
    if resume and recipe.is_file():
        if minutes is not None:
            raise ConfigError(f"--minutes: the length of the training in {output} is chosen already; leave it out")
        logger.info("continuing with %s", recipe)
    else:
        size = processes.world.size
        choose = partial(choose_recipe, text, output, overrides=overrides, minutes=minutes, processes=size)
        speed = processes.once(partial(choose, check_text=check_text))
        if minutes is not None:
            end = began + 60 * minutes
            limit = TimeLimit(end=end, validation=speed.validation, ending=speed.ending, clock=clock)
    config = load_config(recipe, overrides)
    train(config, output, resume=resume, bar=bar, processes=processes, check_text=False, limit=limit)
    if config.data.held_out:
        processes.once(lambda: logger.info("%s", score_test_set(output, config)))
    processes.once(lambda: logger.info("to translate: nmt-translate %s < FILE", output))


def score_test_set(output: Path, config: Config) -> str:
    """Translate the held-out corpora with a model, and return a line with the scores and their signatures."""
    pairs = list(read_corpora(config.data.held_out, config.data))
    translator = Translator.load(output, threads=config.training.threads or cores())
    metrics = (BLEU.name, ChrF.name)
    references = [pair.target for pair in pairs]
    scores = evaluate(translator, references, source=[pair.source for pair in pairs], metrics=metrics).scores
    figures = ", ".join(f"{score.name} {score.score:.2f} ({score.signature})" for score in scores)
    return f"test set, {len(pairs):,} pairs: {figures}"
