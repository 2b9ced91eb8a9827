"""Updates made in a background process, which reads, tokenizes and pads ahead while the trainer computes.

Errors and log lines of the process appear in the trainer. Batches travel as plain bytes: torch sends tensors through
shared memory, which is 64 MB by default in a container, with a file descriptor for each tensor.
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

_AHEAD = 8  # updates made before the trainer asks for them
_TENSORS = ("source", "source_lengths", "target", "target_lengths")


class Loader:
    """Makes the updates of another source in a background process."""

    def __init__(self, source: UpdateSource) -> None:
        """`source` must be picklable."""
        self._source = source

    @property
    def size(self) -> UpdateSize:
        """See UpdateSource."""
        return self._source.size

    def convert(self, cursor: Cursor, share: float) -> Cursor:
        """See UpdateSource."""
        return self._source.convert(cursor, share)

    def updates(self, cursor: Cursor) -> Generator[Update, None, None]:
        """The updates from `cursor` on. Closing the generator ends the background process.

        Raises:
            NmtError: the source raised it.
            MachineError: the background process was killed.
        """
        # OpenMP and perhaps CUDA have started threads by now. A fork would copy their locks without the threads that
        # release them. A fork server would work too, but the trainer would not be its parent.
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
    torch.set_num_threads(1)  # the other cores are the trainer's
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
        sender.join()  # everything made so far is sent before an error


def _send(messages: "queue.Queue[Any]", parent: Parent) -> None:
    while (message := messages.get()) is not None:
        parent.send(message)


def _pack(batch: Batch) -> dict[str, Any]:
    return {**vars(batch), **{name: getattr(batch, name).numpy() for name in _TENSORS}}


def _unpack(batch: dict[str, Any]) -> Batch:
    return Batch(**{**batch, **{name: torch.from_numpy(batch[name]) for name in _TENSORS}})
