"""A training run from text to a model folder: tokenizers, data, network, trainer, and validation by translation.

OUTPUT/best               the best checkpoint so far: what nmt-translate reads
OUTPUT/checkpoints/       the best and the newest ones
OUTPUT/metrics.jsonl      loss, speed and validation figures, a JSON object a line
OUTPUT/train.log          what was said
OUTPUT/prepared/          the cleaned, tokenised corpora, until training and the shortlist are done
"""

import contextlib
import dataclasses
import logging
import math
import operator
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from nmt.checkpoint.folder import (
    SHORTLIST,
    Model,
    TrainingState,
    build_network,
    load_folder_config,
    load_model,
    load_tensors,
    load_training_state,
)
from nmt.checkpoint.folder import WEIGHTS as MODEL_WEIGHTS
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.config.schema import Config, CorpusConfig, DataConfig, TrainingConfig
from nmt.data.cleaning import is_readable
from nmt.data.corpora import first_epoch, update_source
from nmt.data.cursor import UpdateSize, World
from nmt.data.loader import Loader
from nmt.data.prepare import open_stores, prepare
from nmt.data.readers import corpus_files, describe, read_pairs, read_round_robin
from nmt.data.store import PairStore
from nmt.data.updates import UpdateOptions, UpdateSource
from nmt.errors import ConfigError, DataError, MachineError
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import build_metric
from nmt.model.seq2seq import Seq2Seq
from nmt.system.files import remove_leftovers, saving, verify_checksums
from nmt.system.machine import autocast_dtype, choose_device, default_threads, keep_memory
from nmt.system.signals import stop_signals
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import load_tokenizers, save_tokenizers, train_tokenizers
from nmt.training.add_shortlist import add_shortlist_to
from nmt.training.distributed import ALONE, Processes
from nmt.training.finetune import adopt_weights, adopted_tokenizers, check_start, freeze
from nmt.training.lexicon import Lexicon, enough
from nmt.training.log import NoLog, TrainingLog, event_writer, log_file
from nmt.training.memory import largest_batch
from nmt.training.objective import Likelihood, Objective, Risk
from nmt.training.trainer import Trainer, judged_anew, position_of
from nmt.training.validation import validation
from nmt.types import Batch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Restart:
    """The checkpoint that a training goes on from."""

    folder: Path
    config: Config  # of before
    state: TrainingState


def train(
    config: Config, output: str | Path, *, resume: bool = False, bar: bool = False, processes: Processes = ALONE
) -> None:
    """Train a model, or go on with a training that was stopped.

    Args:
        config: what to train; with `resume`, its data, tokenizer and model sections and its seed must be those of before.
        output: the folder to write to.
        resume: go on from the newest whole checkpoint in `output`, if there is one.
        bar: draw a progress bar on stderr instead of log lines.
        processes: those that train together, from nmt.training.distributed.joined; all must see the same `output`.

    Raises:
        UserError: see its subclasses in nmt/errors.py.
        Interrupted: a signal stopped the training, which is saved.
    """
    output = Path(output)
    checkpoints = CheckpointFolder(output)
    device = processes.device(choose_device(config.training.device))
    autocast_dtype(config.training.precision, device)  # raises MachineError before any work
    torch.set_num_threads(config.training.threads or default_threads(processes.local_size))
    keep_memory()
    restart = _restart(processes.once(lambda: _open(config, checkpoints, resume)))
    with log_file(output) if processes.first else contextlib.nullcontext():
        before = restart and judged_anew(position_of(restart.state), restart.config.validation, config.validation)
        if before and before.ended(config):
            advice = "raise the limit that ended it, training.epochs say, to go on"
            logger.info("nothing left to do: training ended after update %d; %s", before.update, advice)
            processes.once(lambda: checkpoints.choose_saved(before.best_update))
        else:
            _run(config, checkpoints, device, restart, bar, processes)
        processes.once(lambda: _complete(config, checkpoints))


def _run(
    config: Config,
    checkpoints: CheckpointFolder,
    device: torch.device,
    restart: Restart | None,
    bar: bool,
    processes: Processes,
) -> None:
    """All updates that are left. Raises Interrupted."""
    with stop_signals(alone=processes.world.size == 1, say=processes.first) as stop:
        trainer = _trainer(config, checkpoints, device, restart, processes)
        with _log(config, trainer, checkpoints.output, bar) if processes.first else NoLog() as log:
            trainer.run(log, stop)
    position = trainer.position
    logger.info(
        "done after update %d; best %s %.4g at update %d: %s",
        position.update,
        config.validation.metric,
        position.best,
        position.best_update,
        checkpoints.output / "best",
    )


def _complete(config: Config, checkpoints: CheckpointFolder) -> None:
    """What comes after the last update. Everything that matters is saved: an interruption here needs no care.

    A shortlist that is not worth keeping is learned and judged again whenever a training that has ended is resumed.
    """
    best, prepared = checkpoints.best(), checkpoints.output / "prepared"
    if config.training.shortlist and best and SHORTLIST not in verify_checksums(best):
        try:
            add_shortlist_to(best, config, prepared)
        except (DataError, MachineError) as error:  # the corpora of a training that ended long ago may be gone
            logger.warning("no shortlist: %s", error)
    shutil.rmtree(prepared, ignore_errors=True)


def _log(config: Config, trainer: Trainer, output: Path, bar: bool) -> TrainingLog:
    settings, begun = config.training, trainer.position.update
    return TrainingLog(output, update=begun, every=settings.log_every, bar=bar, tensorboard=settings.tensorboard)


def _open(config: Config, checkpoints: CheckpointFolder, resume: bool) -> Path | None:
    """Make the output folder ready. Returns the checkpoint to go on from."""
    _check(config, checkpoints, resume)
    newest = _newest(config, checkpoints) if resume else None
    if newest is None:
        _check_corpora(config)
        if config.training.start_from:
            check_start(config.model, config.training.start_from)
        elif config.tokenizer.source_model:
            train_tokenizers(config.tokenizer, ())  # which reads the named models, and needs no text
    with saving(checkpoints.output):
        checkpoints.folder.mkdir(parents=True, exist_ok=True)
    for folder in (checkpoints.output, checkpoints.folder):
        remove_leftovers(folder)
    return newest


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
    if config.training.tensorboard:
        event_writer()  # now, not after all was prepared


def _check_corpora(config: Config) -> None:
    """Raises DataError: corpora are missing or hold nothing, all told at once. Into datasets it does not look."""
    names = ("train", "valid", "held_out") if config.data.drop_overlap else ("train", "valid")
    corpora = [(name, corpus) for name in names for corpus in getattr(config.data, name)]
    faults = []
    for name, corpus in corpora:
        try:
            corpus_files(corpus, config.data)
            if corpus.dataset is None and next(read_pairs(corpus, config.data), None) is None:
                faults.append(f"data.{name}: {describe(corpus)}: holds no pair; check the file")
        except DataError as error:
            faults.append(f"data.{name}: {error}")
    if faults:
        raise DataError("\n".join(faults))


def _newest(config: Config, checkpoints: CheckpointFolder) -> Path | None:
    """The newest checkpoint that is whole. Raises ConfigError: what it has learned from, or its network, is another one."""
    folder, complaints = checkpoints.newest()
    for complaint in complaints:
        logger.warning("%s; taking the checkpoint before it", complaint)
    if folder is None:
        logger.info("%s: no checkpoint yet, starting from the beginning", checkpoints.output)
        return None
    before = load_folder_config(folder)
    sections = ("data", "tokenizer", "model")
    names = [f"{name}.{field.name}" for name in sections for field in dataclasses.fields(getattr(config, name))]
    faults = []
    for name in (*names, "training.seed"):  # the seed orders the pairs: with another one some would come twice
        old, new = (operator.attrgetter(name)(one) for one in (before, config))
        if old != new:
            faults.append(
                f"{name}: {_shown(old)} before, {_shown(new)} now; --resume needs the same, or choose another --output"
            )
    if faults:
        raise ConfigError("\n".join(faults))
    return folder


def _shown(value: object) -> str:
    """A value of a configuration, of corpora only what is set."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if not isinstance(value, CorpusConfig):
        return repr(value)
    given = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    kept = [f"{name}: {given[name]}" for name in given if given[name] != getattr(CorpusConfig(), name)]
    return f"{{{', '.join(kept)}}}"


def _restart(folder: Path | None) -> Restart | None:
    if folder is None:
        return None
    return Restart(folder=folder, config=load_folder_config(folder), state=load_training_state(folder))


def _trainer(
    config: Config,
    checkpoints: CheckpointFolder,
    device: torch.device,
    restart: Restart | None,
    processes: Processes,
) -> Trainer:
    prepared = checkpoints.output / "prepared"
    start = load_model(config.training.start_from) if config.training.start_from and not restart else None
    tokenizers = _tokenizers(config, prepared, restart, start, processes)
    stores = _stores(config, tokenizers, prepared, processes)
    size = _update_size(config.training, processes.world, restart)
    shares = _shares(config.training, processes.world, size)
    source = _source(config, tokenizers, stores, size, shares, processes.world)
    # To cut a batch out of a store takes a millisecond or two, to sample its segmentations a hundred times as long.
    if config.data.streams or config.tokenizer.sampling or device.type == "cuda":
        source = Loader(source)
    network = build_network(config, tokenizers).to(device)
    if start:
        adopt_weights(network, tokenizers, start)
    freeze(network, config.training.freeze)
    _introduce(config, tokenizers, network, device, processes.world)
    trainer = Trainer(
        network,
        source=source,
        tokenizers=tokenizers,
        config=config,
        validate=validation(config, tokenizers, device, processes),
        checkpoints=checkpoints,
        objective=_objective(config, tokenizers, stores),
        processes=processes,
    )
    trainer.probe(_largest(config.data, stores, size, shares * processes.world.size))
    if restart:
        trainer.restore(load_tensors(restart.folder / MODEL_WEIGHTS), restart.state, restart.config.validation)
        logger.info("going on after update %d", trainer.position.update)
    return trainer


def _stores(config: Config, tokenizers: Tokenizers, prepared: Path, processes: Processes) -> list[PairStore]:
    """The training pairs, prepared by the first process; none where they are streamed."""
    if config.data.streams:
        return []

    def write() -> None:
        prepare(config, tokenizers, prepared)

    processes.once(write)
    return open_stores(config.data, prepared)


def _source(
    config: Config, tokenizers: Tokenizers, stores: list[PairStore], size: UpdateSize, shares: int, world: World
) -> UpdateSource:
    """The training pairs, streamed or prepared."""
    options = UpdateOptions(
        size=size,
        sampling=config.tokenizer.sampling > 0,
        seed=config.training.seed,
        shares_per_process=shares,
        world=world,
    )
    return update_source(config.data, stores, tokenizers, options)


def _introduce(config: Config, tokenizers: Tokenizers, network: Seq2Seq, device: torch.device, world: World) -> None:
    """Say what is trained, and where."""
    threads = torch.get_num_threads()
    logger.info(
        "vocabulary %s, %s parameters, on %s%s with %d thread%s in %s",
        " and ".join(f"{size:,}" for size in dict.fromkeys((tokenizers.source.size, tokenizers.target.size))),
        f"{sum(parameter.numel() for parameter in network.parameters()):,}",
        f"{world.size} x " if world.size > 1 else "",
        device.type,
        threads,
        "s" if threads > 1 else "",
        "bf16" if autocast_dtype(config.training.precision, device) else "fp32",
    )


def _update_size(settings: TrainingConfig, world: World, restart: Restart | None) -> UpdateSize:
    """What is configured, times the processes; on going on with the same settings it stays, however many they are."""
    names = ("batch_tokens", "batch_sentences", "accumulate")
    if restart and all(getattr(restart.config.training, name) == getattr(settings, name) for name in names):
        return position_of(restart.state).size
    shares = settings.accumulate * world.size
    sentences = settings.batch_sentences and settings.batch_sentences * shares
    return UpdateSize(tokens=settings.batch_tokens * shares, sentences=sentences)


def _shares(settings: TrainingConfig, world: World, size: UpdateSize) -> int:
    """Batches that each process makes of an update: of as many pairs each, so that long ones may take twice their share."""
    shares = math.ceil(size.tokens / (settings.batch_tokens * world.size))
    if settings.batch_sentences and size.sentences:
        shares = max(shares, math.ceil(size.sentences / (settings.batch_sentences * world.size)))
    return shares


def _largest(data: DataConfig, stores: list[PairStore], size: UpdateSize, shares: int) -> Batch:
    """A batch that no share of an update exceeds (but for sampled segmentations)."""
    longest = [store.longest() for store in stores] or [(data.max_length, data.max_length)]  # nobody knows a stream
    source, target = map(max, zip(*longest, strict=True))
    most = min(size.tokens // (max(source, target) + 1), size.sentences or size.tokens)
    return largest_batch(math.ceil(max(1, most) / shares), source, target)


def _tokenizers(
    config: Config, prepared: Path, restart: Restart | None, start: Model | None, processes: Processes
) -> Tokenizers:
    if restart:
        return load_tokenizers(config.tokenizer, restart.folder, config.data.tags)

    def write() -> None:
        tokenizers = (adopted_tokenizers(config.tokenizer, start) if start else None) or _learned(config)
        with saving(prepared):
            prepared.mkdir(parents=True, exist_ok=True)
            save_tokenizers(tokenizers, prepared)

    processes.once(write)
    return load_tokenizers(config.tokenizer, prepared, config.data.tags)


def _learned(config: Config) -> Tokenizers:
    """Learned from the training text, or those that the configuration names."""
    if not config.tokenizer.source_model:
        logger.info("learning the vocabulary (%s)", config.tokenizer.kind)
    pairs = filter(is_readable, read_round_robin(config.data.train, config.data))
    return train_tokenizers(config.tokenizer, (pair.sides for pair in pairs))


def _objective(config: Config, tokenizers: Tokenizers, stores: list[PairStore]) -> Objective:
    settings = config.training
    lexicon = _lexicon(config, tokenizers, stores) if settings.guided_alignment else None
    likelihood = Likelihood.of(settings, lexicon)
    if settings.objective == "likelihood":
        return likelihood
    return Risk(
        tokenizer=tokenizers.target,
        cost=build_metric(settings.risk_cost, Scoring.for_training(config.data.target_languages[0])).cost,
        samples=settings.risk_samples,
        sharpness=settings.risk_sharpness,
        likelihood=likelihood,
        likelihood_share=settings.likelihood_share,
    )


def _lexicon(config: Config, tokenizers: Tokenizers, stores: list[PairStore]) -> Lexicon:
    logger.info("learning which pieces translate each other, to guide attention")
    return Lexicon.learn(list(enough(first_epoch(config, tokenizers, stores))), tokenizers.target.size)
