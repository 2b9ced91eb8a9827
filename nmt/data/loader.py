"""Updates made in the background: one process reads, tokenises and pads ahead while the trainer computes.

Faults and log lines of the background come out here as they would without it. Batches travel as plain bytes: torch's own way
to send tensors needs shared memory (a container has 64 MB unless one asks for more) and a file descriptor for each tensor.
"""

import logging
import logging.handlers
import queue
import threading
from collections.abc import Generator
from typing import Any

import torch

from nmt.data.cursor import Cursor, Update, UpdateSize
from nmt.data.updates import UpdateSource
from nmt.system.processes import Child, Parent
from nmt.types import Batch

_AHEAD = 8  # updates that are made before the trainer asks for them
_TENSORS = ("source", "source_lengths", "target", "target_lengths")


class Loader:
    """A source of updates that makes those of another one in a background process, the same ones in the same order."""

    def __init__(self, source: UpdateSource) -> None:
        """`source`: must be picklable."""
        self._source = source

    @property
    def size(self) -> UpdateSize:
        """As the source says."""
        return self._source.size

    def convert(self, place: Cursor, share: float) -> Cursor:
        """As the source says."""
        return self._source.convert(place, share)

    def updates(self, place: Cursor) -> Generator[Update, None, None]:
        """The updates from a place on. Close the generator to end the background process.

        Raises:
            NmtError: what the source raised.
            MachineError: the background process was killed.
        """
        # OpenMP and perhaps CUDA have started threads by now, whose locks a fork would copy without the threads that release
        # them. So the child is spawned; a fork server would do too, but then the trainer would not be the parent.
        child = Child(
            _make_updates,
            self._source,
            place,
            method="spawn",
            name="the process that prepares the training data",
            advice="--resume continues from the last checkpoint",
        )
        try:
            while True:
                message = child.receive()
                if isinstance(message, logging.LogRecord):
                    logger = logging.getLogger(message.name)
                    if logger.isEnabledFor(message.levelno):
                        logger.handle(message)
                else:
                    batches, after, progress = message
                    yield Update(batches=tuple(map(_unpack, batches)), after=after, progress=progress)
        finally:
            child.close()


# ---- in the background process


class _LogHandler(logging.handlers.QueueHandler):
    queue: queue.Queue[Any]

    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue.put(record)  # waits while the queue is full, where QueueHandler would drop the record


def _make_updates(parent: Parent, source: UpdateSource, place: Cursor) -> None:
    torch.set_num_threads(1)  # the other cores are the trainer's
    messages: queue.Queue[Any] = queue.Queue(_AHEAD)
    sender = threading.Thread(target=_send, args=(messages, parent), daemon=True)
    sender.start()
    logger = logging.getLogger("nmt")
    logger.addHandler(_LogHandler(messages))
    logger.setLevel(logging.INFO)
    try:
        for update in source.updates(place):
            messages.put((list(map(_pack, update.batches)), update.after, update.progress))
    finally:
        messages.put(None)
        sender.join()  # an error follows what came before it


def _send(messages: "queue.Queue[Any]", parent: Parent) -> None:
    while (message := messages.get()) is not None:
        parent.send(message)


def _pack(batch: Batch) -> dict[str, Any]:
    return {**vars(batch), **{name: getattr(batch, name).numpy() for name in _TENSORS}}


def _unpack(batch: dict[str, Any]) -> Batch:
    return Batch(**{**batch, **{name: torch.from_numpy(batch[name]) for name in _TENSORS}})
