"""A training run from text to a model folder: tokenizers, data, network, trainer, and validation by translation.

OUTPUT/best               the best checkpoint so far: what nmt-translate reads
OUTPUT/checkpoints/       the best and the newest ones
OUTPUT/metrics.jsonl      loss, speed and validation figures, a JSON object a line
OUTPUT/train.log          what was said
OUTPUT/prepared/          the cleaned, tokenised corpora, until training is done
"""

import dataclasses
import logging
import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from nmt.checkpoint import WEIGHTS as MODEL_WEIGHTS
from nmt.checkpoint import (
    CheckpointFolder,
    Model,
    TrainingState,
    build_network,
    load_folder_config,
    load_tensors,
    load_training_state,
)
from nmt.config import Config
from nmt.data.batching import Batches, text_batches
from nmt.data.loader import Loader
from nmt.data.prepare import prepare
from nmt.data.readers import read_corpora
from nmt.data.stream import Stream
from nmt.data.updates import UpdateSource
from nmt.errors import ConfigError, DataError, MachineError
from nmt.evaluate import bleu
from nmt.files import remove_leftovers, saving
from nmt.machine import autocast_dtype, choose_device, keep_memory
from nmt.model.loss import cross_entropy
from nmt.model.seq2seq import Seq2Seq, real_targets
from nmt.search.options import SearchOptions
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import load_tokenizers, save_tokenizers, train_tokenizers
from nmt.training.log import TrainingLog, log_file
from nmt.training.stop import stop_signals
from nmt.training.trainer import Trainer, Validate, position_of
from nmt.translate import Translator

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Restart:
    """The checkpoint that a training goes on from."""

    folder: Path
    state: TrainingState


def train(config: Config, output: str | Path, *, resume: bool = False, bar: bool = False) -> None:
    """Train a model, or go on with a training that was stopped.

    Args:
        config: what to train; with `resume`, its data, tokenizer and model sections must be those of before.
        output: the folder to write to.
        resume: go on from the newest whole checkpoint in `output`, if there is one.
        bar: draw a progress bar on stderr instead of log lines.

    Raises:
        UserError: see its subclasses in nmt/errors.py.
        Interrupted: a signal stopped the training, which is saved.
    """
    output = Path(output)
    checkpoints = CheckpointFolder(output)
    device = choose_device(config.training.device)
    _check(config, checkpoints, resume)
    torch.set_num_threads(config.training.threads or torch.get_num_threads())
    keep_memory()
    with saving(output):
        checkpoints.folder.mkdir(parents=True, exist_ok=True)
    for folder in (output, checkpoints.folder):
        remove_leftovers(folder)
    restart = _restart(config, checkpoints) if resume else None
    with stop_signals() as stop, log_file(output):
        if restart and (before := position_of(restart.state)).ended(config):
            advice = "raise the limit that ended it, training.epochs say, to go on"
            logger.info("nothing left to do: training ended after update %d; %s", before.update, advice)
            return
        trainer = _trainer(config, checkpoints, device, restart)
        settings = config.training
        begun = trainer.position.update
        with TrainingLog(
            output, update=begun, every=settings.log_every, bar=bar, tensorboard=settings.tensorboard
        ) as log:
            trainer.run(log, stop)
    shutil.rmtree(output / "prepared", ignore_errors=True)
    position = trainer.position
    logger.info(
        "done after update %d; best %s %.4g at update %d: %s",
        position.update,
        config.validation.metric,
        position.best,
        position.best_update,
        output / "best",
    )


def _check(config: Config, checkpoints: CheckpointFolder, resume: bool) -> None:
    for name in ("train", "valid"):
        if not getattr(config.data, name):
            raise ConfigError(f"data.{name}: names no corpus; set it in the configuration or as data.{name}=PREFIX")
    if checkpoints.output.exists() and not checkpoints.output.is_dir():
        raise MachineError(f"{checkpoints.output}: is a file; choose another --output folder")
    if checkpoints.all() and not resume:
        raise ConfigError(
            f"{checkpoints.output}: holds a training already; add --resume to go on, or choose another --output"
        )


def _restart(config: Config, checkpoints: CheckpointFolder) -> Restart | None:
    folder, complaints = checkpoints.newest()
    for complaint in complaints:
        logger.warning("%s; taking the checkpoint before it", complaint)
    if folder is None:
        logger.info("%s: no checkpoint yet, starting from the beginning", checkpoints.output)
        return None
    before = load_folder_config(folder)
    faults = []
    for section in ("data", "tokenizer", "model"):
        old, new = getattr(before, section), getattr(config, section)
        for field in dataclasses.fields(new):
            if getattr(old, field.name) != getattr(new, field.name):
                values = f"{getattr(old, field.name)!r} before, {getattr(new, field.name)!r} now"
                faults.append(f"{section}.{field.name}: {values}; --resume needs the same, or choose another --output")
    if faults:
        raise ConfigError("\n".join(faults))
    return Restart(folder=folder, state=load_training_state(folder))


def _trainer(config: Config, checkpoints: CheckpointFolder, device: torch.device, restart: Restart | None) -> Trainer:
    prepared = checkpoints.output / "prepared"
    tokenizers = _tokenizers(config, prepared, restart)
    source = _source(config, tokenizers, prepared)
    # To cut a batch out of a store takes a millisecond or two, to sample its segmentations a hundred times as long.
    if config.data.streams or config.tokenizer.sampling or device.type == "cuda":
        source = Loader(source)
    network = build_network(config, tokenizers).to(device)
    logger.info(
        "vocabulary %s, %s parameters, on %s with %d threads in %s",
        " and ".join(f"{size:,}" for size in dict.fromkeys((tokenizers.source.size, tokenizers.target.size))),
        f"{sum(parameter.numel() for parameter in network.parameters()):,}",
        device.type,
        torch.get_num_threads(),
        "bf16" if autocast_dtype(config.training.precision, device) else "fp32",
    )
    trainer = Trainer(
        network,
        source=source,
        tokenizers=tokenizers,
        config=config,
        validate=validation(config, tokenizers, device),
        checkpoints=checkpoints,
    )
    if restart:
        trainer.restore(load_tensors(restart.folder / MODEL_WEIGHTS), restart.state)
        logger.info("going on after update %d", trainer.position.update)
    return trainer


def _source(config: Config, tokenizers: Tokenizers, prepared: Path) -> UpdateSource:
    """The training pairs, streamed or prepared."""
    settings = config.training
    options: dict[str, Any] = {
        "tokenizers": tokenizers,
        "update_tokens": settings.batch_tokens * settings.accumulate,
        "update_sentences": settings.batch_sentences and settings.batch_sentences * settings.accumulate,
        "shares_per_process": settings.accumulate,
        "sampling": config.tokenizer.sampling > 0,
        "seed": settings.seed,
    }
    if config.data.streams:
        return Stream(config.data, **options)
    weights = [corpus.weight for corpus in config.data.train if corpus.weight is not None]
    return Batches(prepare(config, tokenizers, prepared), weights=weights or None, **options)


def _tokenizers(config: Config, prepared: Path, restart: Restart | None) -> Tokenizers:
    if restart:
        return load_tokenizers(config.tokenizer, restart.folder)
    logger.info("learning the vocabulary (%s)", config.tokenizer.kind)
    tokenizers = train_tokenizers(config.tokenizer, read_corpora(config.data.train, config.data))
    with saving(prepared):
        prepared.mkdir(parents=True, exist_ok=True)
        save_tokenizers(tokenizers, prepared)
    return tokenizers


def validation(config: Config, tokenizers: Tokenizers, device: torch.device) -> Validate:
    """A function that judges a network on the validation corpora: loss per piece, perplexity and BLEU.

    Raises:
        DataError: the validation corpora hold no pair.
    """
    pairs = list(islice(read_corpora(config.data.valid, config.data), config.validation.sentences))
    if not pairs:
        raise DataError("data.valid: the corpora hold no pair; name files with text in them")
    batches = list(text_batches(pairs, tokenizers, 4 * config.training.batch_tokens))
    dtype = autocast_dtype(config.training.precision, device)
    options = SearchOptions(beam=config.validation.beam)

    @torch.inference_mode()
    def loss(network: Seq2Seq) -> float:
        total = 0.0
        for batch in (batch.to(device) for batch in batches):
            with torch.autocast(device.type, dtype, enabled=dtype is not None):
                logits = network(batch)
            total += float(cross_entropy(logits, real_targets(batch)))
        return total / sum(batch.target_tokens for batch in batches)

    def score(network: Seq2Seq) -> float:
        model = Model(network=network, tokenizers=tokenizers, config=config, name="validation")
        hypotheses = Translator([model]).translate([source for source, _ in pairs], options)
        return bleu(hypotheses, [[target for _, target in pairs]], config.data.target_language)

    def judge(network: Seq2Seq) -> dict[str, float]:
        value = loss(network)
        return {"loss": value, "perplexity": float(torch.tensor(value).exp()), "bleu": score(network)}

    return judge
