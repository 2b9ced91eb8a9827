"""Constraints on the next token. They lower the scores of some tokens before the search chooses the best extensions.

A score of −∞ forbids a token. The decoding loop receives a list of constraints, so a new constraint needs no change of
the loop. nmt/translation/constraints.py defines the list for translators.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from nmt.data.batch import Integers
from nmt.model.candidates import Candidates
from nmt.search.beam import Beam, Mask
from nmt.search.extensions import NEVER
from nmt.search.options import SearchOptions
from nmt.search.sentence import Sentence

SentenceType = TypeVar("SentenceType", bound=Sentence, contravariant=True)


class Rule(Protocol):
    """The form of a constraint that applies to one batch."""

    def apply(self, scores: Tensor, beam: Beam) -> None:
        """Lower some of the scores in place.

        The search calls this method once per step, before it extends the hypotheses. A rule can keep a state for each
        hypothesis, and update the state with `beam.origins`. The hypothesis in row r of the beam extends the hypothesis
        in row `beam.origins[r]` of the beam in the previous call.

        A rule must not raise a score. The search relies on the fact that log P never rises as a hypothesis grows. At
        least one candidate must remain possible.

        Args:
            scores: log P of each candidate as the next token of each hypothesis, (B', K, W), with EOS in column 0. B'
                is the number of sentences in the beam.
            beam: the hypotheses. Row b of `scores` belongs to sentence `beam.sentences[b]` of the batch.
        """
        ...


class Constraint(Protocol[SentenceType]):
    """A condition that translations must meet, for example length bounds or terms that must appear.

    The type of the sentences states what a constraint reads. `Sentence` contains only the ids. A subclass also contains
    what the user requests for the translation of the sentence.
    """

    def start(self, sentences: Sequence[SentenceType], candidates: Candidates) -> Rule | None:
        """Return the rule for one batch, or None if the constraint does not affect this batch.

        The effect of the rule on a sentence must not depend on the other sentences of the batch.

        Args:
            sentences: the batch.
            candidates: the candidate tokens. For sentence b, column c of the scores belongs to the token
                `candidates.tokens[b, c]`.
        """
        ...


class LengthBounds:
    """The constraint that the length of a hypothesis is within the bounds in the options.

    The length is the number of tokens, not including EOS.
    """

    def __init__(self, options: SearchOptions) -> None:
        self.options = options

    def start(self, sentences: Sequence[Sentence], candidates: Candidates) -> "LengthRule":
        limits = [sentence.max_length(self.options) for sentence in sentences]
        only_eos = None if candidates.counts is None else candidates.counts.cpu().numpy() == 1
        return LengthRule(self.options.min_length, np.array(limits), only_eos)


class LengthRule:
    """The rule of `LengthBounds`.

    It forbids EOS while a hypothesis is shorter than the minimum, unless EOS is the only candidate. When a hypothesis
    has reached its maximum length, the rule forbids all tokens except EOS.

    Args:
        minimum: the minimum number of tokens of a hypothesis.
        limits: the maximum number of tokens for each sentence, (B,). Each must be at least `minimum`.
        only_eos: whether EOS is the only candidate of each sentence, (B,). None if each sentence has others.
    """

    def __init__(self, minimum: int, limits: Integers, only_eos: Mask | None = None) -> None:
        self.minimum = minimum
        self.limits = limits
        self.only_eos = only_eos if only_eos is not None and only_eos.any() else None
        self.lowest_limit = limits.min()

    def apply(self, scores: Tensor, beam: Beam) -> None:
        if beam.length < self.minimum:
            others = slice(None) if self.only_eos is None else torch.from_numpy(~self.only_eos[beam.sentences])
            scores[others, :, 0] = NEVER
        if beam.length >= self.lowest_limit:
            full = np.flatnonzero(self.limits[beam.sentences] <= beam.length)
            scores[torch.from_numpy(full), :, 1:] = NEVER


class NoRepeatedNgrams:
    """The constraint that no n-gram of tokens occurs twice in a translation.

    Args:
        size: the number of tokens of an n-gram.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def start(self, sentences: Sequence[Sentence], candidates: Candidates) -> "NgramRule":
        exempt = [{token for term in sentence.terms for form in term.forms for token in form} for sentence in sentences]
        return NgramRule(self.size, candidates, exempt)


class NgramRule:
    """The rule of `NoRepeatedNgrams`.

    It forbids the tokens that would repeat an n-gram, except tokens of terms. If nothing else is possible, these tokens
    stay possible.
    """

    def __init__(self, size: int, candidates: Candidates, exempt: Sequence[set[int]]) -> None:
        self.size, self.candidates, self.exempt = size, candidates, exempt
        self.history = np.zeros((0, 0), dtype=np.int64)  # the tokens of each hypothesis, (N, T)

    def apply(self, scores: Tensor, beam: Beam) -> None:
        if beam.length:
            self.history = np.column_stack([self.history[beam.origins], beam.last])
        else:
            self.history = np.zeros((len(beam.last), 0), dtype=np.int64)
        size, length = self.size, beam.length
        if length < size:
            return
        repeated = np.zeros((len(self.history), int(self.candidates.tokens.max()) + 1), dtype=np.bool_)
        context = self.history[:, length - size + 1 :]
        for first in range(length - size + 1):
            after = first + size - 1
            rows = np.flatnonzero((self.history[:, first:after] == context).all(axis=1))
            repeated[rows, self.history[rows, after]] = True
        B, K, W = scores.shape
        for row, sentence in enumerate(beam.sentences):
            repeated[row * K : (row + 1) * K, [*self.exempt[sentence]]] = False
        tokens = self.candidates.tokens
        own = tokens[torch.from_numpy(beam.sentences).to(tokens.device)] if len(tokens) > 1 else tokens.expand(B, W)
        marks = torch.from_numpy(repeated).to(scores.device).view(B, K, -1)
        blocked = marks.gather(2, own.unsqueeze(1).expand(B, K, W))  # (B, K, W)
        possible = (scores.masked_fill(blocked, NEVER) > NEVER).any(dim=2, keepdim=True)
        scores.masked_fill_(blocked & possible, NEVER)


class ForbiddenTokens:
    """The constraint that some tokens of the vocabulary never appear in a translation.

    Args:
        ids: the ids of the forbidden tokens.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = torch.tensor(sorted(ids), dtype=torch.int64)

    def start(self, sentences: Sequence[Sentence], candidates: Candidates) -> "ForbiddenColumns | None":  # noqa: ARG002
        if not len(self.ids):
            return None
        forbidden = torch.isin(candidates.tokens, self.ids.to(candidates.tokens.device))
        return ForbiddenColumns(forbidden) if forbidden.any() else None


class ForbiddenColumns:
    """The rule that forbids some candidates of each sentence.

    Args:
        forbidden: a mask that is True at forbidden candidates, (B, W), or (1, W) if all sentences share one row.
    """

    def __init__(self, forbidden: Tensor) -> None:
        self.forbidden = forbidden
        self.shared = forbidden[0].nonzero().squeeze(1) if len(forbidden) == 1 else None

    def apply(self, scores: Tensor, beam: Beam) -> None:
        if self.shared is not None:
            scores.index_fill_(2, self.shared, NEVER)
        else:
            sentences = torch.from_numpy(beam.sentences).to(scores.device)
            scores.masked_fill_(self.forbidden[sentences].unsqueeze(1), NEVER)
