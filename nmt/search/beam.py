"""The beam: the live hypotheses, and one step that extends them by a piece.

The search is breadth first over the K best hypotheses of each sentence (Graves 2012; Sutskever et al. 2014). All
live hypotheses have the same length, so they compare by log P alone; lengths matter only between finished ones
(nmt/search/finished.py).

A beam is small, and its arithmetic runs on the host, in numpy: there an operation costs less than the launch of a kernel or
an operator of PyTorch. Scores stay where they were made until only the best of them are left (nmt/search/extensions.py).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.search.extensions import NEVER, Ids, Scores, select_extensions
from nmt.types import BOS

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Beam:
    """The live hypotheses of B sentences, K of each, best first. Row b·K + k is hypothesis k of sentence b.

    A hypothesis is only its last piece and a pointer back to the beam from which it grew: that is all a step has to write.
    """

    sentences: Ids  # (B,) which sentences of the batch are still here
    log_probabilities: Floats  # (B, K); −∞ where there is no hypothesis
    last: Ids  # (N,) the last piece of each hypothesis
    length: int  # T, the number of pieces so far
    before: "Beam | None" = None  # the beam of length T − 1
    origins: Ids  # (N,) which of its rows each hypothesis extends
    attention: Tensor | None = None  # the weights with which its rows chose their next pieces, where they are kept

    @staticmethod
    def start(sentences: int) -> "Beam":
        """One empty hypothesis for each of so many sentences."""
        rows = np.arange(sentences)
        return Beam(
            sentences=rows,
            log_probabilities=np.zeros((sentences, 1)),
            last=np.full(sentences, BOS),
            length=0,
            origins=rows,
        )

    def select(self, sentences: Ids) -> "Beam":
        """The beam of some of its sentences, by row."""
        shape = self.log_probabilities.shape
        return replace(
            self,
            sentences=self.sentences[sentences],
            log_probabilities=self.log_probabilities[sentences],
            last=self.last.reshape(shape)[sentences].reshape(-1),
            origins=self.origins.reshape(shape)[sentences].reshape(-1),
        )

    @property
    def firsts(self) -> Ids:
        """The row of each sentence's first hypothesis, (B, 1)."""
        B, K = self.log_probabilities.shape
        return np.arange(0, B * K, K)[:, None]

    @property
    def moved(self) -> bool:
        """Whether the rows of the scorer's state must follow: some hypothesis does not extend the row of its own number."""
        assert self.before is not None
        rows = len(self.before.last)
        return len(self.last) != rows or bool(np.count_nonzero(self.origins != np.arange(rows)))

    def pieces(self, row: int) -> list[int]:
        """The pieces of one hypothesis, without BOS."""
        return [beam.last.item(row) for beam, row in self._way(row)]

    def weights(self, row: int) -> list[Tensor]:
        """The attention weights with which its pieces were chosen, (S,) each."""
        way = ((beam.attention, beam.origins.item(row)) for beam, row in self._way(row))
        return [attention[origin] for attention, origin in way if attention is not None]

    def _way(self, row: int) -> list[tuple["Beam", int]]:
        """The beams in which a hypothesis grew, from its first piece on, and its row in each."""
        beam, way = self, []
        while beam.before is not None:
            way.append((beam, row))
            row, beam = beam.origins.item(row), beam.before
        way.reverse()
        return way


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Hypotheses of a beam that ended at one step."""

    beam: Beam
    rows: Ids  # (E,) of the beam
    log_probabilities: Floats  # (E,) with EOS
    attention: Tensor | None  # (N, S) with which the rows of the beam chose EOS

    def weights(self, row: int) -> Tensor:
        """The attention weights of one hypothesis, EOS included, (T, S). They must have been kept."""
        assert self.attention is not None
        return torch.stack([*self.beam.weights(row), self.attention[row]])


@dataclass(frozen=True, kw_only=True)
class Advance:
    """What one step makes of a beam."""

    beam: Beam
    ended: Ended | None  # None: none
    margins: Scores | None  # (B,) by how much log P it was decided, where that is asked for


def advance(
    beam: Beam, scores: Tensor, candidates: Ids, width: int, attention: Tensor | None = None, *, margins: bool = False
) -> Advance:
    """Extends every hypothesis by every candidate piece and keeps the best.

    Of all extensions of a sentence's hypotheses, those with EOS among the `width` best end; the `width` best of the
    others live on. If there are no more than some, the rest are no hypotheses: their log P is −∞.

    Args:
        beam: K hypotheses a sentence.
        scores: log P of the next pieces, (B, K, W), bans as −∞, EOS first. They are overwritten.
        candidates: which tokens these are, (B, W), a row for each sentence of the batch.
        width: how many hypotheses a sentence may have.
        attention: the weights with which the scores came, (N, S), if they shall be kept.
        margins: whether to measure them.
    """
    # Relative to the sentence's best hypothesis the sums are small: float32 tells them apart however long they are.
    best = beam.log_probabilities[:, :1]
    ahead = (beam.log_probabilities - best).astype(np.float32)
    ends, others, places = select_extensions(scores, ahead, width + int(margins))
    origins, columns = np.divmod(places[:, :width], candidates.shape[1])
    origins += beam.firsts
    ended = _ended(ends, others, width)
    return Advance(
        beam=Beam(
            sentences=beam.sentences,
            log_probabilities=best + others[:, :width],
            last=candidates[beam.sentences[:, None], columns].reshape(-1),
            length=beam.length + 1,
            before=beam,
            origins=origins.reshape(-1),
            attention=attention,
        ),
        ended=None if ended is None else _taken(beam, best + ends, ended, attention),
        margins=_margins(ends, others, ended, width) if margins else None,
    )


def _ended(ends: Scores, others: Scores, width: int) -> Mask | None:
    """Which extensions with EOS, (B, K), are among the `width` best of their sentence; None: none, as in most steps."""
    if not np.count_nonzero(ends > others[:, width - 1, None]):
        return None
    ranked = np.sort(np.concatenate([others, ends], axis=1))
    first_out = ranked[:, -width - 1]
    ended: Mask = ends > first_out[:, None]
    return ended


def _margins(ends: Scores, others: Scores, ended: Mask | None, width: int) -> Scores:
    """By how much the closest decision of each sentence was decided, (B,); ∞ or not a number where there was none."""
    kept, dropped = others[:, width - 1], others[:, width]
    margins: Scores = kept - dropped
    for gap in _end_gaps(ends, others, ended, width):
        np.fmin(margins, gap, out=margins)
    return margins


def _end_gaps(ends: Scores, others: Scores, ended: Mask | None, width: int) -> tuple[Scores, ...]:
    """How far the extensions with EOS were from ending if they did not, and from not ending if they did, (B,) each."""
    if ended is None:
        return (others[:, width - 1] - ends.max(axis=1),)
    ranked = np.sort(np.concatenate([others, ends], axis=1))
    last_in, first_out = ranked[:, -width], ranked[:, -width - 1]
    worst_end = np.where(ended, ends, -NEVER).min(axis=1)
    best_missed = np.where(ended, NEVER, ends).max(axis=1)
    return worst_end - first_out, last_in - best_missed


def _taken(beam: Beam, totals: Floats, ended: Mask, attention: Tensor | None) -> Ended:
    rows = np.flatnonzero(ended)
    return Ended(beam=beam, rows=rows, log_probabilities=totals.reshape(-1)[rows], attention=attention)
