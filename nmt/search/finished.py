"""The finished hypotheses of a batch. This module ranks them and decides when the search of a sentence ends."""

import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from nmt.data.batch import Integers
from nmt.search.beam import Beam, BeamStep, Ended
from nmt.search.options import SearchOptions
from nmt.search.reranking import Reranker

# Removing finished sentences from the batch copies the whole state of the scorer. Finished sentences are therefore
# removed only when they are at least this fraction of the batch.
LEAVING_FRACTION = 1 / 8


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A finished translation of a sentence, as token ids."""

    ids: list[int]
    """The tokens of the translation, without BOS and EOS."""
    log_probability: float
    """Log P of the translation, including EOS."""
    score: float
    """The score that ranks the hypothesis. The rerankers compute it from log P, for example as log P / length^α."""
    attention: Tensor | None
    """The attention weights over the source tokens, (len(ids) + 1, S). Each token of the translation has a row, and the
    last row belongs to EOS. None unless the options ask for attention."""


@dataclass(frozen=True, kw_only=True)
class End:
    """A finished hypothesis, stored as a row of `Ended`. Its tokens are collected from the beams only when needed."""

    log_probability: float
    source_length: int
    row: int
    ended: Ended
    key: Hashable = None
    """The identity of the hypothesis. An n-best list contains only the best of several hypotheses with equal keys. None
    means that the hypothesis is different from all others."""

    @property
    def length(self) -> int:
        """The number of tokens of the hypothesis, including EOS."""
        return self.ended.beam.length + 1

    def tokens(self) -> list[int]:
        return self.ended.beam.tokens(self.row)

    def attention(self) -> Tensor:
        return self.ended.weights(self.row)[:, : self.source_length]


class Finished:
    """The finished hypotheses of each sentence of a batch.

    Args:
        lengths: the number of tokens of each source sentence, including EOS.
        options: the options of the search.
        rerankers: the steps that turn log P of a hypothesis into its score, in the order in which they are applied.
        identify: a function that takes the index of a sentence and the ids of a hypothesis. If it returns equal values
            for several hypotheses of a sentence, an n-best list contains only the best of them. By default, all
            hypotheses are different.
        limits: the maximum number of tokens of a hypothesis of each sentence. By default, that of the options.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        options: SearchOptions,
        rerankers: Sequence[Reranker],
        identify: Callable[[int, list[int]], Hashable] | None = None,
        limits: Sequence[int] | None = None,
    ) -> None:
        self.lengths = lengths
        self.options = options
        self.rerankers = rerankers
        self.limits = limits or [options.max_length(length) for length in lengths]
        self.identify = identify if options.nbest > 1 else None
        self.needs_attention = options.attention or any(reranker.needs_attention for reranker in rerankers)
        self._ends: list[list[tuple[float, End]]] = [[] for _ in lengths]  # (score, end) of each hypothesis
        self._margins = np.full(len(lengths), np.inf)
        # Each sentence has a bar. A live hypothesis is dropped unless its log P exceeds the bar of its sentence. −∞
        # keeps all hypotheses, and ∞ means that the sentence is done.
        self._bars = np.full(len(lengths), -np.inf)

    def add(self, step: BeamStep) -> None:
        """Record the hypotheses that ended at one step, and the margins of the step. Ignore sentences that are done."""
        if step.margins is not None:
            sentences = step.beam.sentences
            open_margins = np.where(self._bars[sentences] < np.inf, step.margins, np.inf)
            self._margins[sentences] = np.fmin(self._margins[sentences], open_margins)
        if step.ended is not None:
            self._take(step.ended)

    def _take(self, ended: Ended) -> None:
        sentences = ended.beam.sentences[ended.rows // ended.beam.log_probabilities.shape[1]]
        taken = [index for index, bar in enumerate(self._bars[sentences]) if bar < np.inf]
        for index in taken:
            sentence = int(sentences[index])
            end = End(
                log_probability=float(ended.log_probabilities[index]),
                source_length=self.lengths[sentence],
                row=int(ended.rows[index]),
                ended=ended,
            )
            if self.identify:
                end = replace(end, key=self.identify(sentence, end.tokens()))
            score = end.log_probability
            for reranker in self.rerankers:
                score = reranker.rescore(score, end)
            self._ends[sentence].append((score, end))
        for sentence in set(sentences[taken].tolist()):
            self._bars[sentence] = self._compute_bar(sentence)

    def _compute_bar(self, sentence: int) -> float:
        """Compute the log P that a live hypothesis of a sentence must exceed.

        A live hypothesis is worth extending only if it can still enter the n-best list. Log P never rises as a
        hypothesis grows, and the length is limited. The rerankers can therefore bound the score of every extension.
        Unless the search is exact, a sentence is done as soon as `beam` hypotheses have finished and the n-best list is
        full.
        """
        found, nbest = self._ends[sentence], self.options.nbest
        if len(found) < nbest or len(best := find_distinct(ranked := self._ranked(sentence), nbest)) < nbest:
            return -np.inf
        if len(found) >= self.options.beam and not self.options.exact:
            return np.inf
        worst, _ = ranked[best[-1]]
        longest = self.limits[sentence] + 1
        for reranker in reversed(self.rerankers):
            worst = reranker.lower_bound(worst, longest)
        return worst

    def select_remaining(self, beam: Beam) -> Integers | None:
        """Select the sentences with which the search continues. Return their indices in the beam, or None for all.

        A sentence is done if all live hypotheses are at or below its bar, or if log P is NaN. A sentence that is done
        can remain in the beam for some steps. The hypotheses of such a sentence are ignored.
        """
        wanted = beam.log_probabilities[:, 0] > self._bars[beam.sentences]
        count, B = np.count_nonzero(wanted), len(wanted)
        if count == B:
            return None
        self._bars[beam.sentences[~wanted]] = np.inf
        return None if count and B - count < LEAVING_FRACTION * B else np.flatnonzero(wanted)

    def is_complete(self) -> bool:
        """Return whether every sentence has a finished hypothesis."""
        return all(self._ends)

    def best(self, sentence: int) -> list[Hypothesis]:
        """Return the `options.nbest` best hypotheses of a sentence, best first. Equal scores are ordered by ids.

        If `identify` returns equal values for several hypotheses, the result contains only the best of them.
        """
        ranked = self._ranked(sentence)
        return [
            Hypothesis(
                ids=end.tokens(),
                log_probability=end.log_probability,
                score=score,
                attention=end.attention() if self.options.attention else None,
            )
            for score, end in map(ranked.__getitem__, find_distinct(ranked, self.options.nbest))
        ]

    def margin(self, sentence: int) -> float:
        """Return the margin of the closest decision on which the result of `best` depends, in nats of log P."""
        ranked = self._ranked(sentence)
        considered = find_distinct(ranked, self.options.nbest + 1)
        scores = [score for score, _ in ranked[: considered[-1] + 1]]
        tolerance = 1.0 + sum(reranker.tolerance(self.lengths[sentence]) for reranker in self.rerankers)
        gaps = ((better - worse) / tolerance for better, worse in itertools.pairwise(scores))
        return min([float(self._margins[sentence]), *gaps])

    def _ranked(self, sentence: int) -> list[tuple[float, End]]:
        found = sorted(self._ends[sentence], key=lambda pair: -pair[0])
        if any(first == second for (first, _), (second, _) in itertools.pairwise(found)):
            found.sort(key=lambda pair: (-pair[0], pair[1].tokens()))
        return found


def find_distinct(ranked: Sequence[tuple[float, End]], count: int) -> list[int]:
    """Return the positions of the first `count` different hypotheses. Hypotheses with equal keys are not different."""
    known: set[Hashable] = set()
    positions: list[int] = []
    for position, (_, end) in enumerate(ranked):
        if len(positions) == count:
            break
        if end.key is None or end.key not in known:
            known.add(end.key)
            positions.append(position)
    return positions
