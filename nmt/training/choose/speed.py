"""The time and the memory of a training, measured with a few of its updates, and the length that fits into a time."""

import contextlib
import itertools
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from nmt.checkpoint.folder import Model
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.config.schema import Config
from nmt.data.cursor import Cursor
from nmt.model.seq2seq import real_targets
from nmt.search.options import SearchOptions
from nmt.system.devices import autocast_dtype
from nmt.system.files import temporary_folder
from nmt.system.memory import peak_memory
from nmt.training.assemble import build_trainer
from nmt.training.choose.rules import VALIDATIONS
from nmt.training.distributed import ALONE
from nmt.training.log import NoLog, mute_progress
from nmt.training.objective import cross_entropy_loss
from nmt.training.trainer import Trainer
from nmt.training.validation import Validator
from nmt.translation.translator import Translator

_UPDATES = 20  # the number of updates that are timed, after one that is not timed
_SECONDS = 10.0  # timing ends after this time, but not before the third update
_SENTENCES, _TOKENS = 96, 10  # the number of validation sentences that are timed, and of tokens of their translations
_SAFETY = 0.9  # the share of the time that is planned
_VALIDATION_SHARE = 0.15  # the share of the time that validations may take
_FEWEST_VALIDATIONS = 3
# After the last update, the validation pairs are translated twice to judge the shortlist. The search of the test set
# has a larger beam, but the native library is faster.
_TRANSLATIONS_AT_THE_END = 4
_SECONDS_AT_THE_END, _SECONDS_PER_PAIR = 3.0, 0.0004  # for the shortlist and the identification of languages


@dataclass(frozen=True, kw_only=True)
class Speed:
    """The measured time and memory of a training. Times are in seconds."""

    update: float
    """The mean time of an update."""
    epoch: int
    """The number of updates in an epoch."""
    validation: float
    """The time of a validation, with the time to save a checkpoint."""
    ending: float
    """The time from the last update to the score on the test set."""
    memory: int | None
    """The largest amount of memory in bytes, or None if it is not known."""
    parameters: int

    def seconds(self, updates: int, validations: int) -> float:
        """Return the time of a training with this many updates and validations."""
        return updates * self.update + validations * self.validation + self.ending


def measure_speed(config: Config, output: Path, device: torch.device, *, pairs: int, processes: int = 1) -> Speed:
    """Measure the speed of a training with a few updates. Nothing but the prepared corpora remains in `output`.

    Args:
        config: the configuration of the training.
        output: the output folder of the training.
        device: the device.
        pairs: the number of training pairs.
        processes: the number of processes that will train together.

    Raises:
        UserError: as in `build_trainer`.
    """
    with mute_progress():  # the training that follows logs the same messages
        trainer = build_trainer(config, CheckpointFolder(output), device, ALONE)
    seconds: list[float] = []
    epoch = 1
    with contextlib.closing(trainer.source.updates(Cursor())) as updates:
        for number, update in enumerate(itertools.islice(updates, _UPDATES + 1)):
            if number == 0 and update.progress:
                epoch = math.ceil(round(1 / update.progress) / processes)  # each process takes batches of this size
            began = time.perf_counter()
            trainer.update_weights(update, NoLog())
            seconds.append(time.perf_counter() - began)
            if number >= 3 and sum(seconds) > _SECONDS:
                break
    validator = Validator(config, trainer.tokenizers, device)
    translation = _time_translation(trainer, validator)
    used = peak_memory() if device.type == "cpu" else torch.cuda.max_memory_allocated(device)
    timed = seconds[1:] or seconds
    return Speed(
        update=sum(timed) / len(timed),
        epoch=epoch,
        validation=translation + _time_loss(trainer, validator) + _time_saving(trainer, output),
        ending=_TRANSLATIONS_AT_THE_END * translation + _SECONDS_AT_THE_END + _SECONDS_PER_PAIR * min(pairs, 100_000),
        memory=used,
        parameters=sum(parameter.numel() for parameter in trainer.network.parameters()),
    )


def _time_translation(trainer: Trainer, validator: Validator) -> float:
    """Return the time in which the validation pairs are translated.

    A few sentences are translated by the untrained network. Their number of tokens is fixed.
    """
    options = SearchOptions(
        beam=validator.config.validation.beam, min_length=_TOKENS, max_length_factor=0, max_length_extra=_TOKENS
    )
    model = Model(network=trainer.averaged, tokenizers=trainer.tokenizers, config=trainer.config, name="validation")
    sources = [source for part in validator.sets for source in part.sources][:_SENTENCES]
    began = time.perf_counter()
    Translator([model]).translate(sources, options, to=validator.sets[0].to, tag=validator.sets[0].tag, split=False)
    per_token = (time.perf_counter() - began) / (_TOKENS * len(sources))
    return per_token * sum(batch.target_tokens for batch in validator.batches)


def _time_loss(trainer: Trainer, validator: Validator) -> float:
    """Return the time in which the loss of the validation pairs is computed."""
    batch = validator.batches[len(validator.batches) // 2].to(trainer.device)
    dtype = autocast_dtype(trainer.settings.precision, trainer.device)
    began = time.perf_counter()
    with torch.inference_mode(), torch.autocast(trainer.device.type, dtype, enabled=dtype is not None):
        float(cross_entropy_loss(trainer.averaged, trainer.averaged(batch), real_targets(batch)))
    return (time.perf_counter() - began) * len(validator.batches)


def _time_saving(trainer: Trainer, output: Path) -> float:
    """Return the time in which a checkpoint is written."""
    with temporary_folder(output) as folder:
        trainer.checkpoints = CheckpointFolder(folder)
        began = time.perf_counter()
        trainer.save()
        return time.perf_counter() - began


@dataclass(frozen=True, kw_only=True)
class Length:
    """The length of a training."""

    updates: int
    validations: int


def fit_length(speed: Speed, updates: int, seconds: float) -> Length:
    """Return the length of a training that takes at most this time.

    Args:
        speed: the measured speed.
        updates: the number of updates of a training without a limit of its time.
        seconds: the time until the score on the test set.

    Returns:
        At most this number of updates, and at least one. Validations take a small share of the time.
    """
    left = _SAFETY * seconds - speed.ending
    affordable = int(_VALIDATION_SHARE * left / speed.validation)
    validations = min(VALIDATIONS, max(_FEWEST_VALIDATIONS, affordable))
    possible = int((left - validations * speed.validation) / speed.update)
    return Length(updates=max(1, min(updates, possible)), validations=validations)
