"""The one decoding loop: score, filter, advance, until every sentence is done."""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from nmt.errors import ModelError
from nmt.model.candidates import Candidates, Shortlist
from nmt.search.beam import Advance, Beam, advance
from nmt.search.constraints import Filter, LengthBounds, NoTags
from nmt.search.extensions import Ids
from nmt.search.finished import Finished, Hypothesis
from nmt.search.options import SearchOptions
from nmt.search.scorer import Scorer


class Growth(Protocol):
    """How the hypotheses of a batch grow by a piece."""

    def __call__(self, beam: Beam, scores: Tensor, pieces: Ids, attention: Tensor | None, margins: bool) -> Advance:
        """One step; the arguments are those of `advance`."""

    def alone(self, sentence: int) -> Self:
        """From the first step on, for one sentence of the batch without the others."""


@dataclass(frozen=True)
class KeepBest:
    """The best extensions live on: a beam search."""

    width: int

    def __call__(self, beam: Beam, scores: Tensor, pieces: Ids, attention: Tensor | None, margins: bool) -> Advance:
        return advance(beam, scores, pieces, self.width, attention, margins)

    def alone(self, sentence: int) -> Self:  # noqa: ARG002 - the same for each
        return self


@torch.inference_mode()
def decode(
    scorer: Scorer[Any],
    source: Tensor,
    lengths: Tensor,
    options: SearchOptions,
    shortlist: Shortlist | None = None,
    growth: Growth | None = None,
    tags: int = 0,
) -> list[list[Hypothesis]]:
    """The n best translations of each sentence, best first, the same whatever else is in the batch.

    Log P of a hypothesis varies a little with the neighbours and the padding of its sentence (`Scorer.noise`). That can turn
    a close decision around and with it a translation. Rounding scores does not help: it only moves the points where a hair
    decides. So each sentence remembers its closest decision, and one closer than the noise has the sentence searched again
    alone, in the one shape that does not depend on others.

    Args:
        scorer: a model or an ensemble.
        source: ids (B, S), each sentence ending in EOS, on the scorer's device.
        lengths: (B,), EOS counted.
        options: of the search.
        shortlist: which target pieces are considered for a sentence; all by default.
        growth: how hypotheses grow; by default the best `options.beam` extensions live on.
        tags: how many pieces at the end of the vocabulary are tags, which are never produced; a shortlist has none.

    Raises:
        ModelError: the scorer's probabilities are not numbers.
    """
    growth = growth or KeepBest(options.beam)
    found = search(scorer, source[:, : int(lengths.max())], lengths, options, shortlist, growth, tags)
    results = [found.best(sentence) for sentence in range(len(lengths))]
    if len(results) > 1:
        for sentence in [index for index in range(len(results)) if found.margin(index) < scorer.noise]:
            alone = slice(sentence, sentence + 1)
            ids, length = source[alone, : int(lengths[sentence])], lengths[alone]
            results[sentence] = search(scorer, ids, length, options, shortlist, growth.alone(sentence), tags).best(0)
    return results


@np.errstate(invalid="ignore")  # differences of two impossible hypotheses, which nobody asks for
def search(
    scorer: Scorer[Any],
    source: Tensor,
    lengths: Tensor,
    options: SearchOptions,
    shortlist: Shortlist | None = None,
    growth: Growth | None = None,
    tags: int = 0,
) -> Finished:
    """One batched search, as `decode`: all that it found and by which margins."""
    growth = growth or KeepBest(options.beam)
    candidates = _candidates(scorer, source, lengths, shortlist)
    B, source_lengths = len(lengths), lengths.tolist()
    pieces = np.broadcast_to(candidates.pieces.cpu().numpy(), (B, candidates.pieces.size(1)))
    limits = np.array([options.max_length(length) for length in source_lengths])
    filters: list[Filter] = [LengthBounds(options.min_length, limits)]
    if tags and shortlist is None:
        filters.append(NoTags(tags))
    finished = Finished(source_lengths, options)
    beam, state = Beam.start(B), scorer.start(source, lengths, candidates)
    while len(beam.sentences):
        prediction, state = scorer.step(_on(source.device, beam.last), state)
        scores = prediction.log_probabilities.view(*beam.log_probabilities.shape, -1)
        for rule in filters:
            rule.apply(scores, beam)
        attention = prediction.attention if options.keeps_attention else None
        step = growth(beam, scores, pieces, attention, margins=B > 1)
        finished.add(step)
        staying = finished.staying(step.beam)
        beam = step.beam if staying is None else step.beam.select(staying)
        state = _following(state, beam, staying, source.device)
    if not finished.complete():
        raise ModelError("the model's probabilities are not numbers: its training diverged; use another checkpoint")
    return finished


def _candidates(scorer: Scorer[Any], source: Tensor, lengths: Tensor, shortlist: Shortlist | None) -> Candidates:
    if shortlist is None:
        return Candidates.all(scorer.target_size, source.device)
    return shortlist.candidates(source, lengths)


def _following(state: Any, beam: Beam, staying: Ids | None, device: torch.device) -> Any:
    """The scorer's state for a new beam, in which some sentences may have stayed: as it is, if nothing has moved."""
    if staying is None:
        return state.select(_on(device, beam.origins)) if beam.moved else state
    return state.select(_on(device, beam.origins), _on(device, staying)) if len(staying) else state


def _on(device: torch.device, rows: Ids) -> Tensor:
    return torch.from_numpy(rows).to(device)
