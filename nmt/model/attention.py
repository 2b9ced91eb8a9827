"""Attention: where a decoder state looks in the source sentence.

Every kind scores queries (B, Q, D) against keys (B, S, A) made once per sentence. In training the queries are all target
positions of a sentence, in search its hypotheses: the same code serves both, and hypotheses of one sentence share its memory.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from nmt.model.autograd.repeated import Factor, Repeated
from nmt.model.state import Memory
from nmt.system.machine import product_dtype


class Attended(Protocol):
    """What attention looks at: a `Memory`, or one whose products are repeated step by step."""

    @property
    def keys(self) -> Factor: ...  # (B, S, A)
    @property
    def values(self) -> Factor: ...  # (B, S, H)
    @property
    def mask(self) -> Tensor: ...  # (B, S)


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """A memory for queries that come step by step: in training the gradients of its factors wait until after the last."""

    keys: Factor
    values: Factor
    mask: Tensor
    coverage: Tensor | None = None  # (B, Q, S) the sum of the weights of all steps before, where attention wants it


class Attention(nn.Module, ABC):
    """What a decoder needs: keys made once per sentence, then contexts and weights for queries."""

    @abstractmethod
    def project(self, values: Tensor) -> Tensor:
        """Keys (B, S, A) of encoder outputs (B, S, H), computed once per sentence."""

    @abstractmethod
    def forward(self, query: Tensor, memory: Attended) -> tuple[Tensor, Tensor]:
        """Context vectors (B, Q, H) and attention weights (B, Q, S) of queries (B, Q, D)."""

    def step_memory(self, memory: Memory) -> Attended:
        """The memory for queries that come step by step in training."""
        return memory


class ScoredAttention(Attention):
    """One score for each query and key; softmax over the real source pieces; weighted mean of the values."""

    @abstractmethod
    def scores(self, query: Tensor, memory: Attended) -> Tensor:
        """Scores (B, Q, S) of queries (B, Q, D)."""

    def forward(self, query: Tensor, memory: Attended) -> tuple[Tensor, Tensor]:
        weights = masked_softmax(self.scores(query, memory), memory.mask)
        return weights.to(memory.values.dtype) @ memory.values, weights

    def step_memory(self, memory: Memory) -> StepMemory:
        return StepMemory(keys=memory.keys, values=_repeated(memory.values), mask=memory.mask)


def _repeated(factor: Tensor) -> Repeated:
    return Repeated(factor.to(product_dtype(factor)))


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax of scores (B, Q, S) over the positions where mask (B, S) is True."""
    return scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(dim=-1)


class DotAttention(ScoredAttention):
    """score = qᵀ v (Luong et al. 2015, eq. 8, dot)."""

    def __init__(self, query_size: int, value_size: int, heads: int) -> None:  # noqa: ARG002
        super().__init__()

    def project(self, values: Tensor) -> Tensor:
        return values

    def scores(self, query: Tensor, memory: Attended) -> Tensor:
        return query.to(memory.keys.dtype) @ memory.keys.mT

    def step_memory(self, memory: Memory) -> StepMemory:
        return StepMemory(keys=_repeated(memory.keys), values=_repeated(memory.values), mask=memory.mask)


class GeneralAttention(DotAttention):
    """score = qᵀ W v (Luong et al. 2015, eq. 8, general)."""

    def __init__(self, query_size: int, value_size: int, heads: int) -> None:
        super().__init__(query_size, value_size, heads)
        self.key = nn.Linear(value_size, query_size, bias=False)

    def project(self, values: Tensor) -> Tensor:
        return self.key(values)  # type: ignore[no-any-return]


class AdditiveAttention(ScoredAttention):
    """score = wᵀ tanh(W q + U v) (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, query_size: int, value_size: int, heads: int) -> None:  # noqa: ARG002
        super().__init__()
        self.query = nn.Linear(query_size, query_size)
        self.key = nn.Linear(value_size, query_size, bias=False)
        self.score = nn.Linear(query_size, 1, bias=False)

    def project(self, values: Tensor) -> Tensor:
        return self.key(values)  # type: ignore[no-any-return]

    def scores(self, query: Tensor, memory: Attended) -> Tensor:
        return self.score(torch.tanh(self.joined(query, memory))).squeeze(-1)  # type: ignore[no-any-return]

    def joined(self, query: Tensor, memory: Attended) -> Tensor:
        """W q + U v, (B, Q, S, A)."""
        assert isinstance(memory.keys, Tensor)
        return self.query(query).unsqueeze(2) + memory.keys.unsqueeze(1)  # type: ignore[no-any-return]


class CoverageAttention(AdditiveAttention):
    """score = wᵀ tanh(W q + U v + u c), c the sum of the weights of all steps before (See et al. 2017, eq. 11).

    Attention thus knows what has been translated (Tu et al. 2016).
    """

    def __init__(self, query_size: int, value_size: int, heads: int) -> None:
        super().__init__(query_size, value_size, heads)
        self.coverage = nn.Linear(1, query_size, bias=False)

    def joined(self, query: Tensor, memory: Attended) -> Tensor:
        assert isinstance(memory, StepMemory)
        assert memory.coverage is not None
        return super().joined(query, memory) + self.coverage(memory.coverage.unsqueeze(-1))  # type: ignore[no-any-return]


class HeadsAttention(Attention):
    """Several heads, each with queries, keys and values of its own. Shown weights: the heads' mean."""

    def __init__(self, query_size: int, value_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(query_size, query_size)
        self.key = nn.Linear(value_size, query_size)
        self.value = nn.Linear(value_size, query_size)
        self.output = nn.Linear(query_size, value_size)

    @abstractmethod
    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Scores (B·heads, Q, S) of queries (B·heads, Q, A/heads) against keys (B·heads, S, A/heads)."""

    def project(self, values: Tensor) -> Tensor:
        return torch.cat([self.key(values), self.value(values)], dim=-1)  # (B, S, 2A): both are needed at every step

    def forward(self, query: Tensor, memory: Attended) -> tuple[Tensor, Tensor]:
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


class MultiHeadAdditiveAttention(HeadsAttention):
    """score = wᵀ tanh(W q + U v) in several heads (RNMT+, Chen et al. 2018)."""

    def __init__(self, query_size: int, value_size: int, heads: int) -> None:
        super().__init__(query_size, value_size, heads)
        self.score = nn.Linear(query_size // heads, heads, bias=False)  # row h is the w of head h

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        joined = torch.tanh(queries.unsqueeze(2) + keys.unsqueeze(1))  # (B·heads, Q, S, A/heads)
        w = self.score.weight.to(joined.dtype).repeat(len(joined) // self.heads, 1)  # (B·heads, A/heads)
        return torch.bmm(joined.flatten(1, 2), w.unsqueeze(2)).view_as(joined[..., 0])


ATTENTIONS: dict[
    str,
    type[DotAttention] | type[AdditiveAttention] | type[MultiHeadAttention] | type[MultiHeadAdditiveAttention],
] = {
    "dot": DotAttention,
    "general": GeneralAttention,
    "additive": AdditiveAttention,
    "multi_head": MultiHeadAttention,
    "multi_head_additive": MultiHeadAdditiveAttention,
}
