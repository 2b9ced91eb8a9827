"""The training loop. It updates the weights, validates, saves checkpoints, and resumes exactly after an interruption.

All random choices depend only on the seed and the position. The pairs of an update depend on the seed and the cursor in
the data. Dropout masks depend on the seed and the number of the update. A checkpoint therefore needs only the weights,
the moments of the optimizers and the position. It needs no states of random generators.
"""

import contextlib
import copy
import dataclasses
import logging
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from nmt.checkpoint.folder import TrainingState, load_weights, save_model, unique_weights
from nmt.checkpoint.manifest import MANIFEST, TRAINING_WEIGHTS, WEIGHTS
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.checkpoint.tensors import load_tensors
from nmt.config.schema import Config
from nmt.data.batch import Batch
from nmt.data.cursor import Update
from nmt.data.updates import UpdateSource
from nmt.errors import DivergenceError, Interrupted, ModelError
from nmt.metrics.standard import MEASURES
from nmt.model.dropout import Randomness
from nmt.model.seq2seq import Seq2Seq
from nmt.system.devices import autocast_dtype
from nmt.system.machine import return_memory
from nmt.system.memory import is_shortage
from nmt.system.signals import SIGNALS, StopSignal
from nmt.tokenizers.base import Tokenizers
from nmt.training.distributed import ALONE, Processes
from nmt.training.log import Log
from nmt.training.memory import BatchLimit
from nmt.training.objective import Likelihood, Objective
from nmt.training.optimizer import (
    MOMENTS,
    MovingAverage,
    build_optimizers,
    make_step,
    optimizer_tensors,
    restore_optimizers,
)
from nmt.training.resume import Checkpoint, Position
from nmt.training.schedule import Progress, learning_rate
from nmt.training.time_limit import TimeLimit

logger = logging.getLogger(__name__)

_RETURN_MEMORY_EVERY = 50  # in updates; this limits the memory use and takes hardly any time
# The prefix of the current weights in a training state. They are stored if the model has their moving average.
_CURRENT_WEIGHTS = "weights."


Validate = Callable[[Seq2Seq], dict[str, float]]
"""A function that computes the validation results of a network. It returns a mapping of names to results.

The result whose name is the value of `validation.metric` decides which checkpoint is the best.
"""


class Trainer:
    """Trains one network.

    Args:
        network: the network with its initial weights, on the device for training.
        source: the source of the updates.
        tokenizers: the tokenizers. They are saved in checkpoints.
        config: the configuration.
        validate: the validation function. If training keeps a moving average of the weights, it is validated instead
            of the current weights.
        checkpoints: the folder for checkpoints.
        objective: the loss to minimize. By default, it is the negative log-likelihood of the references, with the
            additional terms in the configuration (see `Likelihood`).
        processes: the processes that train together. Only the first process saves checkpoints.
    """

    def __init__(
        self,
        network: Seq2Seq,
        *,
        source: UpdateSource,
        tokenizers: Tokenizers,
        config: Config,
        validate: Validate,
        checkpoints: CheckpointFolder,
        objective: Objective | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.network, self.source, self.tokenizers = network, source, tokenizers
        self.config, self.settings = config, config.training
        self.validate, self.checkpoints = validate, checkpoints
        self.objective = objective or Likelihood.of(config.training)
        self.processes = processes
        self.position = Position(size=source.size)
        self.optimizers = build_optimizers(network, config.training)
        self.averaged = copy.deepcopy(network).requires_grad_(False) if config.training.ema else network
        self.average = MovingAverage(unique_weights(self.averaged), config.training.ema)
        self.device = next(network.parameters()).device
        self.dtype = autocast_dtype(config.training.precision, self.device)
        self.generator = torch.Generator(self.device)
        self.limit = BatchLimit()
        self.saved_update = -1
        self.stop = StopSignal()
        # The signal that one of the processes received before the end of the latest update.
        self.stop_everywhere: int | None = None
        self.limit_of_time: TimeLimit | None = None
        self.validation_seconds = 0.0  # the time of the latest validation, if the time is limited
        self.time_is_over = False  # whether one of the processes has reached the limit of time

    # ---- the loop

    def run(self, log: Log, stop: StopSignal, limit: TimeLimit | None = None) -> None:
        """Train until a limit of the configuration or of the time is reached. Training ends with a validation.

        Raises:
            Interrupted: `stop` received a signal. A checkpoint has been saved.
            DivergenceError: the loss or the gradient is infinite or not a number.
        """
        self.stop, self.limit_of_time = stop, limit
        with contextlib.closing(self.source.updates(self.position.cursor)) as updates:
            while not (self.time_is_over or self.position.has_ended(self.config)):
                self.update_weights(next(updates), log)
                every, position = self.config.validation.every, self.position
                due = position.cursor.starts_epoch if every is None else position.update % every == 0
                if due or self.time_is_over or position.has_ended(self.config):
                    self._validate(log)
                elif self._get_signal() or self.position.update % self.settings.checkpoint_every == 0:
                    self.save()
                    log.restart_clock()
                if (number := self._get_signal()) and not self.position.has_ended(self.config):
                    self.save()
                    self.processes.barrier()  # when one process ends, torchrun ends the others, even while they save
                    raise Interrupted(
                        f"stopped after update {self.position.update}; --resume continues from there", number
                    )

    def _get_signal(self) -> int | None:
        """Return the signal that stops training, or None. The result is the same in all processes."""
        return self.stop.number if self.processes.world.size == 1 else self.stop_everywhere

    def progress(self) -> float:
        """Return the fraction of training that is done, from 0 to 1."""
        settings, position = self.settings, self.position
        updates = position.update / settings.max_updates if settings.max_updates else 0.0
        if position.epochs_done is None:  # for streams, only the number of whole epochs is known
            return updates if settings.max_updates else position.cursor.epoch / settings.epochs
        return max(position.epochs_done / settings.epochs, updates)

    def update_weights(self, update: Update, log: Log) -> None:
        """Update the weights once, with the gradient of the loss per target token. The gradient is clipped."""
        position, settings = self.position, self.settings
        progress = Progress(update=position.update + 1, share=self.progress(), cuts=position.cuts)
        rate = learning_rate(settings, progress)
        loss, tokens = self._sum_over_processes(*self._compute_gradients(update.batches))
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients)) / tokens
        for name, figure in (("loss", loss), ("gradient's norm", norm)):
            if not math.isfinite(figure):  # the weights have not been updated yet, so they are still good
                raise DivergenceError(
                    f"the {name} is {figure} at update {position.update + 1}; "
                    "lower training.learning_rate or training.clip_norm, and --resume from the last checkpoint"
                )
        clip = min(1.0, (settings.clip_norm or math.inf) / max(norm, 1e-12))
        make_step(self.optimizers, rate=rate, scale=torch.tensor(tokens / clip, device=self.device))
        position = dataclasses.replace(
            position, update=position.update + 1, cursor=update.after, epochs_done=update.progress
        )
        self.position = position
        if position.update % _RETURN_MEMORY_EVERY == 0:
            return_memory()
        if settings.ema:
            self.average.update(unique_weights(self.network), position.update)
        log.update(
            update=position.update,
            epoch=position.epoch,
            progress=self.progress(),
            loss=loss,
            tokens=tokens,
            norm=norm,
            rate=rate,
        )

    def probe(self, largest: Batch) -> None:
        """Test whether the largest possible batch fits into memory. Its gradients are computed and discarded.

        Raises:
            MachineError: there is too little memory for a single pair.
        """
        weights = list(self.network.parameters())
        moments = [torch.empty_like(weight) for weight in weights + weights]  # takes as much memory as the optimizer
        self._compute_gradients([largest])
        del moments
        self.network.zero_grad(set_to_none=True)

    def _compute_gradients(self, batches: Sequence[Batch]) -> tuple[float, int]:
        """Compute gradients as `accumulate_gradients` does. Batches that do not fit into memory are split.

        Splitting changes neither the dropout masks nor the sums.
        """
        while True:
            batches = self.limit.split(batches)
            try:
                return self.accumulate_gradients(batches)
            except (RuntimeError, MemoryError) as error:
                if not is_shortage(error):
                    raise
            # This code is outside of the `except` block, because there the traceback would keep the failed batch in
            # memory. The gradients of some batches may have been added already, so they are deleted.
            self.network.zero_grad(set_to_none=True)
            if self.limit.lower(batches) and self.processes.claim("memory"):
                logger.warning(
                    "there is too little memory for the largest batches, so they are split; "
                    "a smaller training.batch_tokens with a larger training.accumulate is faster"
                )
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def accumulate_gradients(self, batches: Sequence[Batch]) -> tuple[float, int]:
        """Add up the gradients of all batches.

        Returns:
            The loss, summed over the target tokens, and the number of target tokens.
        """
        losses = []
        seed = np.random.SeedSequence((self.settings.seed, self.position.update)).generate_state(1)
        for batch in (batch.to(self.device) for batch in batches):
            self.generator.manual_seed(int(seed[0]))  # all batches have the same seed, as `Randomness` explains
            randomness = Randomness(generator=self.generator, first=batch.first, sentences=batch.update_sentences)
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
                loss = self.objective(self.network, batch, randomness)
            loss.backward()
            losses.append(loss.detach())
        return float(sum(losses)), sum(batch.target_tokens for batch in batches)

    def _sum_over_processes(self, loss: float, tokens: int) -> tuple[float, int]:
        """Sum gradients, losses and numbers of target tokens over all processes. Exchange reasons to stop."""
        if self.limit_of_time:
            self.time_is_over = self.limit_of_time.is_reached(self.validation_seconds)
        if self.processes.world.size == 1:
            return loss, tokens
        gradients = []
        for parameter in (parameter for parameter in self.network.parameters() if parameter.requires_grad):
            if parameter.grad is None:  # this happens if this process has no pair in the update
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        signals = [float(self.stop.number == number) for number in SIGNALS]
        figures = torch.tensor([loss, tokens, float(self.time_is_over), *signals], device=self.device)
        self.processes.sum([*gradients, figures])
        loss, total, over, *signals = figures.tolist()
        self.time_is_over = over > 0
        self.stop_everywhere = next((number for number, count in zip(SIGNALS, signals, strict=True) if count), None)
        return loss, int(total)

    # ---- validation

    def _validate(self, log: Log) -> None:
        position, settings, limit = self.position, self.settings, self.limit_of_time
        began = limit.clock() if limit else 0.0
        values = self.validate(self.averaged)
        metric = self.config.validation.metric
        figure, measure = values[metric], MEASURES[metric]
        better = position.best is None or measure.is_better(figure, position.best)
        if better:
            position = dataclasses.replace(position, best=figure, best_update=position.update, stale=0, plateau=0)
        else:
            position = dataclasses.replace(position, stale=position.stale + 1, plateau=position.plateau + 1)
        if settings.schedule == "plateau" and position.plateau >= settings.plateau_patience:
            position = dataclasses.replace(position, plateau=0, cuts=position.cuts + 1)
        self.position = position
        self.save()
        if limit:
            self.validation_seconds = limit.clock() - began
        if self.processes.first:
            if better:
                self.checkpoints.choose(position.update)
            self.checkpoints.prune(settings.keep_checkpoints)
        best = measure.describe(figure) if better else None
        log.validation(update=position.update, epoch=position.epoch, values=values, best=best)

    # ---- saving and resuming

    def save(self) -> None:
        """Write a checkpoint of the current position, unless this checkpoint already exists."""
        if self.saved_update == self.position.update:
            return
        if self.processes.first:
            self._write()
        self.saved_update = self.position.update

    def _write(self) -> None:
        tensors = optimizer_tensors(self.optimizers, self.network)
        if self.settings.ema:
            tensors |= {f"{_CURRENT_WEIGHTS}{name}": tensor for name, tensor in unique_weights(self.network).items()}
        state = TrainingState(tensors=tensors, progress=self.position.to_json())
        folder = self.checkpoints.path(self.position.update)
        save_model(folder, unique_weights(self.averaged), self.tokenizers, self.config, state)
        self.checkpoints.prune(self.settings.keep_checkpoints)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint that `save` wrote."""
        position, size = checkpoint.position_under(self.config), self.source.size
        cursor = position.cursor
        if position.size != size:
            cursor = self.source.convert(cursor, (position.epochs_done or 0.0) - cursor.epoch)
        self.position = dataclasses.replace(position, size=size, cursor=cursor)
        tensors = checkpoint.state.tensors
        weights = load_tensors(checkpoint.folder / WEIGHTS, MANIFEST[WEIGHTS].max_bytes)
        if unknown := [name for name in tensors if not name.startswith((_CURRENT_WEIGHTS, MOMENTS))]:
            raise ModelError(
                f"{checkpoint.folder}: {unknown[0]} belongs to no training; resume from another checkpoint"
            )
        raw = {
            name.removeprefix(_CURRENT_WEIGHTS): value
            for name, value in tensors.items()
            if name.startswith(_CURRENT_WEIGHTS)
        }
        load_weights(self.averaged, weights, checkpoint.folder)
        load_weights(self.network, raw or weights, checkpoint.folder)
        before, now = checkpoint.config.training, self.settings
        same = (before.optimizer, before.freeze) == (now.optimizer, now.freeze)
        where = str(checkpoint.folder / TRAINING_WEIGHTS)
        restore_optimizers(self.optimizers, self.network, tensors, complete=same, where=where)
        self.saved_update = self.position.update
        if self.processes.first:
            self.checkpoints.drop_after(self.position.update)
            self.checkpoints.choose_saved(self.position.best_update)
