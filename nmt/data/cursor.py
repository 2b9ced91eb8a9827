"""Updates: how large they are, who shares them, and where they begin in the training data."""

from dataclasses import dataclass
from typing import Any

from nmt.types import Batch


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes that train together."""

    rank: int = 0
    size: int = 1


@dataclass(frozen=True, kw_only=True)
class UpdateSize:
    """Limits of an update, over all processes and batches."""

    tokens: int = 0
    """Pairs times the tokens of the longest side, EOS and padding counted. A longer pair is an update by itself."""
    sentences: int | None = None
    """Pairs."""


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """Where an update begins in the training data. It is part of a checkpoint, so its fields are values of JSON."""

    epoch: int = 0
    """Counts from 0."""
    update: int = 0
    """The next update of this epoch, or of this window of a stream."""
    window: int = 0
    """The window of the stream; 0 for stored corpora."""
    stream: dict[str, Any] | None = None
    """What reopens the stream where the window begins; None for stored corpora."""

    @property
    def starts_epoch(self) -> bool:
        """Whether no update of the epoch has been made."""
        return self.update == 0 and self.window == 0


@dataclass(frozen=True, kw_only=True)
class Update:
    """One process's share of an update."""

    batches: tuple[Batch, ...]
    """In order; empty if the update has fewer pairs than shares."""
    after: Cursor
    """Where the next update begins."""
    progress: float | None
    """Epochs done after this update, as a fraction (2.37); None if the length of an epoch is unknown."""
