"""Updates made in the background: one process reads, tokenises and pads ahead while the trainer computes.

PyTorch's DataLoader does the work between the processes. Around it: signals are the trainer's alone, faults and log lines of the
background come out here as they would without it, and batches travel as plain bytes, which need neither shared memory (64 MB
in a container, unless one asks for more) nor a file descriptor for each tensor.
"""

import atexit
import contextlib
import dataclasses
import logging
import logging.handlers
import multiprocessing
import os
import queue
import signal
import traceback
from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from nmt.data.updates import UpdateSource
from nmt.errors import MachineError, NmtError
from nmt.types import Batch, Place, Update, UpdateSize

_AHEAD = 8  # updates that are made before the trainer asks for them
_TENSORS = ("source", "source_lengths", "target", "target_lengths")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Loader:
    """A source of updates that makes those of another one in a background process, the same ones in the same order."""

    def __init__(self, source: UpdateSource) -> None:
        """`source`: must be picklable."""
        self._source = source

    @property
    def size(self) -> UpdateSize:
        """As the source says."""
        return self._source.size

    def converted(self, place: Place, share: float) -> Place:
        """As the source says."""
        return self._source.converted(place, share)

    def updates(self, place: Place) -> Generator[Update, None, None]:
        """The updates from a place on. Close the generator to end the background process.

        Raises:
            NmtError: what the source raised.
            MachineError: the background process was killed.
        """
        # The process is spawned: OpenMP and perhaps CUDA have started threads here by now, and a fork would copy their locks
        # without the threads that will open them. A fork server would do too, but the trainer would not be its parent.
        context = multiprocessing.get_context("spawn")
        ended = context.Event()
        loader = DataLoader(
            _Background(self._source, place, ended),
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=1,
            prefetch_factor=_AHEAD,
            worker_init_fn=_settle,
            multiprocessing_context=context,
            generator=torch.Generator(),  # else it would take a number from the global one
        )
        # For a generator that nobody closed: this comes before multiprocessing waits for its children.
        atexit.register(ended.set)
        messages = _started(loader)
        try:
            yield from _received(messages)
        finally:
            if not ended.is_set():  # else the interpreter ends, and has not much left to work with
                ended.set()
            atexit.unregister(ended.set)
            del messages  # and with them DataLoader, which ends the process


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Message:
    """What the background sends: an update in pieces, or what the source raised instead of one."""

    batches: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # their fields, arrays for tensors
    after: Place = dataclasses.field(default_factory=Place)
    progress: float | None = None
    fault: NmtError | None = None
    records: list[logging.LogRecord]  # what was said before


class _Background(IterableDataset[_Message]):
    """What the background process runs."""

    def __init__(self, source: UpdateSource, place: Place, ended: Any) -> None:
        self.source, self.place, self.ended = source, place, ended

    def __iter__(self) -> Iterator[_Message]:
        records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        logger = logging.getLogger("nmt")
        logger.addHandler(logging.handlers.QueueHandler(records))
        logger.setLevel(logging.INFO)
        try:
            for update in self.source.updates(self.place):
                batches = [_packed(batch) for batch in update.batches]
                yield _Message(batches=batches, after=update.after, progress=update.progress, records=_all(records))
        except NmtError as error:
            yield _Message(fault=error, records=_all(records))


def _all(records: "queue.SimpleQueue[logging.LogRecord]") -> list[logging.LogRecord]:
    return [records.get() for _ in range(records.qsize())]


def _packed(batch: Batch) -> dict[str, Any]:
    return {**vars(batch), **{name: getattr(batch, name).numpy() for name in _TENSORS}}


def _unpacked(batch: dict[str, Any]) -> Batch:
    return Batch(**{**batch, **{name: torch.from_numpy(batch[name]) for name in _TENSORS}})


def _as_it_is(message: Any) -> Any:
    return message


def _started(loader: DataLoader[_Message]) -> Iterator[_Message]:
    with _undisturbed():
        return iter(loader)


def _received(messages: Iterator[_Message]) -> Generator[Update, None, None]:
    """The updates in messages. Raises what stands in one of them, or MachineError where they stop."""
    try:
        while True:
            message = _next(messages)
            for record in message.records:
                logger = logging.getLogger(record.name)
                if logger.isEnabledFor(record.levelno):
                    logger.handle(record)
            if message.fault:
                raise message.fault
            batches = tuple(_unpacked(batch) for batch in message.batches)
            yield Update(batches=batches, after=message.after, progress=message.progress)
    finally:
        del messages  # an error's traceback would keep them


def _next(messages: Iterator[_Message]) -> _Message:
    try:
        return next(messages)
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # whoever keeps the error would keep DataLoader and the process
        if "exited unexpectedly" not in str(error):
            raise
        raise MachineError(
            "the process that prepares the training data was killed, perhaps because memory ran out; "
            "--resume goes on from the last checkpoint"
        ) from None
    finally:
        del messages


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """While the background process starts. It inherits that signals are blocked, so that none can hit it unprepared.

    DataLoader's handler of a child's death, which raises in the midst of whatever goes on here, is taken away: to wait for
    the next update notices the death too.
    """
    child = signal.getsignal(signal.SIGCHLD)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        if child is not None:  # else it is no handler of Python's
            signal.signal(signal.SIGCHLD, child)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle(_: int) -> None:
    """In the background process: signals ask the trainer to stop, which still needs the update that is under way."""
    ended = get_worker_info().dataset.ended  # type: ignore[union-attr]

    def end(number: int, frame: Any) -> None:  # noqa: ARG001
        if ended.is_set():  # it is DataLoader, whose patience is at its end
            os._exit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
