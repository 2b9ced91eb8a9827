"""The training loop: teacher forcing, validation, checkpoints, and going on bit for bit after any stop.

Everything random is a pure function of the seed and of where training stands: the updates of (seed, place in the data), dropout
of (seed, update). So a checkpoint needs no generator states, only weights, optimiser moments and the position.
"""

import contextlib
import copy
import dataclasses
import logging
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from nmt.checkpoint.folder import WEIGHTS, TrainingState, load_tensors, load_weights, save_model, unique_weights
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.config.schema import Config
from nmt.data.cursor import Update
from nmt.data.updates import UpdateSource
from nmt.errors import Interrupted, UserError
from nmt.metrics.standard import MEASURES
from nmt.model.dropout import Noise
from nmt.model.seq2seq import Seq2Seq
from nmt.system.machine import autocast_dtype, return_memory
from nmt.system.signals import SIGNALS, StopSignal
from nmt.tokenizers.base import Tokenizers
from nmt.training.distributed import ALONE, Processes
from nmt.training.log import Log
from nmt.training.memory import Room, is_shortage
from nmt.training.objective import Likelihood, Objective
from nmt.training.optimizer import MovingAverage, build_optimizers, make_step, optimizer_tensors, restore_optimizers
from nmt.training.resume import Checkpoint, Position
from nmt.training.schedule import Moment, learning_rate
from nmt.types import Batch

logger = logging.getLogger(__name__)

_RETURN_MEMORY_EVERY = 50  # updates: often enough to hold memory down, too rare to be felt

_ADVICE = "a smaller training.batch_tokens, and a larger training.accumulate for it, is faster"

Validate = Callable[[Seq2Seq], dict[str, float]]
"""Figures of a network on the validation set, by name; `validation.metric` names the one that chooses the best."""


class Trainer:
    """Trains one network.

    Args:
        network: with initial weights, on its device.
        source: the training pairs.
        validate: called with the network whose weights would be saved (the moving average where there is one).
        checkpoints: where to save.
        objective: what to make small; by default the cross entropy of the references.
        processes: those that train together; only the first one saves.
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
        self.config, self.validate, self.checkpoints = config, validate, checkpoints
        self.objective = objective or Likelihood.of(config.training)
        self.processes = processes
        self.position = Position(size=source.size)
        self.optimizers = build_optimizers(network, config.training)
        self.averaged = copy.deepcopy(network).requires_grad_(False) if config.training.ema else network
        self.average = MovingAverage(unique_weights(self.averaged), config.training.ema)
        self.device = next(network.parameters()).device
        self.dtype = autocast_dtype(config.training.precision, self.device)
        self.generator = torch.Generator(self.device)
        self.room = Room()
        self.saved_update = -1
        self.stop = StopSignal()
        self.stop_everywhere: int | None = None  # a signal that any process had got when it made the last update

    # ---- the loop

    def run(self, log: Log, stop: StopSignal) -> None:
        """Train to the end.

        Raises:
            Interrupted: `stop` was set; a checkpoint is saved.
            UserError: the loss is no longer a number.
        """
        self.stop = stop
        with contextlib.closing(self.source.updates(self.position.place)) as updates:
            while not self.position.has_ended(self.config):
                self._update(next(updates), log)
                if self._validation_due():
                    self._validate(log)
                elif self._stopping() or self.position.update % self.config.training.checkpoint_every == 0:
                    self.save()
                    log.restart_clock()
                if (number := self._stopping()) and not self.position.has_ended(self.config):
                    self.save()
                    self.processes.barrier()  # nobody may end before everything is saved: torchrun would end the others
                    raise Interrupted(
                        f"stopped after update {self.position.update}; --resume goes on from there", number
                    )

    def _stopping(self) -> int | None:
        """The signal that asks for the end, the same in all processes."""
        return self.stop.number if self.processes.world.size == 1 else self.stop_everywhere

    def progress(self) -> float:
        """Share of the training that is done, 0 to 1."""
        settings, position = self.config.training, self.position
        updates = position.update / settings.max_updates if settings.max_updates else 0.0
        if position.epochs_done is None:  # of a stream only whole epochs are known
            return updates if settings.max_updates else position.place.epoch / settings.epochs
        return max(position.epochs_done / settings.epochs, updates)

    def _update(self, update: Update, log: Log) -> None:
        """One update of the weights."""
        position = self.position
        moment = Moment(update=position.update + 1, progress=self.progress(), cuts=position.cuts)
        rate = learning_rate(self.config.training, moment)
        loss, tokens = self._summed(*self._gradients_in_parts(update.batches))
        norm = self._norm(tokens)
        for name, figure in (("loss", loss), ("gradient's norm", norm)):
            if not math.isfinite(figure):  # the weights are still good
                raise UserError(
                    f"the {name} is {figure} at update {position.update + 1}; "
                    "lower training.learning_rate or training.clip_norm, and --resume from the last checkpoint"
                )
        self._step(rate, norm, tokens)
        position.update += 1
        if position.update % _RETURN_MEMORY_EVERY == 0:
            return_memory()
        position.place, position.epochs_done = update.after, update.progress
        if self.config.training.ema:
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
        """Make gradients as for the largest batch that may come, and drop them: whether it fits shows now, not in an hour.

        Raises:
            MachineError: memory is too short for a single pair.
        """
        weights = list(self.network.parameters())
        moments = [torch.empty_like(weight) for weight in weights + weights]  # the optimiser will need that much
        self._gradients_in_parts([largest])
        del moments
        self.network.zero_grad(set_to_none=True)

    def _gradients_in_parts(self, batches: Sequence[Batch]) -> tuple[float, int]:
        """As `_gradients`. Batches that memory is too short for are computed in parts, with the same masks and sums."""
        while True:
            batches = self.room.parts(batches)
            try:
                return self._gradients(batches)
            except (RuntimeError, MemoryError) as error:
                if not is_shortage(error):
                    raise
            # Not in the handler, where the failed batch is still in memory.
            self.network.zero_grad(set_to_none=True)  # some of the failed batch's gradients are in there
            if self.room.shrink(batches) and self.processes.claim("memory"):
                logger.warning("memory is too short for the largest batches, which are computed in parts; %s", _ADVICE)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _gradients(self, batches: Sequence[Batch]) -> tuple[float, int]:
        """Add up the gradients of the batches. Returns the loss, summed over the target pieces, and their number."""
        losses = []
        seed = np.random.SeedSequence((self.config.training.seed, self.position.update)).generate_state(1)
        for batch in (batch.to(self.device) for batch in batches):
            self.generator.manual_seed(int(seed[0]))  # the same for all batches: each takes its sentences' masks
            noise = Noise(generator=self.generator, first=batch.first, sentences=batch.update_sentences)
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
                loss = self.objective(self.network, batch, noise)
            loss.backward()
            losses.append(loss.detach())
        return float(sum(losses)), sum(batch.target_tokens for batch in batches)

    def _summed(self, loss: float, tokens: int) -> tuple[float, int]:
        """Add up gradients, loss and target pieces over the processes, and tell each other of signals."""
        if self.processes.world.size == 1:
            return loss, tokens
        gradients = []
        for parameter in (parameter for parameter in self.network.parameters() if parameter.requires_grad):
            if parameter.grad is None:  # no pair of this update has fallen to this process
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        signals = [float(self.stop.number == number) for number in SIGNALS]
        figures = torch.tensor([loss, tokens, *signals], device=self.device)
        self.processes.sum([*gradients, figures])
        loss, pieces, *signals = figures.tolist()
        self.stop_everywhere = next((number for number, count in zip(SIGNALS, signals, strict=True) if count), None)
        return loss, int(pieces)

    def _norm(self, tokens: int) -> float:
        """Of the gradients per target piece."""
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients)) / tokens

    def _step(self, rate: float, norm: float, tokens: int) -> None:
        """Change the weights by gradients per target piece, clipped."""
        limit = self.config.training.clip_norm or math.inf
        scale = torch.tensor(tokens / min(1.0, limit / max(norm, 1e-12)), device=self.device)
        make_step(self.optimizers, rate=rate, scale=scale)

    # ---- validation

    def _validation_due(self) -> bool:
        every = self.config.validation.every
        at_epoch_end = every is None and self.position.place.starts_epoch
        return (
            self.position.has_ended(self.config)
            or at_epoch_end
            or (every is not None and self.position.update % every == 0)
        )

    def _validate(self, log: Log) -> None:
        position, settings = self.position, self.config
        values = self.validate(self.averaged)
        figure = values[settings.validation.metric]
        measure = MEASURES[settings.validation.metric]
        better = position.best is None or measure.is_better(figure, position.best)
        if better:
            position.best, position.best_update, position.stale, position.plateau = figure, position.update, 0, 0
        else:
            position.stale, position.plateau = position.stale + 1, position.plateau + 1
        if settings.training.schedule == "plateau" and position.plateau >= settings.training.plateau_patience:
            position.plateau, position.cuts = 0, position.cuts + 1
        self.save()
        if self.processes.first:
            if better:
                self.checkpoints.choose(position.update)
            self.checkpoints.prune(settings.training.keep_checkpoints)
        log.validation(update=position.update, epoch=position.epoch, values=values, best=better)

    # ---- saving and going on

    def save(self) -> None:
        """Write a checkpoint of this moment, unless there is one."""
        if self.saved_update == self.position.update:
            return
        if self.processes.first:
            self._write()
        self.saved_update = self.position.update

    def _write(self) -> None:
        tensors = optimizer_tensors(self.optimizers, self.network)
        if self.config.training.ema:
            tensors |= {f"weights.{name}": tensor for name, tensor in unique_weights(self.network).items()}
        state = TrainingState(tensors=tensors, progress=self.position.to_json())
        folder = self.checkpoints.path(self.position.update)
        save_model(folder, unique_weights(self.averaged), self.tokenizers, self.config, state)
        self.checkpoints.prune(self.config.training.keep_checkpoints)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint that `save` wrote."""
        position, size = checkpoint.position_under(self.config), self.source.size
        place = position.place
        if position.size != size:
            place = self.source.convert(place, (position.epochs_done or 0.0) - place.epoch)
        self.position = dataclasses.replace(position, size=size, place=place)
        weights, tensors = load_tensors(checkpoint.folder / WEIGHTS), checkpoint.state.tensors
        prefix = "weights."
        raw = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        load_weights(self.averaged, weights, checkpoint.folder)
        load_weights(self.network, raw or weights, checkpoint.folder)
        restore_optimizers(self.optimizers, self.network, tensors)
        self.saved_update = self.position.update
        if self.processes.first:
            self.checkpoints.drop_after(self.position.update)
            self.checkpoints.choose_saved(self.position.best_update)
