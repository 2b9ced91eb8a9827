"""Constraints: rules for the next token. They lower scores before the best extensions are chosen; −∞ forbids a token.

A new rule is a class here that `build_constraints` adds to its list. The decoding loop does not change.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nmt.model.candidates import Candidates
from nmt.search.beam import Beam
from nmt.search.extensions import NEVER, Ids
from nmt.search.options import SearchOptions
from nmt.search.sentence import Sentence
from nmt.tokenizers.base import Tokenizer
from nmt.types import EOS


class Rule(Protocol):
    """A constraint while one batch is searched."""

    def apply(self, scores: Tensor, beam: Beam) -> None:
        """Lower some of `scores` in place.

        Called once for each step, before any hypothesis is extended. A rule may keep its own state for each hypothesis:
        `beam.origins` says which row of the beam of the call before each row of `beam` extends.

        Args:
            scores: log P of each candidate after each hypothesis, (B', K, W), EOS in column 0. Scores must not be
                raised: that log P only falls as a hypothesis grows lets a search end early. At least one candidate must
                remain.
            beam: the hypotheses; its row b is sentence `beam.sentences[b]` of the batch.
        """
        ...


class Constraint(Protocol):
    """A rule for decoding, such as length bounds, forbidden words, or terms that a translation must contain."""

    def start(self, sentences: Sequence[Sentence], candidates: Candidates) -> Rule | None:
        """The rule for one batch; None if it asks for nothing.

        The rule for a sentence must not depend on the other sentences of its batch.

        Args:
            sentences: the batch.
            candidates: which token each column of the scores is: column c of sentence b is `candidates.tokens[b, c]`.
        """
        ...


class LengthBounds:
    """Every hypothesis has at least `min_length` tokens and at most `max_length` of its source; EOS is not counted."""

    def __init__(self, options: SearchOptions) -> None:
        self.options = options

    def start(self, sentences: Sequence[Sentence], candidates: Candidates) -> "LengthRule":  # noqa: ARG002
        limits = [self.options.max_length(len(sentence.source)) for sentence in sentences]
        return LengthRule(self.options.min_length, np.array(limits))


class LengthRule:
    """Forbids EOS to hypotheses that are too short, and all else to hypotheses at their limit.

    Args:
        minimum: fewest tokens.
        limits: most tokens of each sentence, (B,); at least `minimum`.
    """

    def __init__(self, minimum: int, limits: Ids) -> None:
        self.minimum = minimum
        self.limits = limits
        self.lowest_limit = limits.min()

    def apply(self, scores: Tensor, beam: Beam) -> None:
        if beam.length < self.minimum:
            scores[:, :, 0] = NEVER
        if beam.length >= self.lowest_limit:
            full = np.flatnonzero(self.limits[beam.sentences] <= beam.length)
            scores[torch.from_numpy(full), :, 1:] = NEVER


class ForbiddenTokens:
    """Some tokens of the vocabulary are never produced.

    Args:
        ids: the tokens.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = torch.tensor(sorted(ids), dtype=torch.int64)

    def start(self, sentences: Sequence[Sentence], candidates: Candidates) -> "ForbiddenColumns | None":  # noqa: ARG002
        if not len(self.ids):
            return None
        forbidden = torch.isin(candidates.tokens, self.ids.to(candidates.tokens.device))
        return ForbiddenColumns(forbidden) if forbidden.any() else None


class ForbiddenColumns:
    """Forbids some candidates of each sentence.

    Args:
        forbidden: which, (B, W), or (1, W) if they are the same for all sentences.
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


def build_constraints(target: Tokenizer) -> list[Constraint]:
    """The constraints that translation hands to each search, besides the length bounds of its options.

    Args:
        target: the tokenizer of the target side; what it cannot produce, such as tags, is forbidden.
    """
    special = np.arange(target.size) < EOS  # never among the candidates
    return [ForbiddenTokens(np.flatnonzero(~target.producible & ~special).tolist())]
