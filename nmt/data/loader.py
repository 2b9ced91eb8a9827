"""A loader that reads, tokenizes and pads batches in a background process, so that training need not wait for them.

Errors and log lines of the background process appear in the training process. Batches are sent as bytes through a pipe.
torch would send tensors through shared memory, which containers limit to 64 MB by default, and would use a file
descriptor for each tensor.
"""

import logging
import logging.handlers
import queue
import threading
from collections.abc import Generator
from typing import Any

import torch

from nmt.data.batch import Batch
from nmt.data.cursor import Cursor, Update, UpdateSize
from nmt.data.updates import UpdateSource
from nmt.system.processes import Child, Parent

_AHEAD = 8  # the number of updates that are prepared in advance
_TENSORS = ("source", "source_lengths", "target", "target_lengths")


class Loader:
    """A source of updates that wraps another source and runs it in a background process."""

    def __init__(self, source: UpdateSource) -> None:
        """Wrap `source`, which must be picklable."""
        self._source = source

    @property
    def size(self) -> UpdateSize:
        """The limits of the size of an update."""
        return self._source.size

    def convert(self, cursor: Cursor, share: float) -> Cursor:
        """Convert a cursor as the wrapped source does."""
        return self._source.convert(cursor, share)

    def updates(self, cursor: Cursor) -> Generator[Update, None, None]:
        """Yield updates from `cursor` on. Closing the generator ends the background process.

        Raises:
            NmtError: the wrapped source raised an error. The same error is raised here.
            MachineError: the background process was killed.
        """
        # The child is spawned, not forked. OpenMP and perhaps CUDA have already started threads. A fork would copy the
        # locks that these threads hold, but not the threads that release them. With a fork server, the child would not
        # be a child of the training process.
        child = Child(
            _make_updates,
            self._source,
            cursor,
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
        self.queue.put(record)  # blocks while the queue is full; QueueHandler would drop the record


def _make_updates(parent: Parent, source: UpdateSource, cursor: Cursor) -> None:
    torch.set_num_threads(1)  # the other cores compute the training
    messages: queue.Queue[Any] = queue.Queue(_AHEAD)
    sender = threading.Thread(target=_send, args=(messages, parent), daemon=True)
    sender.start()
    logger = logging.getLogger("nmt")
    logger.addHandler(_LogHandler(messages))
    logger.setLevel(logging.INFO)
    try:
        for update in source.updates(cursor):
            messages.put((list(map(_pack, update.batches)), update.after, update.progress))
    finally:
        messages.put(None)
        sender.join()  # send all finished updates before an error is reported


def _send(messages: "queue.Queue[Any]", parent: Parent) -> None:
    while (message := messages.get()) is not None:
        parent.send(message)


def _pack(batch: Batch) -> dict[str, Any]:
    return {**vars(batch), **{name: getattr(batch, name).numpy() for name in _TENSORS}}


def _unpack(batch: dict[str, Any]) -> Batch:
    return Batch(**{**batch, **{name: torch.from_numpy(batch[name]) for name in _TENSORS}})
