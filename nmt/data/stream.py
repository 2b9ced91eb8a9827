"""Updates made from streamed corpora. A streamed corpus is read when its pairs are needed, and is never stored.

A stream is read in windows of a fixed number of pairs. Each window is cleaned, tokenized, shuffled, and grouped into
updates of pairs of similar length, in the same way as a whole stored corpus. The cursor of an update contains the state
of the stream at the start of the window. Training can therefore continue from any update.
"""

import dataclasses
import itertools
import logging
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import DataConfig
from nmt.data.cleaning import Cleaner, CleaningReport, CleanPairs, SeenHashes
from nmt.data.cursor import Cursor, Update, UpdateSize
from nmt.data.pair import Pair
from nmt.data.readers import describe_corpus, read_parts
from nmt.data.updates import CORPUS, MIX, UPDATES, BatchMaker, Plan, UpdateOptions, make_generator, make_plan
from nmt.errors import DataError
from nmt.tokenizers.base import Tokenizers

logger = logging.getLogger(__name__)

_CHUNK = 1000  # the number of pairs that are cleaned and tokenized at once


class Stream:
    """A source of updates that reads all corpora of `data.train` as streams.

    Without weights, pairs are read from the corpora round-robin until every corpus has ended. With weights, pairs are
    read in proportion to the weights. The epoch then ends when every corpus has ended at least once. Until then, a
    corpus that has ended starts again. Each time that a dataset starts, its files are read in a new random order.
    """

    def __init__(self, data: DataConfig, *, tokenizers: Tokenizers, options: UpdateOptions) -> None:
        self._data, self._tokenizers = data, tokenizers
        self._options, self._batch_maker = options, BatchMaker(tokenizers, options)

    @property
    def size(self) -> UpdateSize:
        """The limits of the size of an update."""
        return self._options.size

    def convert(self, cursor: Cursor, share: float) -> Cursor:  # noqa: ARG002 - unknown for a stream
        """Return the cursor at the start of the window. Some pairs are then repeated, but no pair is skipped."""
        return dataclasses.replace(cursor, update=0)

    def updates(self, cursor: Cursor) -> Generator[Update, None, None]:
        """Yield updates from `cursor` on, epoch after epoch without end.

        The updates depend only on the seed, the cursor and the corpora.

        Raises:
            DataError: a corpus cannot be read, or cleaning leaves no pair of an epoch.
        """
        windows, first = self._windows(cursor), cursor.update
        window = _Prefetch(windows, self._data.shuffle_buffer).finish()
        while True:
            plan, ahead, here = self._plan(window), _Prefetch(windows, self._data.shuffle_buffer), window.cursor
            for number in range(first, len(plan)):
                ahead.read((number + 1) / len(plan))
                last = number + 1 == len(plan)
                yield Update(
                    batches=self._batch_maker.make_batches(window, plan.pairs(number), here.epoch, here.window, number),
                    after=ahead.finish().cursor if last else dataclasses.replace(here, update=number + 1),
                    progress=None,
                )
            window, first = ahead.finish(), 0

    def _plan(self, window: "_Window") -> Plan:
        purpose = (window.cursor.epoch, window.cursor.window)
        return make_plan(
            window,
            make_generator(self._options.seed, MIX, *purpose).permutation(len(window)),
            size=self._options.size,
            random=make_generator(self._options.seed, UPDATES, *purpose),
        )

    def _windows(self, cursor: Cursor) -> Iterator["_Window | None"]:
        """Read the windows that are not empty, from the window of `cursor` on.

        Yields:
            Each window when it is complete, and None after each chunk. After a None, the caller can do other work.
        """
        rows, cleaner = _Mixture(self._data, self._options.seed, cursor.stream), Cleaner(self._data, self._tokenizers)
        here, report = dataclasses.replace(cursor, update=0), CleaningReport()
        for number in itertools.count():
            window, seen = (
                _Window(dataclasses.replace(here, stream=rows.state()), text=self._options.needs_text),
                SeenHashes(),
            )
            ended = False
            while not ended and window.report.read < self._data.shuffle_buffer:
                wanted = min(_CHUNK, self._data.shuffle_buffer - window.report.read)
                chunk = rows.take(wanted)
                ended = len(chunk) < wanted
                window.add(cleaner.clean(chunk, seen))
                yield None
            report += window.report
            if ended or number == 0:
                # This is the report of the first window or of a whole epoch. It counts only pairs that this process has
                # read, so a resumed run counts fewer pairs.
                names = ", ".join(describe_corpus(corpus) for corpus in self._data.train)
                if ended and not report.kept:
                    raise DataError(f"{names}: no pair to learn from ({report}); check the corpora and data's limits")
                logger.info("%s: %s: %s", names, f"end of epoch {here.epoch + 1}" if ended else "first pairs", report)
            if len(window):
                yield window
            here = (
                Cursor(epoch=here.epoch + 1)
                if ended
                else Cursor(epoch=here.epoch, window=here.window + bool(len(window)))
            )
            report = CleaningReport() if ended else report


class _Prefetch:
    """A reader that reads a part of the next window after each update. Training then does not wait for a window."""

    def __init__(self, windows: Iterator["_Window | None"], pairs: int) -> None:
        self._windows, self._pairs = windows, pairs
        self._window: _Window | None = None
        self._steps = 0

    def read(self, share: float) -> None:
        """Read until at least this share of the next window has been read."""
        while self._window is None and self._steps * _CHUNK < share * self._pairs:
            self._window = next(self._windows)
            self._steps += 1

    def finish(self) -> "_Window":
        while self._window is None:
            self._window = next(self._windows)
        return self._window


class _Window:
    """The pairs of one window of a stream, in memory."""

    def __init__(self, cursor: Cursor, *, text: bool) -> None:
        self.cursor, self.report = cursor, CleaningReport()
        self._sources, self._targets = _Side(), _Side()
        self._pairs: list[Pair] | None = [] if text else None

    def add(self, clean: CleanPairs) -> None:
        self.report += clean.report
        self._sources.extend(clean.sources)
        self._targets.extend(clean.targets)
        if self._pairs is not None:
            self._pairs += clean.pairs

    def __len__(self) -> int:
        return self.report.kept

    def lengths(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self._sources.lengths[indices], self._targets.lengths[indices]

    def source(self, index: int) -> NDArray[np.uint32]:
        return self._sources.ids(index)

    def target(self, index: int) -> NDArray[np.uint32]:
        return self._targets.ids(index)

    def pair(self, index: int) -> Pair:
        assert self._pairs is not None
        return self._pairs[index]


class _Side:
    """The token ids of one side of a window. The ids are concatenated when they are first read."""

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.uint32]] = []
        self._lengths: list[int] = []

    def extend(self, sequences: Sequence[list[int]]) -> None:
        self._blocks.append(np.fromiter(itertools.chain.from_iterable(sequences), dtype=np.uint32))
        self._lengths += map(len, sequences)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        return np.array(self._lengths, dtype=np.int64)

    @cached_property
    def _joined(self) -> tuple[NDArray[np.uint32], list[int]]:
        joined = np.concatenate(self._blocks), [0, *np.cumsum(self._lengths).tolist()]
        self._blocks.clear()
        return joined

    def ids(self, index: int) -> NDArray[np.uint32]:
        ids, offsets = self._joined
        return ids[offsets[index] : offsets[index + 1]]


class _Mixture:
    """A reader that mixes the pairs of all corpora, epoch after epoch."""

    def __init__(self, data: DataConfig, seed: int, state: dict[str, Any] | None) -> None:
        """Open the corpora. `state` is an earlier result of the method `state`, to continue reading there, or None."""
        states: Sequence[dict[str, Any]] = state["corpora"] if state else [{} for _ in data.train]
        self._corpora = [
            _CorpusReader(corpus, data, (seed, CORPUS, number), **own)
            for number, (corpus, own) in enumerate(zip(data.train, states, strict=True))
        ]
        self._weighted = any(corpus.weight is not None for corpus in data.train)

    def state(self) -> dict[str, Any]:
        """Return the position of the reader. The values can be written as JSON."""
        return {"corpora": [corpus.state() for corpus in self._corpora]}

    def take(self, count: int) -> list[Pair]:
        """Read the next `count` pairs, or fewer at the end of the epoch."""
        pairs: list[Pair] = []
        while len(pairs) < count:
            unread = [corpus for corpus in self._corpora if not corpus.ended]
            if not unread:  # the end of the epoch
                break
            corpus = min(self._corpora if self._weighted else unread, key=_CorpusReader.due)
            pair = corpus.read()
            if pair is not None:
                pairs.append(pair)
        if len(pairs) < count:
            for each in self._corpora:
                each.taken, each.ended = 0, False
        return pairs


class _CorpusReader:
    """A reader of one corpus. When the corpus ends, the reader starts again, with its parts in a new random order."""

    def __init__(
        self,
        corpus: CorpusConfig,
        data: DataConfig,
        purpose: tuple[int, ...],
        *,
        turn: int = 0,
        part: int = 0,
        row: int = 0,
        taken: int = 0,
        ended: bool = False,
    ) -> None:
        """Open a corpus at a position.

        Args:
            corpus: the corpus to read.
            data: the configuration of all corpora.
            purpose: the seed of the random order of the parts.
            turn: the number of times that the corpus has ended.
            part: the index of the next part in the order of this turn.
            row: the number of pairs of this part that have been read.
            taken: the number of pairs that have been read in this epoch.
            ended: whether the corpus has ended in this epoch.
        """
        self._name, self._weight, self._purpose = describe_corpus(corpus), corpus.weight or 1.0, purpose
        self._parts = read_parts(corpus, data)
        self._turn, self._part, self._row = turn, part, row
        self.taken, self.ended = taken, ended
        self._pairs: Iterator[Pair] | None = None
        self._empty = part == row == 0  # no pair has been read in this turn

    def state(self) -> dict[str, Any]:
        position = {"turn": self._turn, "part": self._part, "row": self._row}
        return {**position, "taken": self.taken, "ended": self.ended}

    def due(self) -> float:
        """Return the position of this corpus in the reading order. The corpus with the smallest value is read next."""
        return (self.taken + 1) / self._weight

    def read(self) -> Pair | None:
        """Read the next pair. At the end of the corpus, return None and start again."""
        while self._part < len(self._parts):
            if self._pairs is None:
                order: list[int] = make_generator(*self._purpose, self._turn).permutation(len(self._parts)).tolist()
                self._pairs = self._parts[order[self._part]](self._row)
            if (pair := next(self._pairs, None)) is not None:
                self._row, self.taken, self._empty = self._row + 1, self.taken + 1, False
                return pair
            self._part, self._row, self._pairs = self._part + 1, 0, None
        if self._empty:
            raise DataError(f"{self._name}: contains no pair; check the corpus")
        self._turn, self._part, self._empty, self.ended = self._turn + 1, 0, True, True
        return None
