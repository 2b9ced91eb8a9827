"""The constraint that translations begin with a prefix."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nmt.model.candidates import Candidates
from nmt.search.beam import Beam
from nmt.search.extensions import NEVER
from nmt.search.sentence import Sentence


class ForcedPrefix:
    """The constraint that translations begin with the tokens in `Sentence.prefix`, followed by `Sentence.guide`."""

    def start(self, sentences: Sequence[Sentence], candidates: Candidates) -> "PrefixRule | None":
        if not any(sentence.prefix or sentence.guide for sentence in sentences):
            return None
        return PrefixRule(sentences, candidates)


class PrefixRule:
    """The rule of `ForcedPrefix`. The place of a hypothesis is its number of tokens of the prefix plus its state."""

    def __init__(self, sentences: Sequence[Sentence], candidates: Candidates) -> None:
        self.sentences, self.tokens = sentences, candidates.tokens
        self.places: list[int] = []

    def apply(self, scores: Tensor, beam: Beam) -> None:
        B, K, _ = scores.shape
        sentences = [self.sentences[index] for index in beam.sentences]
        if beam.length:
            origins = beam.origins.tolist()
            self.places = [
                self._follow(sentences[row // K], self.places[origin], token)
                for row, (origin, token) in enumerate(zip(origins, beam.last.tolist(), strict=True))
            ]
        else:
            self.places = [0] * (B * K)
        for row, place in enumerate(self.places):
            possible = list_possible(sentences[row // K], place)
            if possible is not None:
                own = self.tokens[beam.sentences[row // K] if len(self.tokens) > 1 else 0]
                allowed = torch.isin(own, torch.from_numpy(np.array(possible)).to(own.device))
                scores[row // K, row % K].masked_fill_(~allowed, NEVER)

    def _follow(self, sentence: Sentence, place: int, token: int) -> int:
        state = place - len(sentence.prefix)
        if not 0 <= state < len(sentence.guide):
            return place + (state < 0)
        return len(sentence.prefix) + dict(sentence.guide[state]).get(token, state)  # others are impossible


def list_possible(sentence: Sentence, place: int) -> list[int] | None:
    """Return the tokens that are possible at a place of a hypothesis. None: all tokens are."""
    state = place - len(sentence.prefix)
    if state < 0:
        return [sentence.prefix[place]]
    return [token for token, _ in sentence.guide[state]] if state < len(sentence.guide) else None
