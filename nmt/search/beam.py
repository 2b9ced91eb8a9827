"""The beam: the live hypotheses of a batch, and one step that extends them by a token.

The search is breadth first over the K best hypotheses of each sentence (Graves 2012; Sutskever et al. 2014). All live
hypotheses have the same length, so they are compared by log P alone. Lengths matter only between finished hypotheses
(nmt/search/finished.py).

A beam is small, so its arithmetic runs in numpy on the host, where an operation costs less than a kernel launch or a
torch operator. Scores stay on their device until only the best are left (nmt/search/extensions.py).
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

    A hypothesis consists of its last token and a pointer back to the beam that it extends, which is all that a step
    writes.
    """

    sentences: Ids  # (B,) indices in the batch of the sentences that are still searched
    log_probabilities: Floats  # (B, K), −∞ in unused slots
    last: Ids  # (N,) the last token of each hypothesis
    length: int  # tokens so far, T
    before: "Beam | None" = None  # the beam of length T − 1
    origins: Ids  # (N,) the row of `before` that each hypothesis extends
    attention: Tensor | None = (
        None  # (rows of `before`, S) the weights that predicted the last tokens, if they are kept
    )

    @staticmethod
    def start(sentences: int) -> "Beam":
        """One empty hypothesis for each sentence."""
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
    def first_rows(self) -> Ids:
        """The row of each sentence's first hypothesis, (B, 1)."""
        B, K = self.log_probabilities.shape
        return np.arange(0, B * K, K)[:, None]

    @property
    def moved(self) -> bool:
        """Whether the scorer's state must be reordered: some hypothesis does not extend the one in its row."""
        assert self.before is not None
        rows = len(self.before.last)
        return len(self.last) != rows or bool(np.count_nonzero(self.origins != np.arange(rows)))

    def tokens(self, row: int) -> list[int]:
        """The tokens of one hypothesis, without BOS."""
        return [beam.last.item(row) for beam, row in self._path(row)]

    def weights(self, row: int) -> list[Tensor]:
        """The attention weights that predicted its tokens, (S,) each."""
        path = ((beam.attention, beam.origins.item(row)) for beam, row in self._path(row))
        return [attention[origin] for attention, origin in path if attention is not None]

    def _path(self, row: int) -> list[tuple["Beam", int]]:
        """The beams that lead to a hypothesis, from its first token on, and its row in each."""
        beam, path = self, []
        while beam.before is not None:
            path.append((beam, row))
            row, beam = beam.origins.item(row), beam.before
        path.reverse()
        return path


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Hypotheses of a beam that ended at one step."""

    beam: Beam
    rows: Ids  # (E,) of the beam
    log_probabilities: Floats  # (E,) with EOS
    attention: Tensor | None  # (N, S) the weights that predicted EOS

    def weights(self, row: int) -> Tensor:
        """The attention weights of one hypothesis, EOS included, (T, S). They must have been kept."""
        assert self.attention is not None
        return torch.stack([*self.beam.weights(row), self.attention[row]])


@dataclass(frozen=True, kw_only=True)
class BeamStep:
    """The result of one step."""

    beam: Beam
    ended: Ended | None  # None: no hypothesis ended
    margins: Scores | None  # (B,) the difference in log P that decided the closest choice, if asked for


def extend_beam(
    beam: Beam, scores: Tensor, candidates: Ids, width: int, attention: Tensor | None = None, *, margins: bool = False
) -> BeamStep:
    """Extend every hypothesis by every candidate token and keep the best.

    Of all extensions of a sentence's hypotheses, those with EOS among the `width` best end, and the `width` best of the
    others live on. If there are fewer, the remaining slots have log P = −∞.

    Args:
        beam: K hypotheses for each sentence.
        scores: log P of the next tokens, (B, K, W), −∞ where forbidden, EOS first. They are overwritten.
        candidates: which tokens these are, (B, W), a row for each sentence of the batch.
        width: most hypotheses of a sentence.
        attention: the weights that predicted the scores, (N, S), if they are to be kept.
        margins: whether to measure the margins.
    """
    # Relative to the sentence's best hypothesis, sums are small enough for float32 to distinguish them at any length.
    best = beam.log_probabilities[:, :1]
    ahead = (beam.log_probabilities - best).astype(np.float32)
    ends, others, places = select_extensions(scores, ahead, width + int(margins))
    origins, columns = np.divmod(places[:, :width], candidates.shape[1])
    origins += beam.first_rows
    is_ended = _find_ended(ends, others, width)
    ended = None
    if is_ended is not None:
        rows = np.flatnonzero(is_ended)
        ended = Ended(beam=beam, rows=rows, log_probabilities=(best + ends).reshape(-1)[rows], attention=attention)
    return BeamStep(
        beam=Beam(
            sentences=beam.sentences,
            log_probabilities=best + others[:, :width],
            last=candidates[beam.sentences[:, None], columns].reshape(-1),
            length=beam.length + 1,
            before=beam,
            origins=origins.reshape(-1),
            attention=attention,
        ),
        ended=ended,
        margins=_measure_margins(ends, others, is_ended, width) if margins else None,
    )


def _find_ended(ends: Scores, others: Scores, width: int) -> Mask | None:
    """Which extensions with EOS, (B, K), are among the `width` best of their sentence.

    None if none is, as in most steps.
    """
    if not np.count_nonzero(ends > others[:, width - 1, None]):
        return None
    ranked = np.sort(np.concatenate([others, ends], axis=1))
    first_out = ranked[:, -width - 1]
    ended: Mask = ends > first_out[:, None]
    return ended


def _measure_margins(ends: Scores, others: Scores, ended: Mask | None, width: int) -> Scores:
    """The difference that decided the closest choice of each sentence, (B,). ∞ or NaN where there was nothing to
    choose.

    Three choices can be close: which extensions without EOS live on, which with EOS end, and which with EOS do not.
    """
    margins: Scores = others[:, width - 1] - others[:, width]
    if ended is None:
        np.fmin(margins, others[:, width - 1] - ends.max(axis=1), out=margins)
        return margins
    ranked = np.sort(np.concatenate([others, ends], axis=1))
    last_in, first_out = ranked[:, -width], ranked[:, -width - 1]
    worst_ended = np.where(ended, ends, -NEVER).min(axis=1)
    best_missed = np.where(ended, NEVER, ends).max(axis=1)
    for gap in (worst_ended - first_out, last_in - best_missed):
        np.fmin(margins, gap, out=margins)
    return margins
