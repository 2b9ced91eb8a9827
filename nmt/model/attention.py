"""Attention, which determines how much the decoder uses each source token when it predicts a target token.

Every class scores queries (B, Q, D) against keys (B, S, A). Keys are computed once per source sentence. In training,
each target position of a sentence has a query. In search, each hypothesis of a sentence has a query for its next token.
The same code serves both. All hypotheses of a sentence share its keys and values.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.autograd.repeated import Factor, Repeated
from nmt.model.state import Memory
from nmt.system.devices import product_dtype


class AttendedMemory(Protocol):
    """The encoded sentences that attention reads: a `Memory` or a `StepMemory`."""

    @property
    def keys(self) -> Factor: ...  # (B, S, A)
    @property
    def values(self) -> Factor: ...  # (B, S, H)
    @property
    def mask(self) -> Tensor: ...  # (B, S)


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Encoded sentences for training with a loop over the time steps of the decoder.

    The keys, the values or both are `Repeated`. The gradient of a `Repeated` factor is computed as one large product,
    after the backward pass of all time steps.
    """

    keys: Factor
    values: Factor
    mask: Tensor


class Attention(nn.Module, ABC):
    """The base class of attention.

    `project` computes the keys once per sentence. `forward` computes context vectors and attention weights for queries.
    Some subclasses have a state (B, Q, S), which changes from one time step to the next.
    """

    @abstractmethod
    def project(self, values: Tensor) -> Tensor:
        """Compute the keys (B, S, A) from encoder outputs (B, S, H)."""

    @abstractmethod
    def forward(self, query: Tensor, memory: AttendedMemory, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute context vectors (B, Q, C) and attention weights (B, Q, S) for queries (B, Q, D)."""

    def step_memory(self, memory: Memory) -> AttendedMemory:
        """Return the encoded sentences in the form that is fastest for a loop over time steps in training."""
        return memory

    def start(self, memory: Memory) -> Tensor | None:  # noqa: ARG002 (for attentions with a state)
        """Return the state (B, S) before the first step. Return None if this attention has no state."""
        return None

    def advance(self, state: Tensor | None, weights: Tensor) -> Tensor | None:  # noqa: ARG002 (for attentions with a state)
        """Return the state (N, S) after a step. `weights` (N, S) are the attention weights of the step."""
        return state


class ScoredAttention(Attention):
    """Attention with one score for each pair of a query and a key.

    The attention weights are a = softmax(scores) over the source tokens. The context is c = Σ_s a_s v_s, where v_s is
    the encoder output at source token s.
    """

    @abstractmethod
    def scores(self, query: Tensor, memory: AttendedMemory) -> Tensor:
        """Compute the scores (B, Q, S) of queries (B, Q, D)."""

    def forward(self, query: Tensor, memory: AttendedMemory, state: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        return self.read(self.scores(query, memory), memory)

    def read(self, scores: Tensor, memory: AttendedMemory) -> tuple[Tensor, Tensor]:
        """Compute contexts (B, Q, C) and attention weights (B, Q, S) from scores (B, Q, S)."""
        weights = masked_softmax(scores, memory.mask)
        return weights.to(memory.values.dtype) @ memory.values, weights

    def step_memory(self, memory: Memory) -> StepMemory:
        return StepMemory(keys=memory.keys, values=_repeat(memory.values), mask=memory.mask)


def _repeat(factor: Tensor) -> Repeated:
    return Repeated(factor.to(product_dtype(factor)))


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Apply softmax to scores (B, Q, S) over the positions where `mask` (B, S) is True."""
    return scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(dim=-1)


class DotAttention(ScoredAttention):
    """Dot-product attention: score = qᵀ v for query q and encoder output v (Luong et al. 2015, eq. 8, dot)."""

    def __init__(self, _config: ModelConfig) -> None:
        super().__init__()

    def project(self, values: Tensor) -> Tensor:
        return values

    def scores(self, query: Tensor, memory: AttendedMemory) -> Tensor:
        return query.to(memory.keys.dtype) @ memory.keys.mT

    def step_memory(self, memory: Memory) -> StepMemory:
        return StepMemory(keys=_repeat(memory.keys), values=_repeat(memory.values), mask=memory.mask)


class GeneralAttention(DotAttention):
    """Bilinear attention: score = qᵀ W v for query q and encoder output v (Luong et al. 2015, eq. 8, general)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.key = nn.Linear(config.encoder_size, config.decoder_size, bias=False)

    def project(self, values: Tensor) -> Tensor:
        return self.key(values)  # type: ignore[no-any-return]


class AdditiveAttention(ScoredAttention):
    """Additive attention: score = wᵀ tanh(W q + U v) for query q and encoder output v.

    See Bahdanau et al. 2015, appendix A.1.2.
    """

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
        """Compute W q + U v (B, Q, S, A) for each query q and encoder output v."""
        assert isinstance(memory.keys, Tensor)
        return self.query(query).unsqueeze(2) + memory.keys.unsqueeze(1)  # type: ignore[no-any-return]


class HeadsAttention(Attention):
    """Attention with several heads. Each head has its own queries, keys and values.

    The attention weights that `forward` returns are the mean over the heads.
    """

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
        """Score queries (B·heads, Q, A/heads) against keys (B·heads, S, A/heads). Return scores (B·heads, Q, S)."""

    def project(self, values: Tensor) -> Tensor:
        return torch.cat([self.key(values), self.value(values)], dim=-1)  # (B, S, 2A)

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
    """Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2.2)."""

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        scale: float = queries.size(-1) ** -0.5
        return torch.bmm(queries, keys.transpose(1, 2)) * scale


ATTENTIONS: dict[str, Callable[[ModelConfig], Attention]] = {
    "dot": DotAttention,
    "general": GeneralAttention,
    "additive": AdditiveAttention,
    "multi_head": MultiHeadAttention,
}
"""The attention classes by name. `model.attention` is one of these names, or a name that nmt/model/parts.py adds."""
