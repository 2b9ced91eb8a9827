"""Attention: which source tokens a decoder state looks at.

Each kind scores queries (B, Q, D) against keys (B, S, A) that are made once per sentence. The queries are all target
positions of a sentence in training, and its hypotheses in search, so the same code serves both, and hypotheses share
their sentence's memory.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.autograd.repeated import Factor, Repeated
from nmt.model.state import Memory
from nmt.system.machine import product_dtype


class AttendedMemory(Protocol):
    """What attention reads: a `Memory`, or a `StepMemory` for queries that come step by step in training."""

    @property
    def keys(self) -> Factor: ...  # (B, S, A)
    @property
    def values(self) -> Factor: ...  # (B, S, H)
    @property
    def mask(self) -> Tensor: ...  # (B, S)


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """A memory whose keys or values form their gradient after the last step."""

    keys: Factor
    values: Factor
    mask: Tensor


class Attention(nn.Module, ABC):
    """What a decoder needs: keys made once per sentence, then contexts and weights for queries."""

    @abstractmethod
    def project(self, values: Tensor) -> Tensor:
        """Keys (B, S, A) of encoder outputs (B, S, H)."""

    @abstractmethod
    def forward(self, query: Tensor, memory: AttendedMemory, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Context vectors (B, Q, H) and weights (B, Q, S) of queries (B, Q, D); `state` (B, Q, S) where it has one."""

    def step_memory(self, memory: Memory) -> AttendedMemory:
        """The memory for queries that come step by step in training."""
        return memory

    def start(self, memory: Memory) -> Tensor | None:  # noqa: ARG002 (for kinds with a state)
        """The state before the first step, (B, S); None for an attention without one."""
        return None

    def advance(self, state: Tensor | None, weights: Tensor) -> Tensor | None:  # noqa: ARG002 (for kinds with a state)
        """The next state (N, S), after a step with these weights (N, S)."""
        return state


class ScoredAttention(Attention):
    """One score per query and key; a = softmax(scores) over the source tokens; c = Σ a v, v the values."""

    @abstractmethod
    def scores(self, query: Tensor, memory: AttendedMemory) -> Tensor:
        """Scores (B, Q, S) of queries (B, Q, D)."""

    def forward(self, query: Tensor, memory: AttendedMemory, state: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        return self.read(self.scores(query, memory), memory)

    def read(self, scores: Tensor, memory: AttendedMemory) -> tuple[Tensor, Tensor]:
        """Contexts and weights that follow from scores (B, Q, S)."""
        weights = masked_softmax(scores, memory.mask)
        return weights.to(memory.values.dtype) @ memory.values, weights

    def step_memory(self, memory: Memory) -> StepMemory:
        return StepMemory(keys=memory.keys, values=_repeat(memory.values), mask=memory.mask)


def _repeat(factor: Tensor) -> Repeated:
    return Repeated(factor.to(product_dtype(factor)))


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax of scores (B, Q, S) over the positions where mask (B, S) is True."""
    return scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(dim=-1)


class DotAttention(ScoredAttention):
    """score = qᵀ v (Luong et al. 2015, eq. 8, dot)."""

    def __init__(self, _config: ModelConfig) -> None:
        super().__init__()

    def project(self, values: Tensor) -> Tensor:
        return values

    def scores(self, query: Tensor, memory: AttendedMemory) -> Tensor:
        return query.to(memory.keys.dtype) @ memory.keys.mT

    def step_memory(self, memory: Memory) -> StepMemory:
        return StepMemory(keys=_repeat(memory.keys), values=_repeat(memory.values), mask=memory.mask)


class GeneralAttention(DotAttention):
    """score = qᵀ W v (Luong et al. 2015, eq. 8, general)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.key = nn.Linear(config.encoder_size, config.decoder_size, bias=False)

    def project(self, values: Tensor) -> Tensor:
        return self.key(values)  # type: ignore[no-any-return]


class AdditiveAttention(ScoredAttention):
    """score = wᵀ tanh(W q + U v) (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.query = nn.Linear(config.decoder_size, config.decoder_size)
        self.key = nn.Linear(config.encoder_size, config.decoder_size, bias=False)
        self.score = nn.Linear(config.decoder_size, 1, bias=False)

    def project(self, values: Tensor) -> Tensor:
        return self.key(values)  # type: ignore[no-any-return]

    def scores(self, query: Tensor, memory: AttendedMemory) -> Tensor:
        return self.score(torch.tanh(self.sums(query, memory))).squeeze(-1)  # type: ignore[no-any-return]

    def sums(self, query: Tensor, memory: AttendedMemory) -> Tensor:
        """W q + U v, (B, Q, S, A)."""
        assert isinstance(memory.keys, Tensor)
        return self.query(query).unsqueeze(2) + memory.keys.unsqueeze(1)  # type: ignore[no-any-return]


class HeadsAttention(Attention):
    """Several heads, each with its own queries, keys and values. The weights returned are the mean over the heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        query_size, value_size = config.decoder_size, config.encoder_size
        self.heads = config.attention_heads
        self.query = nn.Linear(query_size, query_size)
        self.key = nn.Linear(value_size, query_size)
        self.value = nn.Linear(value_size, query_size)
        self.output = nn.Linear(query_size, value_size)

    @abstractmethod
    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Scores (B·heads, Q, S) of queries (B·heads, Q, A/heads) against keys (B·heads, S, A/heads)."""

    def project(self, values: Tensor) -> Tensor:
        return torch.cat([self.key(values), self.value(values)], dim=-1)  # (B, S, 2A): every step needs both

    def forward(self, query: Tensor, memory: AttendedMemory, state: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        assert isinstance(memory.keys, Tensor)
        keys, values = (self._split(part) for part in memory.keys.chunk(2, dim=-1))  # (B·heads, S, A/heads)
        scores = self.scores(self._split(self.query(query)), keys)
        weights = masked_softmax(scores, memory.mask.repeat_interleave(self.heads, dim=0))
        context = torch.bmm(weights.to(values.dtype), values)  # (B·heads, Q, A/heads)
        mean = weights.view(-1, self.heads, *weights.shape[1:]).mean(dim=1)
        return self.output(self._join(context)), mean

    def _split(self, tensor: Tensor) -> Tensor:
        B, L, A = tensor.shape
        return tensor.view(B, L, self.heads, A // self.heads).transpose(1, 2).reshape(B * self.heads, L, -1)

    def _join(self, tensor: Tensor) -> Tensor:
        rows, L, size = tensor.shape
        return tensor.view(rows // self.heads, self.heads, L, size).transpose(1, 2).reshape(-1, L, self.heads * size)


class MultiHeadAttention(HeadsAttention):
    """Scaled dot products in several heads (Vaswani et al. 2017, section 3.2.2)."""

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        scale: float = queries.size(-1) ** -0.5
        return torch.bmm(queries, keys.transpose(1, 2)) * scale
