"""Scorers, through which search uses a model. A scorer predicts the probabilities of the next tokens.

- `ModelScorer` computes with one PyTorch network.
- `EnsembleScorer` combines several scorers.

On a CPU, the native library (nmt/native) searches whole sentences instead, and needs no scorer.
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
    """The state of B sentences and their N = B·K hypotheses. Row b·K + k belongs to hypothesis k of sentence b."""

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> Self:
        """Return a new state that consists of selected hypotheses of this state.

        Args:
            rows: the selected hypotheses, as rows of this state, in the order of the new state, int64. A row can occur
                several times.
            sentences: the sentences of the new state, as indices in this state, int64. None keeps all sentences.
        """
        ...


State = TypeVar("State", bound=ScorerState)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The probabilities of the next token of each hypothesis."""

    log_probabilities: Tensor
    """Log P of each candidate as the next token, (N, W) float32, contiguous. The probabilities of the candidates sum to
    1. The caller may overwrite this tensor, and the next step of the scorer may overwrite it, too."""
    attention: Tensor
    """The attention weights over the source tokens, (N, S). Later steps of the scorer do not change this tensor."""


class Scorer(Protocol[State]):
    """The interface that search uses to compute with a model."""

    @property
    def target_size(self) -> int:
        """The size of the target vocabulary."""
        ...

    @property
    def device(self) -> torch.device:
        """The device of the scorer's inputs and outputs."""
        ...

    @property
    def tolerance(self) -> float:
        """The rounding error of log P in nats: how much log P of a hypothesis can differ between two batches."""
        ...

    def start(self, source: Tensor, lengths: Tensor, candidates: Candidates) -> State:
        """Encode the source sentences. In the state that is returned, each sentence has one empty hypothesis (N = B).

        Args:
            source: the ids of each sentence, EOS last, (B, S).
            lengths: the number of ids of each sentence, including EOS, (B,).
            candidates: the tokens for which `step` predicts probabilities.
        """
        ...

    def step(self, tokens: Tensor, state: State) -> tuple[Prediction, State]:
        """Append a token to each hypothesis and predict the next tokens.

        Args:
            tokens: the token to append to each hypothesis, (N,). In the first step, all tokens are BOS.
            state: the state before the step.

        Returns:
            The prediction, and the state after the step.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class CandidateSoftmax:
    """The output layer of a network, restricted to the candidates of a batch."""

    union: CandidateUnion  # the U tokens that are candidates of at least one sentence of the batch
    weight: Tensor  # (U, H), or (U, E) if the network projects its vectors to the embedding size
    bias: Tensor  # (U,)
    columns: Tensor | None  # (B, S) the column of each source token; None unless the output layer copies tokens

    @staticmethod
    def of(network: Seq2Seq, candidates: Candidates, source: Tensor) -> "CandidateSoftmax":
        union = candidates.union()
        weight, bias, tokens = network.output.weight, network.output.bias, union.tokens
        columns = candidates.columns(source) if network.output.copies else None
        # If all tokens are candidates, the union begins with EOS. The special tokens before EOS are never candidates.
        if len(tokens) == network.target_size - EOS:
            return CandidateSoftmax(union=union, weight=weight[EOS:], bias=bias[EOS:], columns=columns)
        own = {"weight": weight.index_select(0, tokens), "bias": bias.index_select(0, tokens)}
        return CandidateSoftmax(union=union, columns=columns, **own)

    def select(self, sentences: Tensor) -> "CandidateSoftmax":
        columns = None if self.columns is None else self.columns.index_select(0, sentences)
        return replace(self, union=self.union.select(sentences), columns=columns)

    def readout(self, step: Step) -> Readout:
        """Compute what the output layer receives. The argument is the result of one decoder step for N hypotheses."""
        columns = self.columns
        if columns is not None:
            columns = columns.repeat_interleave(len(step.vectors) // len(columns), dim=0)
        return Readout(vectors=step.vectors, attention=step.attention, columns=columns)

    def log_probabilities(self, vectors: Tensor) -> Tensor:
        """Compute log P (N, W) of the candidates from the vectors of the decoder, which are (N, H) or (N, E)."""
        logits = F.linear(vectors, self.weight, self.bias).float()
        return self.union.distribute(logits).log_softmax(dim=-1)


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """The state of a `ModelScorer`. The hypotheses of a sentence share one row of the memory."""

    memory: Memory  # B rows
    decoder: DecoderState  # N rows
    softmax: CandidateSoftmax  # of B sentences

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> "ModelState":
        decoder = self.decoder.select(rows)
        if sentences is None:
            return replace(self, decoder=decoder)
        return ModelState(memory=self.memory.select(sentences), decoder=decoder, softmax=self.softmax.select(sentences))


class ModelScorer:
    """A scorer that computes with one PyTorch network."""

    # The rounding error in a row of a matrix product depends on the shape of the batch. For 500 sentences and a trained
    # model, log P of a hypothesis differed by 2e-6 on average and by at most 1e-5.
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
    """The state of an `EnsembleScorer`, which contains the state of each member of the ensemble."""

    members: tuple[Any, ...]

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> "EnsembleState":
        return EnsembleState(members=tuple(member.select(rows, sentences) for member in self.members))


class EnsembleScorer:
    """A scorer that averages the probabilities and the attention weights of several scorers.

    All members must have the same vocabularies.
    """

    def __init__(self, members: Sequence[Scorer[Any]]) -> None:
        self.members = tuple(members)
        self.target_size = self.members[0].target_size
        self.device = self.members[0].device

    @property
    def tolerance(self) -> float:
        """The largest tolerance of all members. It can depend on torch's number of threads (see `Engine.tolerance`)."""
        return max(member.tolerance for member in self.members)

    def start(self, source: Tensor, lengths: Tensor, candidates: Candidates) -> EnsembleState:
        return EnsembleState(members=tuple(member.start(source, lengths, candidates) for member in self.members))

    def step(self, tokens: Tensor, state: EnsembleState) -> tuple[Prediction, EnsembleState]:
        steps = [member.step(tokens, inner) for member, inner in zip(self.members, state.members, strict=True)]
        predictions = [prediction for prediction, _ in steps]
        # Add the probabilities as logarithms, because small probabilities would underflow.
        summed = functools.reduce(torch.logaddexp, (prediction.log_probabilities for prediction in predictions))
        mean = Prediction(
            log_probabilities=summed - math.log(len(predictions)),
            attention=torch.stack([prediction.attention for prediction in predictions]).mean(dim=0),
        )
        return mean, EnsembleState(members=tuple(inner for _, inner in steps))
