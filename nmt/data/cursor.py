"""Records about updates: their size, the processes that share them, and their position in the training data."""

from dataclasses import dataclass
from typing import Any

from nmt.data.batch import Batch


@dataclass(frozen=True, kw_only=True)
class World:
    """The rank of this process and the number of processes that train together."""

    rank: int = 0
    size: int = 1


@dataclass(frozen=True, kw_only=True)
class UpdateSize:
    """The limits of the size of an update. An update consists of the batches of all processes."""

    tokens: int = 0
    """The limit of the number of pairs times the tokens of the longest side, EOS included. A pair that alone exceeds
    this limit becomes its own update."""
    sentences: int | None = None
    """The limit of the number of pairs, or None for no limit."""


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """The position in the training data at which an update begins.

    All fields can be written as JSON, because a checkpoint contains the cursor.
    """

    epoch: int = 0
    """The number of the epoch, counted from 0."""
    update: int = 0
    """The number of the next update, counted from 0. For stored corpora, the count begins with the epoch. For streams,
    it begins with the window."""
    window: int = 0
    """The number of the window of the stream, counted from 0 in the epoch. It is 0 for stored corpora."""
    stream: dict[str, Any] | None = None
    """The state from which the stream is reopened at the start of the window, or None for stored corpora."""

    @property
    def starts_epoch(self) -> bool:
        """Whether the cursor is at the start of an epoch."""
        return self.update == 0 and self.window == 0


@dataclass(frozen=True, kw_only=True)
class Update:
    """The share of an update that one process computes."""

    batches: tuple[Batch, ...]
    """The batches of this process, in order. If the update has few pairs, a process may have no batch."""
    after: Cursor
    """The position at which the next update begins."""
    progress: float | None
    """The number of epochs that are done after this update, for example 2.37. It is None for streams, whose length is
    unknown."""
