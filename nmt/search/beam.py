"""The beam, which holds the unfinished ("live") hypotheses of a batch, and a function that extends all of them.

Beam search extends the K best hypotheses of each sentence at every step (Graves 2012; Sutskever et al. 2014). All live
hypotheses have the same length, so log P alone ranks them. Finished hypotheses differ in length, and their scores take
the length into account (nmt/search/finished.py).

A beam is small, so numpy computes with it on the CPU. For small arrays, a numpy operation takes less time than a torch
operator or a GPU kernel. The scores of the candidates stay on their device, and only the best scores are copied to the
CPU (nmt/search/extensions.py).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.batch import Integers
from nmt.search.extensions import NEVER, Scores, select_extensions
from nmt.types import BOS

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Beam:
    """The K live hypotheses of each of B sentences, best first. Row b·K + k is hypothesis k of sentence b.

    A hypothesis is stored as its last token and the row of the hypothesis in the previous beam that it extends. A step
    writes only the token and the row. It never copies the earlier tokens.
    """

    sentences: Integers  # (B,) the sentences that are still searched, as indices in the batch
    log_probabilities: Floats  # (B, K), −∞ in unused slots
    last: Integers  # (N,) the last token of each hypothesis
    length: int  # the number of tokens of each hypothesis
    before: "Beam | None" = None  # the previous beam, in which hypotheses are one token shorter
    origins: Integers  # (N,) the row of `before` that each hypothesis extends
    attention: Tensor | None = None
    """The attention weights from the step that predicted the last tokens, (rows of `before`, S). None if the search
    does not keep attention weights."""

    @staticmethod
    def start(sentences: int) -> "Beam":
        """Return a beam with one empty hypothesis for each sentence."""
        rows = np.arange(sentences)
        return Beam(
            sentences=rows,
            log_probabilities=np.zeros((sentences, 1)),
            last=np.full(sentences, BOS),
            length=0,
            origins=rows,
        )

    def select(self, sentences: Integers) -> "Beam":
        """Return a beam with only some of the sentences. `sentences` contains their indices in this beam."""
        shape = self.log_probabilities.shape
        return replace(
            self,
            sentences=self.sentences[sentences],
            log_probabilities=self.log_probabilities[sentences],
            last=self.last.reshape(shape)[sentences].reshape(-1),
            origins=self.origins.reshape(shape)[sentences].reshape(-1),
        )

    @property
    def first_rows(self) -> Integers:
        """The rows (B, 1) of the first hypotheses of the sentences."""
        B, K = self.log_probabilities.shape
        return np.arange(0, B * K, K)[:, None]

    @property
    def moved(self) -> bool:
        """Whether a hypothesis extends a hypothesis from another row. The scorer's state must then be reordered."""
        assert self.before is not None
        rows = len(self.before.last)
        return len(self.last) != rows or bool(np.count_nonzero(self.origins != np.arange(rows)))

    def tokens(self, row: int) -> list[int]:
        """Return the tokens of the hypothesis in `row`, without BOS."""
        return [beam.last.item(row) for beam, row in self._path(row)]

    def weights(self, row: int) -> list[Tensor]:
        """Return the attention weights (S,) from the prediction of each token of the hypothesis in `row`."""
        path = ((beam.attention, beam.origins.item(row)) for beam, row in self._path(row))
        return [attention[origin] for attention, origin in path if attention is not None]

    def _path(self, row: int) -> list[tuple["Beam", int]]:
        """Return a (beam, row) pair for each token of a hypothesis, starting from the first token."""
        beam, path = self, []
        while beam.before is not None:
            path.append((beam, row))
            row, beam = beam.origins.item(row), beam.before
        path.reverse()
        return path


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The hypotheses of a beam that ended at one step, because the step appended EOS to them."""

    beam: Beam  # the beam before the step
    rows: Integers  # the rows of the ended hypotheses in the beam
    log_probabilities: Floats  # log P of each ended hypothesis, including EOS
    attention: Tensor | None  # (N, S) the attention weights from the step that predicted EOS, for all rows of the beam

    def weights(self, row: int) -> Tensor:
        """Return the attention weights (T, S) of one hypothesis, including EOS.

        This method is only available if the search keeps attention weights.
        """
        assert self.attention is not None
        return torch.stack([*self.beam.weights(row), self.attention[row]])


@dataclass(frozen=True, kw_only=True)
class BeamStep:
    """The result of extending a beam by one token."""

    beam: Beam
    ended: Ended | None  # None if no hypothesis ended
    margins: Scores | None  # (B,) the margin of the closest decision of each sentence, in log P; None if not measured


def extend_beam(
    beam: Beam,
    scores: Tensor,
    candidates: Integers,
    width: int,
    attention: Tensor | None = None,
    *,
    margins: bool = False,
) -> BeamStep:
    """Extend every hypothesis by every candidate token and keep the best extensions.

    A hypothesis ends if its extension by EOS is among the `width` best extensions of the sentence. The `width` best
    extensions by other tokens form the new beam. If a sentence has fewer such extensions, log P is −∞ in the unused
    slots.

    Args:
        beam: K hypotheses for each sentence.
        scores: log P of each candidate as the next token, (B, K, W), with EOS in column 0. A forbidden token has −∞.
            The scores are overwritten.
        candidates: the candidate tokens in the columns of `scores`, (sentences of the batch, W).
        width: the maximum number of hypotheses per sentence in the new beam.
        attention: the attention weights (N, S) from the step that computed the scores. None if the search does not keep
            attention weights.
        margins: whether to measure the margins of the decisions.
    """
    # Subtract log P of the sentence's best hypothesis. The differences stay small at any length, so float32 is precise
    # enough to distinguish the sums.
    best = beam.log_probabilities[:, :1]
    ahead = (beam.log_probabilities - best).astype(np.float32)
    ends, others, indices = select_extensions(scores, ahead, width + int(margins))
    origins, columns = np.divmod(indices[:, :width], candidates.shape[1])
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
    """Return a mask (B, K) of the hypotheses that end.

    A hypothesis ends if its extension by EOS is among the `width` best extensions of the sentence. Return None if no
    hypothesis ends, which is so in most steps.
    """
    if not np.count_nonzero(ends > others[:, width - 1, None]):
        return None
    ranked = np.sort(np.concatenate([others, ends], axis=1))
    first_out = ranked[:, -width - 1]
    ended: Mask = ends > first_out[:, None]
    return ended


def _measure_margins(ends: Scores, others: Scores, ended: Mask | None, width: int) -> Scores:
    """Compute the margin (B,) of each sentence's closest decision, in log P.

    A decision compares two extensions, and its margin is the difference of their log P. If a sentence has no decision,
    the margin is ∞ or NaN. A sentence has up to three decisions. In the last two, extensions by EOS and by other tokens
    are ranked together:

    - The worst extension in the new beam is better than the best extension that is dropped. Neither ends with EOS.
    - The worst extension by EOS among the `width` best extensions is better than the best extension below them.
    - The worst of the `width` best extensions is better than the best extension by EOS below them.
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
