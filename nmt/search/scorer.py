"""Scorers: what search sees of a model. It asks one thing: how probable is each piece as the next one?

One model and an ensemble stand here; anything else that scores pieces, an int8 engine for example, can stand behind
`Scorer` too.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

from nmt.model.seq2seq import Seq2Seq
from nmt.model.state import DecoderState, Memory


class ScorerState(Protocol):
    """What a scorer knows about B sentences and their N = B·K hypotheses. Row b·K + k is hypothesis k of sentence b."""

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> Self:
        """Hypotheses `rows` (N',), in that order and as often as they are named, of `sentences` (B',), or of all."""
        ...


State = TypeVar("State", bound=ScorerState)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What may come next."""

    log_probabilities: Tensor  # (N, V) float32; belongs to the caller, who may overwrite it
    attention: Tensor  # (N, S) weights over the source pieces


class Scorer(Protocol[State]):
    """A model as search sees it."""

    def start(self, source: Tensor, lengths: Tensor) -> State:
        """Reads source ids (B, S), each ending in EOS, with lengths (B,). One empty hypothesis a sentence: N = B."""
        ...

    def step(self, tokens: Tensor, state: State) -> tuple[Prediction, State]:
        """Appends `tokens` (N,) to the hypotheses, BOS first, and predicts what comes next."""
        ...


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """The state of one model. Hypotheses of a sentence share its row of the memory."""

    memory: Memory  # B rows
    decoder: DecoderState  # N rows

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> "ModelState":
        memory = self.memory if sentences is None else self.memory.select(sentences)
        return ModelState(memory=memory, decoder=self.decoder.select(rows))


class ModelScorer:
    """One model."""

    def __init__(self, network: Seq2Seq) -> None:
        self.network = network

    def start(self, source: Tensor, lengths: Tensor) -> ModelState:
        memory = self.network.encode(source, lengths)
        return ModelState(memory=memory, decoder=self.network.start(memory))

    def step(self, tokens: Tensor, state: ModelState) -> tuple[Prediction, ModelState]:
        step = self.network.step(tokens, state.decoder, state.memory)
        prediction = Prediction(log_probabilities=step.logits.log_softmax(dim=-1), attention=step.attention)
        return prediction, ModelState(memory=state.memory, decoder=step.state)


@dataclass(frozen=True, kw_only=True)
class EnsembleState:
    """The states of an ensemble's members."""

    members: tuple[Any, ...]

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> "EnsembleState":
        return EnsembleState(members=tuple(member.select(rows, sentences) for member in self.members))


class EnsembleScorer:
    """Several models that share vocabularies: the mean of their probabilities, and of their attention weights."""

    def __init__(self, members: Sequence[Scorer[Any]]) -> None:
        self.members = tuple(members)

    def start(self, source: Tensor, lengths: Tensor) -> EnsembleState:
        return EnsembleState(members=tuple(member.start(source, lengths) for member in self.members))

    def step(self, tokens: Tensor, state: EnsembleState) -> tuple[Prediction, EnsembleState]:
        steps = [member.step(tokens, inner) for member, inner in zip(self.members, state.members, strict=True)]
        predictions = [prediction for prediction, _ in steps]
        # From logarithms to logarithm: the smallest probabilities would vanish on the way through P itself.
        summed = functools.reduce(torch.logaddexp, (prediction.log_probabilities for prediction in predictions))
        mean = Prediction(
            log_probabilities=summed - math.log(len(predictions)),
            attention=torch.stack([prediction.attention for prediction in predictions]).mean(dim=0),
        )
        return mean, EnsembleState(members=tuple(inner for _, inner in steps))
