"""Resuming a training: its position, which checkpoint it continues from, and what must agree with the earlier run."""

import dataclasses
import json
import logging
import operator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from nmt.checkpoint.folder import TrainingState, load_folder_config, load_training_state
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.config.schema import Config, CorpusConfig
from nmt.data.cursor import Cursor, UpdateSize
from nmt.errors import ConfigError, ModelError

logger = logging.getLogger(__name__)


@dataclass
class Position:
    """Progress of a training; the human-readable part of a checkpoint."""

    update: int = 0
    size: UpdateSize = field(default_factory=UpdateSize)
    cursor: Cursor = field(default_factory=Cursor)  # where the next update begins in the training data
    epochs_done: float | None = 0.0  # with the fraction of the running one; None if unknown, as in a stream
    best: float | None = None  # best value of `validation.metric` so far
    best_update: int = 0
    stale: int = 0  # validations in a row without improvement
    plateau: int = 0  # the same since the plateau schedule last cut the learning rate
    cuts: int = 0

    @property
    def epoch(self) -> int:
        """The epoch of the latest update, counted from 1; 0 before the first update."""
        return self.cursor.epoch if self.cursor.starts_epoch else self.cursor.epoch + 1

    def has_ended(self, config: Config) -> bool:
        """Whether a limit of the configuration is reached: epochs, updates or patience."""
        settings, patience = config.training, config.validation.patience
        return (
            self.cursor.epoch >= settings.epochs
            or (settings.max_updates is not None and self.update >= settings.max_updates)
            or (patience is not None and self.stale >= patience)
        )

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ModelError if another version of nmt wrote the text."""
        try:
            content = json.loads(text)
            return cls(**{**content, "cursor": Cursor(**content["cursor"]), "size": UpdateSize(**content["size"])})
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                "the checkpoint was saved by another version of nmt, and only that version can resume it; "
                "choose another --output"
            ) from error


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a training continues from."""

    folder: Path
    config: Config
    state: TrainingState
    position: Position

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises ModelError if the folder is damaged or from another version of nmt."""
        state = load_training_state(folder)
        position = Position.from_json(state.progress)
        return cls(folder=folder, config=load_folder_config(folder), state=state, position=position)

    def position_under(self, config: Config) -> Position:
        """The position to continue from with a configuration.

        Validation values from other settings cannot be compared, so the best one and the patience start over.
        """
        before, now = self.config.validation, config.validation
        if (before.metric, before.beam, before.sentences) == (now.metric, now.beam, now.sentences):
            return self.position
        return dataclasses.replace(self.position, best=None, stale=0, plateau=0)


def find_checkpoint(config: Config, checkpoints: CheckpointFolder) -> Path | None:
    """The newest undamaged checkpoint, if there is one.

    Raises:
        ConfigError: The configuration names other data, another tokenizer, network or seed than the checkpoint does.
    """
    folder, complaints = checkpoints.newest()
    for complaint in complaints:
        logger.warning("%s; using the checkpoint before it", complaint)
    if folder is None:
        logger.info("%s: no checkpoint yet, starting from the beginning", checkpoints.output)
        return None
    before = load_folder_config(folder)
    sections = ("data", "tokenizer", "model")
    names = [f"{name}.{key.name}" for name in sections for key in dataclasses.fields(getattr(config, name))]
    faults = []
    for name in (*names, "training.seed"):  # the seed orders the pairs: with another one, some would come twice
        old, new = (operator.attrgetter(name)(one) for one in (before, config))
        if old != new:
            difference = f"{_format(old)} before, {_format(new)} now"
            faults.append(f"{name}: {difference}; --resume needs the same value, or choose another --output")
    if faults:
        raise ConfigError("\n".join(faults))
    return folder


def _format(value: object) -> str:
    """A configuration value as YAML shows it. Of corpora, only the keys that differ from their defaults."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_format, value))}]"
    if not isinstance(value, CorpusConfig):
        return repr(value)
    given = {key.name: getattr(value, key.name) for key in dataclasses.fields(value)}
    changed = {name: content for name, content in given.items() if content != getattr(CorpusConfig(), name)}
    return f"{{{', '.join(f'{name}: {content}' for name, content in changed.items())}}}"
