"""A training run on a text without a configuration: choose a recipe, train by it, and score the test set."""

import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nmt.config.load import load_config
from nmt.config.schema import Config
from nmt.data.pair import Pair
from nmt.data.readers import describe_corpus, read_corpora
from nmt.errors import ConfigError
from nmt.evaluation.scores import Score, evaluate
from nmt.metrics.standard import BLEU, ChrF
from nmt.system.machine import cores
from nmt.training.choose.length_penalty import choose_length_penalty
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
    processes.once(lambda: choose_length_penalty(output, config))
    if config.data.held_out:
        for line in processes.once(lambda: score_test_sets(output, config)):
            if processes.first:
                logger.info("%s", line)
    processes.once(lambda: logger.info("to translate: nmt-translate %s < FILE", output))


def score_test_sets(output: Path, config: Config) -> list[str]:
    """Translate each held-out corpus with a model. Return a line for each, with the scores and their signatures.

    If training continued from a model of the same languages, the line also has the scores of that model.
    """
    threads, start, lines = config.training.threads or cores(), config.training.start_from, []
    translators = [Translator.load(output, threads=threads)]
    if start:
        before = Translator.load(start, threads=threads)
        known = before.data.source_languages, before.data.target_languages
        if config.data.source_language in known[0] and config.data.target_language in known[1]:
            translators.insert(0, before)
    for corpus in config.data.held_out:
        pairs = list(read_corpora([corpus], config.data))
        name = "test set" if len(config.data.held_out) == 1 else f"test set {describe_corpus(corpus)}"
        scores = [_score(translator, pairs, config.data.target_language) for translator in translators]
        figures = ", ".join(
            f"{after.name} {''.join(f'{one.score:.2f} -> ' for one in earlier)}{after.score:.2f} ({after.signature})"
            for *earlier, after in zip(*scores, strict=True)
        )
        lines.append(f"{name}, {len(pairs):,} pairs: {figures}")
    return lines


def _score(translator: Translator, pairs: Sequence[Pair], language: str) -> Sequence[Score]:
    translations = translator.translate([pair.source for pair in pairs], to=language)
    return evaluate(
        translations,
        [pair.target for pair in pairs],
        metrics=(BLEU.name, ChrF.name),
        target_language=language,
    ).scores
