"""The beam: the live hypotheses, and one step that extends them by a piece.

The search is breadth first over the K best hypotheses of each sentence (Graves 2012; Sutskever et al. 2014). All
live hypotheses have the same length, so they compare by log P alone; lengths matter only between finished ones
(nmt/search/finished.py).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.types import BOS, EOS


@dataclass(frozen=True, kw_only=True)
class Beam:
    """The live hypotheses of B sentences, K of each, best first."""

    sentences: Tensor  # (B,) int64, which sentences of the batch are still here
    pieces: Tensor  # (B, K, 1 + T) int64, BOS first
    log_probabilities: Tensor  # (B, K) float64; −∞ where there is no hypothesis
    attention: Tensor | None  # (B, K, T, S), the weights with which each piece was predicted, where they are kept

    @staticmethod
    def start(source: Tensor, attention: bool) -> "Beam":
        """One empty hypothesis for each of the sentences (B, S)."""
        B, S = source.shape
        return Beam(
            sentences=torch.arange(B, device=source.device),
            pieces=torch.full((B, 1, 1), BOS, device=source.device),
            log_probabilities=torch.zeros(B, 1, dtype=torch.float64, device=source.device),
            attention=torch.zeros(B, 1, 0, S, device=source.device) if attention else None,
        )

    @property
    def length(self) -> int:
        """T, the number of pieces so far."""
        return self.pieces.size(2) - 1

    @property
    def last(self) -> Tensor:
        """The last piece of each hypothesis, (N,)."""
        return self.pieces[:, :, -1].flatten()

    def select(self, rows: Tensor) -> "Beam":
        """The beam of some of its sentences, by row."""
        return Beam(
            sentences=self.sentences[rows],
            pieces=self.pieces[rows],
            log_probabilities=self.log_probabilities[rows],
            attention=None if self.attention is None else self.attention[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Hypotheses that ended at one step."""

    sentences: list[int]
    pieces: list[list[int]]  # without BOS and EOS
    log_probabilities: list[float]
    attention: list[Tensor] | None  # (T + 1, S) each, EOS included


@dataclass(frozen=True, kw_only=True)
class Advance:
    """What one step makes of a beam."""

    beam: Beam
    parents: Tensor  # (B, K') which of its sentence's K hypotheses each one in the new beam extends
    ended: Ended
    margins: Tensor  # (B,) how much log P lay between what was kept and what was dropped


def advance(beam: Beam, scores: Tensor, attention: Tensor, width: int) -> Advance:
    """Extends every hypothesis by every piece and keeps the best.

    Of all extensions of a sentence's hypotheses, those with EOS among the `width` best end; the `width` best of the
    others live on (fewer only if there are no more).

    Args:
        beam: K hypotheses a sentence.
        scores: log P of the next pieces, (B, K, V), bans as −∞.
        attention: the weights with which the scores came, (N, S).
        width: how many hypotheses a sentence may have.
    """
    B, K, V = scores.shape
    # Relative to the sentence's best hypothesis the sums are small: float32 tells them apart however long they are.
    best = beam.log_probabilities[:, :1]
    totals = (beam.log_probabilities - best).float().unsqueeze(-1) + scores
    # At most `width` of these candidates have EOS, so `width` and one more go on.
    relative, flat = totals.flatten(1).topk(min(2 * width + 1, K * V))
    candidates = best + relative  # (B, C) float64, best first
    parents, pieces = flat // V, flat % V
    ends = pieces == EOS

    order = ends.int().argsort(dim=1, stable=True)  # those without EOS first, still by score
    going_on = relative.masked_fill(ends, float("-inf")).gather(1, order)
    live = order[:, : min(width, K * (V - 1))]
    kept = parents.gather(1, live)
    history = beam.attention
    if history is not None:
        history = torch.cat([history, attention.view(B, K, 1, -1)], dim=2)
    rows = torch.arange(B, device=scores.device).unsqueeze(1)
    return Advance(
        beam=Beam(
            sentences=beam.sentences,
            pieces=torch.cat([beam.pieces[rows, kept], pieces.gather(1, live).unsqueeze(-1)], dim=-1),
            log_probabilities=candidates.gather(1, live),
            attention=None if history is None else history[rows, kept],
        ),
        parents=kept,
        ended=_ended(beam, history, candidates[:, :width], parents, ends[:, :width]),
        margins=torch.minimum(_gap(relative, width), _gap(going_on, live.size(1))),
    )


def _ended(beam: Beam, history: Tensor | None, candidates: Tensor, parents: Tensor, ends: Tensor) -> Ended:
    rows, ranks = (ends & candidates.isfinite()).nonzero(as_tuple=True)
    hypotheses = parents[rows, ranks]
    return Ended(
        sentences=beam.sentences[rows].tolist(),
        pieces=beam.pieces[rows, hypotheses, 1:].tolist(),
        log_probabilities=candidates[rows, ranks].tolist(),
        attention=None if history is None else list(history[rows, hypotheses]),
    )


def _gap(descending: Tensor, kept: int) -> Tensor:
    """Distance between the last of the first `kept` columns and the one behind, (B,); ∞ where none is."""
    if kept >= descending.size(1):
        return torch.full_like(descending[:, 0], float("inf"))
    return (descending[:, kept - 1] - descending[:, kept]).nan_to_num(nan=float("inf"), posinf=float("inf"))
