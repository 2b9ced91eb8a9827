"""The decoding loop. Each step scores the candidates, applies constraints, and extends the hypotheses.

The loop ends when every sentence is done.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from nmt.data.batch import Integers, pad
from nmt.errors import ModelError
from nmt.model.candidates import Candidates, Shortlist
from nmt.search.beam import Beam, BeamStep, extend_beam
from nmt.search.constraints import Constraint, LengthBounds, NoRepeatedNgrams
from nmt.search.finished import Finished, Hypothesis
from nmt.search.options import SearchOptions
from nmt.search.prefix import ForcedPrefix
from nmt.search.reranking import build_rerankers
from nmt.search.scorer import Scorer
from nmt.search.sentence import AnySentence
from nmt.search.terms import TermBeamSearch


class Strategy(Protocol):
    """A way to extend the hypotheses of a batch by one token, such as beam search or sampling."""

    @property
    def needs_attention(self) -> bool:
        """Whether `extend` reads the attention weights."""

    def extend(
        self, beam: Beam, scores: Tensor, candidates: Integers, attention: Tensor | None, *, margins: bool
    ) -> BeamStep:
        """Extend the hypotheses by one token. See `nmt.search.beam.extend_beam` for the arguments."""
        ...

    def restart(self, sentence: int) -> Self:
        """Return a strategy that searches one sentence of the batch from the beginning."""
        ...


@dataclass(frozen=True)
class BeamSearch:
    """The strategy that keeps the `width` best extensions of each sentence."""

    width: int
    needs_attention = False

    def extend(
        self, beam: Beam, scores: Tensor, candidates: Integers, attention: Tensor | None, *, margins: bool
    ) -> BeamStep:
        return extend_beam(beam, scores, candidates, self.width, attention, margins=margins)

    def restart(self, sentence: int) -> Self:  # noqa: ARG002 - the strategy is the same for every sentence
        return self


@dataclass(frozen=True, kw_only=True)
class Search(Generic[AnySentence]):
    """The parts of a search that are the same for all batches."""

    scorer: Scorer[Any]
    """A model or an ensemble."""
    constraints: Sequence[Constraint[AnySentence]] = ()
    """Conditions that translations must meet, in addition to the length bounds in the options."""
    shortlist: Shortlist | None = None
    """The limit on the target tokens that a translation may contain. By default, all tokens are allowed."""
    edges: bytes = b""
    """For each target token, how it begins and ends (see nmt/search/sentence.py). It decides what a whole word is, for
    terms. By default, nothing is known."""
    identify: Callable[[AnySentence, list[int]], Hashable] | None = None
    """A function that takes a sentence and the ids of a hypothesis, and returns for example the text of the hypothesis.
    If it returns equal values for several hypotheses of a sentence, an n-best list contains only the best of them, and
    the search continues until the list is full. By default, all hypotheses are different."""


@torch.inference_mode()
def decode(
    search: Search[AnySentence],
    sentences: Sequence[AnySentence],
    options: SearchOptions,
    strategy: Strategy | None = None,
) -> list[list[Hypothesis]]:
    """Search the n best translations of each sentence. Return a list for each sentence, best translation first.

    The result for a sentence does not depend on the other sentences of the batch. This takes some care, because log P
    of a hypothesis varies a little with the shape of the batch (`Scorer.tolerance`). The variation can reverse a close
    decision between two hypotheses, and thereby change a translation. Rounding the scores does not help, because two
    nearly equal scores can still be rounded to different values. Instead, the search records the margin of the closest
    decision of each sentence. If the margin is smaller than the tolerance, the sentence is searched again alone.

    Args:
        search: the scorer, and what limits the search.
        sentences: the batch.
        options: the options of the search.
        strategy: how hypotheses are extended. The default is beam search with a beam of `options.beam`. Sentences with
            terms are searched one by one.

    Raises:
        ModelError: a probability from the scorer is NaN.
    """
    if strategy is None and any(sentence.terms for sentence in sentences):
        return [
            decode(search, [sentence], options, TermBeamSearch(sentence, options, search.edges))[0]
            if sentence.terms
            else decode(search, [sentence], options)[0]
            for sentence in sentences
        ]
    strategy = strategy or BeamSearch(options.beam)
    found = decode_batch(search, sentences, options, strategy)
    results = [found.best(index) for index in range(len(sentences))]
    if len(sentences) > 1:
        for index, sentence in enumerate(sentences):
            if found.margin(index) < search.scorer.tolerance:
                results[index] = decode_batch(search, [sentence], options, strategy.restart(index)).best(0)
    return results


@torch.inference_mode()
@np.errstate(invalid="ignore")  # the difference −∞ − −∞ of two impossible hypotheses is NaN, but it is never used
def decode_batch(
    search: Search[AnySentence], sentences: Sequence[AnySentence], options: SearchOptions, strategy: Strategy
) -> Finished:
    """Search a batch once. Return all finished hypotheses, with the margin of each sentence's closest decision."""
    scorer, shortlist, identify = search.scorer, search.shortlist, search.identify
    source, lengths = (ids.to(scorer.device) for ids in pad([[*sentence.source] for sentence in sentences]))
    required = [sentence.required_tokens() for sentence in sentences]
    also = required if any(required) else ()
    candidates = (
        shortlist.candidates(source, lengths, also=also)
        if shortlist
        else Candidates.all(scorer.target_size, scorer.device)
    )
    columns = np.broadcast_to(candidates.tokens.cpu().numpy(), (len(sentences), candidates.tokens.size(1)))
    all_constraints: list[Constraint[AnySentence]] = [LengthBounds(options), *search.constraints, ForcedPrefix()]
    if options.no_repeat_ngram_size:
        all_constraints.append(NoRepeatedNgrams(options.no_repeat_ngram_size))
    started = [constraint.start(sentences, candidates) for constraint in all_constraints]
    rules = [rule for rule in started if rule is not None]
    distinguish = (lambda index, ids: identify(sentences[index], ids)) if identify else None
    limits = [sentence.max_length(options) for sentence in sentences]
    finished = Finished(lengths.tolist(), options, build_rerankers(options), distinguish, limits)
    beam, state = Beam.start(len(sentences)), scorer.start(source, lengths, candidates)
    while len(beam.sentences):
        prediction, state = scorer.step(_to(scorer.device, beam.last), state)
        scores = prediction.log_probabilities.view(*beam.log_probabilities.shape, -1)
        for rule in rules:
            rule.apply(scores, beam)
        needed = finished.needs_attention or strategy.needs_attention
        attention = prediction.attention if needed else None
        step = strategy.extend(beam, scores, columns, attention, margins=len(sentences) > 1)
        finished.add(step)
        remaining = finished.select_remaining(step.beam)
        # Reorder the scorer's state like the beam, unless no row has moved.
        if remaining is None:
            beam = step.beam
            if beam.moved:
                state = state.select(_to(scorer.device, beam.origins))
        else:
            beam = step.beam.select(remaining)
            if len(remaining):
                state = state.select(_to(scorer.device, beam.origins), _to(scorer.device, remaining))
    if not finished.is_complete():
        raise ModelError("the model's probabilities are not numbers: its training diverged; use another checkpoint")
    return finished


def _to(device: torch.device, rows: Integers) -> Tensor:
    return torch.from_numpy(rows).to(device)
