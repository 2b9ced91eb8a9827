"""A training run. It turns parallel text into a model folder.

OUTPUT/best               a link to the best checkpoint so far, which nmt-translate reads
OUTPUT/checkpoints/       the best and the newest checkpoints
OUTPUT/metrics.jsonl      loss, speed and validation scores, one JSON object per line
OUTPUT/train.log          the log messages
OUTPUT/prepared/          the vocabulary and the tokenized corpora, which are removed at the end
OUTPUT/.lock              a file that is locked while a process writes to OUTPUT
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import torch

from nmt.checkpoint.manifest import KNOWN_WORDS, LANGUAGES, SHORTLIST, verify_folder
from nmt.checkpoint.packed import load_packed
from nmt.checkpoint.run_folder import BEST, CHECKPOINTS, LOG_FILE, METRICS_FILE, PREPARED, CheckpointFolder
from nmt.config.schema import Config
from nmt.errors import ConfigError, DataError, MachineError
from nmt.metrics.standard import MEASURES
from nmt.native import library as native_library
from nmt.system.devices import choose_device, default_threads
from nmt.system.files import remove_leftovers, saving
from nmt.system.locks import LOCK, lock_folder
from nmt.system.machine import keep_memory
from nmt.system.signals import stop_signals
from nmt.training.assemble import build_trainer
from nmt.training.calibration import add_calibration
from nmt.training.distributed import ALONE, Processes
from nmt.training.known_words import add_known_words
from nmt.training.languages import add_languages
from nmt.training.log import Log, NoLog, TrainingLog, log_file
from nmt.training.preflight import check_new_training, check_settings, measure_several_sentences, warn_about_text
from nmt.training.resume import Checkpoint, Position, find_checkpoint
from nmt.training.shortlist import add_shortlist_to
from nmt.training.time_limit import TimeLimit

logger = logging.getLogger(__name__)


def train(
    config: Config,
    output: str | Path,
    *,
    resume: bool = False,
    bar: bool = False,
    processes: Processes = ALONE,
    check_text: bool = True,
    limit: TimeLimit | None = None,
) -> None:
    """Train a model, or resume a training run that was stopped.

    Args:
        config: the configuration. A resumed run must keep its data, tokenizer, model and seed.
        output: the output folder. Only one training run at a time can use this folder.
        resume: whether to continue from the newest undamaged checkpoint in `output`, if there is one.
        bar: whether to draw a progress bar on stderr instead of writing log lines there.
        processes: the processes that train together, as `join_processes` returns them. All of them must have access to
            `output`.
        check_text: whether to check the text quickly, and to warn about its faults.
        limit: the time by which the training must have ended. By default, the time is not limited.

    Raises:
        UserError: the configuration, the data or the machine has a fault that the user can correct. nmt/errors.py
            defines a subclass for each kind of fault.
        Interrupted: a signal stopped training. A checkpoint has been saved.
        KeyboardInterrupt: a signal arrived before the first update. Nothing is lost.
        TypeError: `config` is not a `Config`.
    """
    if not os.fspath(output):
        raise ConfigError("the output folder has no name; name a folder")
    if not isinstance(config, Config):
        raise TypeError(f"config is a {type(config).__name__}, not a Config; read it with nmt.load_config")
    checkpoints = CheckpointFolder(Path(output))
    settings, first = config.training, processes.first
    with contextlib.ExitStack() as stack:
        # Check everything before the work begins. Only the first process writes files, so only this process locks them.
        device = processes.choose_device(choose_device(settings.device))
        check_settings(config, device)
        if first:
            check_links(checkpoints.output)
            stack.enter_context(lock_folder(checkpoints.output))
        folder = processes.once(lambda: _open_output(config, checkpoints, resume))
        checkpoint = Checkpoint.load(folder) if folder else None
        if first:
            stack.enter_context(log_file(checkpoints.output))
        if checkpoint:
            config = checkpoint.keep_settings(config)
        elif config.data.several_sentences is None:
            several = processes.once(lambda: measure_several_sentences(config.data))
            config = replace(config, data=replace(config.data, several_sentences=several))
        torch.set_num_threads(settings.threads or default_threads(processes.local_size))
        keep_memory()

        # Train, unless the checkpoint is the last one of a finished training run.
        position = checkpoint.position_under(config) if checkpoint else Position()
        if position.has_ended(config):
            advice = "to continue, raise the limit that ended it, such as training.epochs"
            logger.info("nothing left to do: training ended after update %d; %s", position.update, advice)
            processes.once(lambda: checkpoints.choose_saved(position.best_update))
        else:
            if check_text and not checkpoint:
                processes.once(lambda: warn_about_text(config.data))
            trainer = build_trainer(config, checkpoints, device, processes, checkpoint)
            with stop_signals(alone=processes.world.size == 1, say=first) as stop:
                log: Log = NoLog()
                if first:
                    every, tensorboard = settings.log_every, settings.tensorboard
                    update = trainer.position.update
                    log = TrainingLog(checkpoints.output, update=update, every=every, bar=bar, tensorboard=tensorboard)
                with log:
                    trainer.run(log, stop, limit)
            position = trainer.position
            if first and not position.has_ended(config):
                logger.warning("the time is over: training was slower than planned; --resume continues it")
            assert position.best is not None  # training ends with a validation
            score = MEASURES[config.validation.metric].describe(position.best)
            best = f"best {score} at update {position.best_update}"
            logger.info("done after update %d; %s: %s", position.update, best, checkpoints.output / BEST)

        # Complete the best checkpoint. The model is saved already, so a signal can stop this at any time.
        processes.once(lambda: _finish(config, checkpoints))


def check_links(output: Path, also: Collection[str] = ()) -> None:
    """Check that no file in the output folder is a link. Through a link, training could change files elsewhere.

    Args:
        output: the output folder.
        also: the names of further files that will be written.

    Raises:
        ConfigError: a file is a link.
    """
    for name in (CHECKPOINTS, METRICS_FILE, LOG_FILE, LOCK, PREPARED, "tensorboard", *also):
        if (output / name).is_symlink():
            raise ConfigError(f"{output / name}: a link; remove it, or choose another --output")
    if os.path.lexists(output / BEST) and not (output / BEST).is_symlink():
        raise ConfigError(f"{output / BEST}: must be a link to a checkpoint; remove it, or choose another --output")


def _open_output(config: Config, checkpoints: CheckpointFolder, resume: bool) -> Path | None:
    """Prepare the output folder. Return the checkpoint from which to continue. For a new run, return None."""
    if checkpoints.all() and not resume:
        raise ConfigError(
            f"{checkpoints.output}: already contains a training run; "
            "add --resume to continue it, or choose another --output"
        )
    folder = find_checkpoint(config, checkpoints) if resume else None
    if folder is None:
        check_new_training(config)
    with saving(checkpoints.output):
        checkpoints.folder.mkdir(parents=True, exist_ok=True)
    for directory in (checkpoints.output, checkpoints.folder):
        remove_leftovers(directory)
    return folder


def _finish(config: Config, checkpoints: CheckpointFolder) -> None:
    """Add the files of a finished model to the best checkpoint, such as the shortlist. Remove the prepared data.

    If a shortlist is rejected, this is not recorded. If the finished run is resumed, the shortlist is therefore learned
    and evaluated again.
    """
    best, prepared = checkpoints.best(), checkpoints.output / PREPARED
    if best:
        files = verify_folder(best)
        try:  # the corpora may have been removed since training
            if config.training.shortlist and SHORTLIST not in files:
                add_shortlist_to(best, config, prepared)
        except (DataError, MachineError) as error:
            logger.warning("no shortlist: %s", error)
        try:
            if LANGUAGES not in files:
                add_languages(best, config.data)
        except (DataError, MachineError) as error:
            logger.warning("no identification of languages: %s", error)
        try:
            if KNOWN_WORDS not in files and not config.data.streams:
                add_known_words(best, config)
        except (DataError, MachineError) as error:
            logger.warning("no known words: %s", error)
        try:
            add_calibration(best, config)
        except (DataError, MachineError) as error:
            logger.warning("no calibration: %s", error)
        if native_library.load():
            load_packed(best, "int8")  # packs the model, so that its first translation starts as fast as any other
    shutil.rmtree(prepared, ignore_errors=True)
