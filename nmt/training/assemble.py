"""The functions that build a trainer from a configuration: its tokenizers, data, network, objective and validation."""

import logging
import math

import torch

from nmt.checkpoint.folder import build_network, load_model
from nmt.checkpoint.run_folder import PREPARED, CheckpointFolder
from nmt.config.schema import Config, DataConfig, TrainingConfig
from nmt.data.augmentation import Augmenter
from nmt.data.batch import Batch
from nmt.data.cleaning import read_vocabulary_text
from nmt.data.corpora import build_update_source
from nmt.data.cursor import UpdateSize, World
from nmt.data.lemmas import Lemmatizer
from nmt.data.loader import Loader
from nmt.data.prepare import prepare
from nmt.data.store import PairStore
from nmt.data.updates import UpdateOptions
from nmt.data.word_lexicon import learn_word_lexicon
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import build_metric
from nmt.model.seq2seq import Seq2Seq
from nmt.system.devices import autocast_dtype
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.files import load_tokenizers
from nmt.training.distributed import Processes
from nmt.training.finetune import adopt_weights, freeze
from nmt.training.memory import largest_batch
from nmt.training.objective import Likelihood, Objective, Risk
from nmt.training.resume import Checkpoint
from nmt.training.trainer import Trainer
from nmt.training.validation import Validator
from nmt.training.vocabulary import load_prepared, prepare_tokenizers

logger = logging.getLogger(__name__)


def build_trainer(
    config: Config,
    checkpoints: CheckpointFolder,
    device: torch.device,
    processes: Processes,
    checkpoint: Checkpoint | None = None,
) -> Trainer:
    """Build a trainer that is ready to run. It begins with the first update, or continues from a checkpoint.

    Raises:
        UserError: the data, a vocabulary or the model to start from cannot be used, or there is too little memory.
    """
    settings, world = config.training, processes.world
    start = load_model(settings.start_from) if settings.start_from and not checkpoint else None
    # The first process writes the tokenizers and the encoded corpora. A checkpoint has its own tokenizers.
    prepared = checkpoints.output / PREPARED
    if not checkpoint:
        processes.once(lambda: prepare_tokenizers(config, start, prepared))
        tokenizers = load_prepared(config, prepared)
    else:
        tokenizers = load_tokenizers(config.tokenizer, checkpoint.folder, config.data.tags)
    stores: list[PairStore] = []
    if not config.data.streams:
        stores = processes.once(lambda: prepare(config, tokenizers, prepared))
    size = choose_update_size(settings, world, checkpoint)
    shares = count_shares(settings, world, size)
    options = UpdateOptions(
        augmenter=processes.once(lambda: build_augmenter(config)),
        size=size,
        sampling=config.tokenizer.sampling > 0,
        seed=settings.seed,
        shares_per_process=shares,
        world=world,
    )
    source = build_update_source(config.data, stores, tokenizers, options)
    # A batch of prepared corpora is read in one or two milliseconds. Sampling segmentations takes 100 times as long.
    if config.data.streams or config.tokenizer.sampling or device.type == "cuda":
        source = Loader(source)
    network = build_network(config, tokenizers).to(device)
    if start:
        adopt_weights(network, tokenizers, start)
    freeze(network, settings.freeze)
    _log_sizes(network, tokenizers, settings.precision, device, world)
    trainer = Trainer(
        network,
        source=source,
        tokenizers=tokenizers,
        config=config,
        validate=Validator(config, tokenizers, device, processes),
        checkpoints=checkpoints,
        objective=_build_objective(config, tokenizers),
        processes=processes,
    )
    trainer.probe(make_largest_batch(config.data, stores, size, shares * world.size))
    if checkpoint:
        trainer.restore(checkpoint)
        logger.info("continuing after update %d", trainer.position.update)
    return trainer


def build_augmenter(config: Config) -> Augmenter | None:
    """Build what adds placeholders and terms to training pairs, or return None if the configuration asks for neither.

    Raises:
        DataError: a corpus cannot be read.
        MachineError: terms need simplemma, and it is not installed.
    """
    data = config.data
    if not (data.placeholder_share or data.term_share):
        return None
    find_lemma = Lemmatizer(data.target_languages).find if data.term_share else str
    logger.info("learning which words are translations of each other")
    pairs = (pair.sides for pair in read_vocabulary_text(data, config.tokenizer))
    return Augmenter(
        lexicon=learn_word_lexicon(pairs),
        placeholder_share=data.placeholder_share,
        term_share=data.term_share,
        find_lemma=find_lemma,
    )


def _log_sizes(network: Seq2Seq, tokenizers: Tokenizers, precision: str, device: torch.device, world: World) -> None:
    threads = torch.get_num_threads()
    logger.info(
        "vocabulary %s, %s parameters, on %s%s with %d thread%s in %s",
        " and ".join(f"{size:,}" for size in dict.fromkeys((tokenizers.source.size, tokenizers.target.size))),
        f"{sum(parameter.numel() for parameter in network.parameters()):,}",
        f"{world.size} x " if world.size > 1 else "",
        device.type,
        threads,
        "s" if threads > 1 else "",
        "bf16" if autocast_dtype(precision, device) else "fp32",
    )


def choose_update_size(settings: TrainingConfig, world: World, checkpoint: Checkpoint | None) -> UpdateSize:
    """Return the size of an update. It is the configured size of each process times the number of processes.

    If training is resumed and the configured size has not changed, return the size in the checkpoint. The updates then
    keep their size, even if the number of processes has changed.
    """
    names = ("batch_tokens", "batch_sentences", "accumulate")
    if checkpoint and all(getattr(checkpoint.config.training, name) == getattr(settings, name) for name in names):
        return checkpoint.position.size
    shares = settings.accumulate * world.size
    sentences = settings.batch_sentences and settings.batch_sentences * shares
    return UpdateSize(tokens=settings.batch_tokens * shares, sentences=sentences)


def count_shares(settings: TrainingConfig, world: World, size: UpdateSize) -> int:
    """Return the number of batches that each process computes in an update.

    All batches of an update have the same number of pairs. A batch of long pairs can therefore have twice its share of
    tokens.
    """
    shares = math.ceil(size.tokens / (settings.batch_tokens * world.size))
    if settings.batch_sentences and size.sentences:
        shares = max(shares, math.ceil(size.sentences / (settings.batch_sentences * world.size)))
    return shares


def make_largest_batch(data: DataConfig, stores: list[PairStore], size: UpdateSize, shares: int) -> Batch:
    """Return a batch that is at least as large as any batch in training. Sampled segmentations can be larger."""
    longest = [store.longest() for store in stores] or [(data.max_length, data.max_length)]  # for streams, the limit
    source, target = map(max, zip(*longest, strict=True))
    pairs = min(size.tokens // (max(source, target) + 1), size.sentences or size.tokens)
    return largest_batch(math.ceil(max(1, pairs) / shares), source, target)


def _build_objective(config: Config, tokenizers: Tokenizers) -> Objective:
    settings = config.training
    likelihood = Likelihood.of(settings)
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
