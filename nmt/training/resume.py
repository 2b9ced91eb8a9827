"""Functions that resume a training run: they find the checkpoint and check that the settings have not changed."""

import dataclasses
import json
import logging
import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.folder import TrainingState, load_training_state
from nmt.checkpoint.manifest import TRAINING_STATE
from nmt.checkpoint.run_folder import CheckpointFolder, update_of
from nmt.config.corpus import CorpusConfig
from nmt.config.schema import Config
from nmt.data.cursor import Cursor, UpdateSize
from nmt.errors import ConfigError, ModelError
from nmt.metrics.standard import Auto

logger = logging.getLogger(__name__)

_MAX_JSON_INTEGER = 2**53  # JSON represents smaller whole numbers exactly
_MAX_PROCESSES = 100_000


@dataclass(frozen=True, kw_only=True)
class Position:
    """The progress of a training run. Checkpoints contain it as JSON."""

    update: int = 0  # the number of updates of the weights so far
    size: UpdateSize = field(default_factory=UpdateSize)  # the limits of the size of each update
    cursor: Cursor = field(default_factory=Cursor)  # the position in the training data at which the next update begins
    epochs_done: float | None = 0.0  # including the fraction of the current epoch; None for streams
    best: float | None = None  # the best value of the measure `validation.metric` so far
    best_update: int = 0  # the update after which `best` was measured
    stale: int = 0  # the number of validations since the last improvement
    plateau: int = 0  # like `stale`, but also set to 0 when the plateau schedule cuts the learning rate
    cuts: int = 0  # the number of times that the plateau schedule has cut the learning rate

    @property
    def epoch(self) -> int:
        """The number of the epoch of the latest update, counted from 1. It is 0 before the first update."""
        return self.cursor.epoch if self.cursor.starts_epoch else self.cursor.epoch + 1

    def has_ended(self, config: Config) -> bool:
        """Return whether training has reached a limit of the configuration: epochs, updates or patience."""
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
        """Parse the result of `to_json`. Raises ModelError: the text is damaged or was written by another version."""
        try:
            content = json.loads(text)
            position = cls(**{**content, "cursor": Cursor(**content["cursor"]), "size": UpdateSize(**content["size"])})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(
                "the checkpoint was saved by another version of nmt, and only that version can resume it; "
                "choose another --output"
            ) from error
        if faults := list(position.find_faults()):
            raise ModelError(f"{TRAINING_STATE}: {faults[0]} is impossible; resume from another checkpoint")
        return position

    def find_faults(self) -> Iterator[str]:
        """Yield the names of values that a training run cannot have saved. A damaged file may contain any value."""
        cursor, size = self.cursor, self.size
        counts = {"update": self.update, "best_update": self.best_update, "stale": self.stale, "plateau": self.plateau}
        counts |= {"cuts": self.cuts, "epoch": cursor.epoch, "window": cursor.window, "size": size.tokens}
        counts |= {"cursor": cursor.update, "sentences": 0 if size.sentences is None else size.sentences}
        for name, count in counts.items():
            if not _is_count(count):
                yield name
        done, best = self.epochs_done, self.best
        if done is not None and not (type(done) in (int, float) and 0 <= done < _MAX_JSON_INTEGER):
            yield "epochs_done"
        if best is not None and type(best) not in (int, float):
            yield "best"
        if cursor.stream is not None and not _is_stream(cursor.stream):
            yield "stream"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint from which training continues."""

    folder: Path
    config: Config
    state: TrainingState
    position: Position

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load a checkpoint. Raises ModelError: the folder is damaged or was saved by another version of nmt."""
        state, config = load_training_state(folder), load_folder_config(folder)
        position = Position.from_json(state.progress)
        share = config.training.batch_tokens * config.training.accumulate
        stream = position.cursor.stream
        faults = {
            "update": position.update != update_of(folder.name),
            "best_update": position.best_update > position.update,
            "size": position.size.tokens % share != 0 or not 1 <= position.size.tokens // share <= _MAX_PROCESSES,
            "stream": stream is not None and len(stream["corpora"]) != len(config.data.train),
        }
        if fault := next((name for name, wrong in faults.items() if wrong), None):
            raise ModelError(
                f"{folder / TRAINING_STATE}: {fault} does not fit the folder; resume from another checkpoint"
            )
        return cls(folder=folder, config=config, state=state, position=position)

    def keep_settings(self, config: Config) -> Config:
        """Replace settings that nmt chooses itself by the choices in the checkpoint. Return the new configuration."""
        data = dataclasses.replace(config.data, several_sentences=self.config.data.several_sentences)
        validation, metric = config.validation, self.config.validation.metric
        if validation.metric == Auto.name != metric:  # the default of earlier versions was bleu
            logger.info("validation.metric: the best checkpoint is still chosen by %s", metric)
            validation = dataclasses.replace(validation, metric=metric)
        return dataclasses.replace(config, data=data, validation=validation)

    def position_under(self, config: Config) -> Position:
        """Return the position from which training continues if it now has this configuration.

        If validation scores are now computed in another way, new scores cannot be compared with the best score so far.
        The best score and the counts of validations without improvement are then reset.
        """
        before, now = self.config.validation, config.validation
        if (before.metric, before.beam, before.sentences) == (now.metric, now.beam, now.sentences):
            return self.position
        return dataclasses.replace(self.position, best=None, stale=0, plateau=0)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MAX_JSON_INTEGER


def _is_stream(state: Any) -> bool:
    """Return whether a JSON value has the form of the state of a stream (nmt/data/stream.py)."""
    if not isinstance(state, dict) or state.keys() != {"corpora"} or not isinstance(state["corpora"], list):
        return False
    counts = {"turn", "part", "row", "taken"}
    return all(
        isinstance(corpus, dict)
        and corpus.keys() == counts | {"ended"}
        and all(_is_count(corpus[name]) for name in counts)
        and isinstance(corpus["ended"], bool)
        for corpus in state["corpora"]
    )


def find_checkpoint(config: Config, checkpoints: CheckpointFolder) -> Path | None:
    """Return the folder of the newest undamaged checkpoint, or None if none exists.

    Raises:
        ConfigError: the data, tokenizer, model or seed of the configuration differ from the checkpoint.
    """
    folder, complaints = checkpoints.newest()
    for complaint in complaints:
        logger.warning("%s; using the previous checkpoint", complaint)
    if folder is None:
        logger.info("%s: no checkpoint yet, starting from the beginning", checkpoints.output)
        return None
    before = load_folder_config(folder)
    sections = ("data", "tokenizer", "model")
    names = [f"{name}.{key.name}" for name in sections for key in dataclasses.fields(getattr(config, name))]
    faults = []
    for name in (*names, "training.seed"):  # the order of the pairs depends on the seed
        old, new = (operator.attrgetter(name)(one) for one in (before, config))
        measured = name == "data.several_sentences" and new is None
        if old != new and not measured:
            difference = f"{_format(old)} before, {_format(new)} now"
            faults.append(f"{name}: {difference}; --resume needs the same value, or choose another --output")
    if faults:
        raise ConfigError("\n".join(faults))
    return folder


def _format(value: object) -> str:
    """Format a configuration value in the style of YAML. A corpus is shown without keys that have their default."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_format, value))}]"
    if not isinstance(value, CorpusConfig):
        return repr(value)
    given = {key.name: getattr(value, key.name) for key in dataclasses.fields(value)}
    changed = {name: content for name, content in given.items() if content != getattr(CorpusConfig(), name)}
    return f"{{{', '.join(f'{name}: {content}' for name, content in changed.items())}}}"
