"""The updates of corpora that are read as they are needed and stored nowhere: larger than memory, disk or patience.

A stream is read in windows of a fixed number of pairs. Each is cleaned, tokenised, shuffled, and sorted into updates of like
lengths, as stored corpora are as a whole. A place in it says how to open the stream again where its window begins.
"""

import dataclasses
import itertools
import logging
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import CorpusConfig, DataConfig
from nmt.data.cleaning import Cleaner, CleaningReport, CleanPairs, SeenHashes
from nmt.data.cursor import Cursor, Update, UpdateSize
from nmt.data.pair import Pair
from nmt.data.readers import describe, read_parts
from nmt.data.updates import CORPUS, MIX, UPDATES, Plan, Shares, UpdateOptions, generator, make_plan
from nmt.errors import DataError
from nmt.tokenizers.base import Tokenizers

logger = logging.getLogger(__name__)

_CHUNK = 1000  # pairs cleaned and tokenised at once


class Stream:
    """The updates of `data.train`, all of whose corpora are read as streams.

    With weights, pairs are read in proportion to them; a corpus that comes to its end begins again, and an epoch ends when each
    has come to its end. Without, the corpora take turns until each has come to its end. The files of a dataset are read in a
    new random order each time.
    """

    def __init__(self, data: DataConfig, *, tokenizers: Tokenizers, options: UpdateOptions) -> None:
        self._data, self._tokenizers = data, tokenizers
        self._options, self._cut = options, Shares(tokenizers, options)

    @property
    def size(self) -> UpdateSize:
        """Of the updates."""
        return self._options.size

    def convert(self, place: Cursor, share: float) -> Cursor:  # noqa: ARG002 - of a stream nobody knows it
        """Where the window begins: nothing is left out, and some pairs come twice."""
        return dataclasses.replace(place, update=0)

    def updates(self, place: Cursor) -> Generator[Update, None, None]:
        """The updates from a place on, endless over epochs: a pure function of the seed, the place and the corpora.

        Raises:
            DataError: a corpus cannot be read, or an epoch holds no pair to learn from.
        """
        windows, first = self._windows(place), place.update
        window = _Ahead(windows, self._data.shuffle_buffer).whole()
        while True:
            plan, ahead, here = self._plan(window), _Ahead(windows, self._data.shuffle_buffer), window.place
            for number in range(first, len(plan)):
                ahead.read((number + 1) / len(plan))
                last = number + 1 == len(plan)
                yield Update(
                    batches=self._cut.batches(window, plan.pairs(number), here.epoch, here.window, number),
                    after=ahead.whole().place if last else dataclasses.replace(here, update=number + 1),
                    progress=None,
                )
            window, first = ahead.whole(), 0

    def _plan(self, window: "_Window") -> Plan:
        purpose = (window.place.epoch, window.place.window)
        return make_plan(
            window,
            generator(self._options.seed, MIX, *purpose).permutation(len(window)),
            size=self._options.size,
            random=generator(self._options.seed, UPDATES, *purpose),
        )

    def _windows(self, place: Cursor) -> Iterator["_Window | None"]:
        """The windows from that of a place on, without empty ones; None after each step on the way to one."""
        rows, cleaner = _Rows(self._data, self._options.seed, place.stream), Cleaner(self._data, self._tokenizers)
        here, report = dataclasses.replace(place, update=0), CleaningReport()
        for number in itertools.count():
            window, seen = (
                _Window(dataclasses.replace(here, stream=rows.state()), text=self._options.sampling),
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
                self._say(report, here.epoch, ended=ended)
            if len(window):
                yield window
            here = (
                Cursor(epoch=here.epoch + 1)
                if ended
                else Cursor(epoch=here.epoch, window=here.window + bool(len(window)))
            )
            report = CleaningReport() if ended else report

    def _say(self, report: CleaningReport, epoch: int, *, ended: bool) -> None:
        """What cleaning kept of the first window, and of each epoch as far as it was read here."""
        names = ", ".join(describe(corpus) for corpus in self._data.train)
        if ended and not report.kept:
            raise DataError(f"{names}: no pair to learn from ({report}); check the corpora and data's limits")
        logger.info("%s: %s: %s", names, f"end of epoch {epoch + 1}" if ended else "first pairs", report)


class _Ahead:
    """The next window, which is read while updates of this one are made, lest all wait where windows meet."""

    def __init__(self, windows: Iterator["_Window | None"], pairs: int) -> None:
        self._windows, self._pairs = windows, pairs
        self._window: _Window | None = None
        self._steps = 0

    def read(self, share: float) -> None:
        """Read on until this share of the window is there."""
        while self._window is None and self._steps * _CHUNK < share * self._pairs:
            self._window = next(self._windows)
            self._steps += 1

    def whole(self) -> "_Window":
        while self._window is None:
            self._window = next(self._windows)
        return self._window


class _Window:
    """Some pairs of a stream, in memory."""

    def __init__(self, place: Cursor, *, text: bool) -> None:
        self.place, self.report = place, CleaningReport()
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
    """The ids of one side, one pair after another, and where each pair's end."""

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
    def _whole(self) -> tuple[NDArray[np.uint32], list[int]]:
        whole = np.concatenate(self._blocks), [0, *np.cumsum(self._lengths).tolist()]
        self._blocks.clear()
        return whole

    def ids(self, index: int) -> NDArray[np.uint32]:
        ids, borders = self._whole
        return ids[borders[index] : borders[index + 1]]


class _Rows:
    """The pairs of all corpora, mixed, epoch after epoch."""

    def __init__(self, data: DataConfig, seed: int, state: dict[str, Any] | None) -> None:
        """`state`: what `state` gave, to go on from there."""
        states: Sequence[dict[str, Any]] = state["corpora"] if state else [{} for _ in data.train]
        self._corpora = [
            _Corpus(corpus, data, (seed, CORPUS, number), **own)
            for number, (corpus, own) in enumerate(zip(data.train, states, strict=True))
        ]
        self._weighted = any(corpus.weight is not None for corpus in data.train)

    def state(self) -> dict[str, Any]:
        """Where reading stands, in what JSON can hold."""
        return {"corpora": [corpus.state() for corpus in self._corpora]}

    def take(self, count: int) -> list[Pair]:
        """The next pairs; fewer than `count` where the epoch ends."""
        pairs: list[Pair] = []
        while len(pairs) < count and (corpus := self._next()):
            pair = corpus.read()
            if pair is not None:
                pairs.append(pair)
        if len(pairs) < count:
            for each in self._corpora:
                each.taken, each.ended = 0, False
        return pairs

    def _next(self) -> "_Corpus | None":
        """The corpus whose turn it is; None where the epoch ends."""
        unread = [corpus for corpus in self._corpora if not corpus.ended]
        return min(self._corpora if self._weighted else unread, key=_Corpus.due) if unread else None


class _Corpus:
    """One corpus, read over and over, its parts in a new random order each time."""

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
        """`purpose`: the seed of the order. `turn`, `part`, `row`: where to go on. `taken`, `ended`: of this epoch."""
        self._name, self._weight, self._purpose = describe(corpus), corpus.weight or 1.0, purpose
        self._parts = read_parts(corpus, data)
        self._turn, self._part, self._row = turn, part, row
        self.taken, self.ended = taken, ended
        self._pairs: Iterator[Pair] | None = None
        self._empty = part == row == 0  # no pair was seen since the corpus began

    def state(self) -> dict[str, Any]:
        place = {"turn": self._turn, "part": self._part, "row": self._row}
        return {**place, "taken": self.taken, "ended": self.ended}

    def due(self) -> float:
        """The corpus where this is least comes next."""
        return (self.taken + 1) / self._weight

    def read(self) -> Pair | None:
        """The next pair; None at the end of the corpus, which begins anew."""
        while self._part < len(self._parts):
            if self._pairs is None:
                self._pairs = self._parts[self._order()[self._part]](self._row)
            if (pair := next(self._pairs, None)) is not None:
                self._row, self.taken, self._empty = self._row + 1, self.taken + 1, False
                return pair
            self._part, self._row, self._pairs = self._part + 1, 0, None
        if self._empty:
            raise DataError(f"{self._name}: holds no pair; check the corpus")
        self._turn, self._part, self._empty, self.ended = self._turn + 1, 0, True, True
        return None

    def _order(self) -> list[int]:
        order: list[int] = generator(*self._purpose, self._turn).permutation(len(self._parts)).tolist()
        return order
