"""Scorers: a model as search sees it, which predicts how probable each token is as the next one.

`ModelScorer` is one network and `EnsembleScorer` several. nmt/search/packed/engine.py has another, for a CPU.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.model.candidates import Candidates, CandidateUnion
from nmt.model.output import Readout
from nmt.model.seq2seq import Seq2Seq
from nmt.model.state import DecoderState, Memory, Step
from nmt.types import EOS


class ScorerState(Protocol):
    """The state of B sentences and their N = B·K hypotheses. Row b·K + k is hypothesis k of sentence b."""

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> Self:
        """The state of hypotheses `rows` (N',), possibly repeated, of `sentences` (B',), or of all."""
        ...


State = TypeVar("State", bound=ScorerState)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The distribution of the next token."""

    log_probabilities: Tensor
    """(N, W) float32, contiguous and normalized, with a column for each candidate of the sentence. The caller may
    overwrite them, and the next step invalidates them."""
    attention: Tensor
    """(N, S) weights over the source tokens. They stay valid."""


class Scorer(Protocol[State]):
    """A model as search sees it."""

    @property
    def target_size(self) -> int:
        """Size of the target vocabulary."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it takes ids and returns probabilities."""
        ...

    @property
    def tolerance(self) -> float:
        """Nats by which log P of a hypothesis may differ between batches."""
        ...

    def start(self, source: Tensor, lengths: Tensor, candidates: Candidates) -> State:
        """Encode source ids (B, S), each ending in EOS, with lengths (B,).

        Each sentence has one empty hypothesis: N = B.
        """
        ...

    def step(self, tokens: Tensor, state: State) -> tuple[Prediction, State]:
        """Append `tokens` (N,) to the hypotheses, first BOS, and predict the next tokens."""
        ...


@dataclass(frozen=True, kw_only=True)
class CandidateSoftmax:
    """The output layer restricted to the candidates of a batch."""

    union: CandidateUnion
    weight: Tensor  # (U, H or E)
    bias: Tensor  # (U,)
    columns: Tensor | None  # (B, S) the columns of the source's tokens among the candidates, for outputs that copy

    @staticmethod
    def of(network: Seq2Seq, candidates: Candidates, source: Tensor) -> "CandidateSoftmax":
        union = candidates.union()
        weight, bias, tokens = network.output.weight, network.output.bias, union.tokens
        columns = candidates.columns(source) if network.output.copies else None
        if (
            len(tokens) == network.target_size - EOS
        ):  # the whole vocabulary; special tokens before EOS are never candidates
            return CandidateSoftmax(union=union, weight=weight[EOS:], bias=bias[EOS:], columns=columns)
        own = {"weight": weight.index_select(0, tokens), "bias": bias.index_select(0, tokens)}
        return CandidateSoftmax(union=union, columns=columns, **own)

    def select(self, sentences: Tensor) -> "CandidateSoftmax":
        columns = None if self.columns is None else self.columns.index_select(0, sentences)
        return replace(self, union=self.union.select(sentences), columns=columns)

    def readout(self, step: Step) -> Readout:
        """The readout that predicts the next tokens of N hypotheses."""
        columns = self.columns
        if columns is not None:
            columns = columns.repeat_interleave(len(step.vectors) // len(columns), dim=0)
        return Readout(vectors=step.vectors, attention=step.attention, columns=columns)

    def log_probabilities(self, vectors: Tensor) -> Tensor:
        """Log P of each sentence's candidates, (N, W), from vectors (N, H or E) of the decoder."""
        logits = F.linear(vectors, self.weight, self.bias).float()
        return self.union.distribute(logits).log_softmax(dim=-1)


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """The state of one model. Hypotheses of a sentence share its row of the memory."""

    memory: Memory  # B rows
    decoder: DecoderState  # N rows
    softmax: CandidateSoftmax  # of B sentences

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> "ModelState":
        decoder = self.decoder.select(rows)
        if sentences is None:
            return replace(self, decoder=decoder)
        return ModelState(memory=self.memory.select(sentences), decoder=decoder, softmax=self.softmax.select(sentences))


class ModelScorer:
    """One model."""

    # Matrix products round a row differently in batches of different shapes. In 500 sentences of a trained model, log P
    # of a hypothesis differs by 2e-6 on average and by at most 1e-5.
    tolerance = 2e-5

    def __init__(self, network: Seq2Seq) -> None:
        self.network = network
        self.target_size = network.target_size

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def start(self, source: Tensor, lengths: Tensor, candidates: Candidates) -> ModelState:
        memory = self.network.encode(source, lengths)
        softmax = CandidateSoftmax.of(self.network, candidates, source)
        return ModelState(memory=memory, decoder=self.network.start(memory), softmax=softmax)

    def step(self, tokens: Tensor, state: ModelState) -> tuple[Prediction, ModelState]:
        step = self.network.step(tokens, state.decoder, state.memory)
        softmax = state.softmax
        log_probabilities = self.network.output.log_probabilities(softmax.readout(step), softmax.log_probabilities)
        prediction = Prediction(log_probabilities=log_probabilities, attention=step.attention)
        return prediction, ModelState(memory=state.memory, decoder=step.state, softmax=state.softmax)


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
        self.target_size = self.members[0].target_size
        self.device = self.members[0].device

    @property
    def tolerance(self) -> float:
        """The largest of its members. It may change: that of a packed network depends on torch's threads."""
        return max(member.tolerance for member in self.members)

    def start(self, source: Tensor, lengths: Tensor, candidates: Candidates) -> EnsembleState:
        return EnsembleState(members=tuple(member.start(source, lengths, candidates) for member in self.members))

    def step(self, tokens: Tensor, state: EnsembleState) -> tuple[Prediction, EnsembleState]:
        steps = [member.step(tokens, inner) for member, inner in zip(self.members, state.members, strict=True)]
        predictions = [prediction for prediction, _ in steps]
        # Add in the logarithmic domain, because the smallest probabilities would underflow.
        summed = functools.reduce(torch.logaddexp, (prediction.log_probabilities for prediction in predictions))
        mean = Prediction(
            log_probabilities=summed - math.log(len(predictions)),
            attention=torch.stack([prediction.attention for prediction in predictions]).mean(dim=0),
        )
        return mean, EnsembleState(members=tuple(inner for _, inner in steps))
