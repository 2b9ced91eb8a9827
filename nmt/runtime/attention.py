"""Attention, packed: products of whole numbers where the arithmetic wants them (nmt/runtime/arithmetic.py)."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.model.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention, MultiHeadAttention
from nmt.runtime.arithmetic import Arithmetic, Product
from nmt.runtime.cells import tanh_

Scale = Tensor | float

MULTIPLE = 16  # of source positions: then a softmax adds up in the same order whatever the padding


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Encoder outputs of a batch, zero at padding; S is a multiple of `MULTIPLE`."""

    values: Tensor  # (B, S, C)
    mask: Tensor  # (B, S) bool, True at real pieces
    bounded: bool  # no output is above 1


@dataclass(frozen=True, kw_only=True)
class Attended:
    """What attention looks at, a row for each sentence: factors for products and what to multiply the results by."""

    keys: Tensor  # (B, S, A)
    key_scale: Scale  # (B, 1, 1)
    values: Tensor  # (B, S, D)
    value_scale: Scale  # (B, 1, 1)
    padding: Tensor  # (B, 1, S), 0 at real pieces and −∞ at padding

    def select(self, sentences: Tensor) -> "Attended":
        return Attended(
            keys=self.keys[sentences],
            key_scale=self.key_scale[sentences] if isinstance(self.key_scale, Tensor) else self.key_scale,
            values=self.values[sentences],
            value_scale=self.value_scale[sentences] if isinstance(self.value_scale, Tensor) else self.value_scale,
            padding=self.padding[sentences],
        )


class PackedAttention(ABC):
    """Contexts and weights for the queries of a step.

    Args:
        arithmetic: of the products.
        values: what to make of encoder outputs before they are averaged; by default nothing. A product that only ever sees the
            context may be made here, once for each source piece instead of once for each hypothesis and step.
        bounded: no query is above 1.
    """

    def __init__(self, arithmetic: Arithmetic, values: Product | None, *, bounded: bool) -> None:
        self.arithmetic, self.values, self.bounded = arithmetic, values, bounded

    def start(self, encoded: Encoded) -> Attended:
        """Keys and values of a batch."""
        seen = encoded.values if self.values is None else _each(self.values, encoded.values, encoded.mask)
        values, value_scale = self.arithmetic.sentences(seen)
        keys, key_scale = self.keys(encoded, values, value_scale)
        padding = torch.zeros(encoded.mask.shape).masked_fill_(~encoded.mask, -math.inf).unsqueeze(1)
        return Attended(keys=keys, key_scale=key_scale, values=values, value_scale=value_scale, padding=padding)

    @abstractmethod
    def keys(self, encoded: Encoded, values: Tensor, scale: Scale) -> tuple[Tensor, Scale]:
        """The keys of a batch (B, S, A) and their scale."""

    @abstractmethod
    def scores(self, query: Tensor, attended: Attended) -> Tensor:
        """Scores (B, K, S) of queries (B, K, H), −∞ at padding."""

    def __call__(self, hidden: Tensor, attended: Attended) -> tuple[Tensor, Tensor]:
        """Contexts (N, D) and weights (N, S) of the queries of all hypotheses (N, H)."""
        B, _, S = attended.padding.shape
        weights = self.scores(hidden.view(B, -1, hidden.size(-1)), attended).softmax(dim=-1)
        factors, scale = self.arithmetic.weights(weights)
        context = torch.bmm(factors, attended.values).mul_(attended.value_scale * scale)
        return context.flatten(0, 1), factors.view(-1, S) * scale


class Dot(PackedAttention):
    """score = qᵀ k, with keys of its own (general) or the encoder's outputs (dot)."""

    def __init__(
        self, arithmetic: Arithmetic, values: Product | None, *, bounded: bool, project: Product | None
    ) -> None:
        super().__init__(arithmetic, values, bounded=bounded)
        self.project = project

    def keys(self, encoded: Encoded, values: Tensor, scale: Scale) -> tuple[Tensor, Scale]:
        if self.project is not None:
            return self.arithmetic.sentences(_each(self.project, encoded.values, encoded.mask))
        return (values, scale) if self.values is None else self.arithmetic.sentences(encoded.values)

    def scores(self, query: Tensor, attended: Attended) -> Tensor:
        factors, scale = self.arithmetic.rows(query, bounded=self.bounded)
        products = torch.baddbmm(attended.padding, factors, attended.keys.mT)
        return products.mul_(attended.key_scale * scale)


class Additive(PackedAttention):
    """score = wᵀ tanh(W q + U v): its sum over A is the only product of a step."""

    def __init__(
        self, attention: AdditiveAttention, arithmetic: Arithmetic, values: Product | None, *, bounded: tuple[bool, bool]
    ) -> None:
        of_query, of_values = bounded
        super().__init__(arithmetic, values, bounded=of_query)
        self.query = arithmetic.product(attention.query.weight, attention.query.bias, bounded=of_query)
        self.key = arithmetic.product(attention.key.weight, None, bounded=of_values)
        self.score = arithmetic.product(attention.score.weight, None, bounded=True)

    def keys(self, encoded: Encoded, values: Tensor, scale: Scale) -> tuple[Tensor, Scale]:  # noqa: ARG002
        return _each(self.key, encoded.values, encoded.mask), 1.0

    def scores(self, query: Tensor, attended: Attended) -> Tensor:
        B, K, _ = query.shape
        queries = self.query(query.flatten(0, 1)).view(B, K, 1, -1)
        joined = tanh_(queries + attended.keys.unsqueeze(1))  # (B, K, S, A)
        return self.score(joined.flatten(0, 2)).view(B, K, -1).add_(attended.padding)


class MultiHead(PackedAttention):
    """Scaled dot products in several heads."""

    def __init__(self, attention: MultiHeadAttention, arithmetic: Arithmetic, *, bounded: tuple[bool, bool]) -> None:
        of_query, of_values = bounded
        value = arithmetic.product(attention.value.weight, attention.value.bias, bounded=of_values)
        super().__init__(arithmetic, value, bounded=of_query)
        self.heads = attention.heads
        self.query = arithmetic.product(attention.query.weight, attention.query.bias, bounded=of_query)
        self.key = arithmetic.product(attention.key.weight, attention.key.bias, bounded=of_values)
        self.output = arithmetic.product(attention.output.weight, attention.output.bias, bounded=False)

    def keys(self, encoded: Encoded, values: Tensor, scale: Scale) -> tuple[Tensor, Scale]:  # noqa: ARG002
        return self.arithmetic.sentences(_each(self.key, encoded.values, encoded.mask))

    def scores(self, query: Tensor, attended: Attended) -> Tensor:
        """Of each head, (B, heads, K, S)."""
        B, K, H = query.shape
        factors, scale = self.arithmetic.rows(self.query(query.flatten(0, 1)).view(B, K, H), bounded=False)
        products = self._split(factors) @ self._split(attended.keys).mT
        scale = scale.unsqueeze(1) if isinstance(scale, Tensor) else scale
        keys = attended.key_scale.unsqueeze(1) if isinstance(attended.key_scale, Tensor) else attended.key_scale
        return products.mul_(scale * keys * (H // self.heads) ** -0.5).add_(attended.padding.unsqueeze(1))

    def __call__(self, hidden: Tensor, attended: Attended) -> tuple[Tensor, Tensor]:
        B, _, S = attended.padding.shape
        weights = self.scores(hidden.view(B, -1, hidden.size(-1)), attended).softmax(dim=-1)
        factors, scale = self.arithmetic.weights(weights)
        context = (factors @ self._split(attended.values)).transpose(1, 2).flatten(2)  # (B, K, A)
        context.mul_(attended.value_scale * scale)
        return self.output(context.flatten(0, 1)), (factors.mean(dim=1) * scale).view(-1, S)

    def _split(self, x: Tensor) -> Tensor:
        """(B, L, A) to (B, heads, L, A / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def pack_attention(
    attention: Attention, arithmetic: Arithmetic, values: Product | None, *, bounded: tuple[bool, bool]
) -> PackedAttention:
    """The packed form of an attention.

    Args:
        attention: of the model.
        arithmetic: of the products.
        values: see `PackedAttention`; not for several heads, which have values of their own.
        bounded: whether queries and encoder outputs are.
    """
    if isinstance(attention, MultiHeadAttention):
        return MultiHead(attention, arithmetic, bounded=bounded)
    if isinstance(attention, AdditiveAttention):
        return Additive(attention, arithmetic, values, bounded=bounded)
    assert isinstance(attention, DotAttention)
    project = None
    if isinstance(attention, GeneralAttention):
        project = arithmetic.product(attention.key.weight, None, bounded=bounded[1])
    return Dot(arithmetic, values, bounded=bounded[0], project=project)


def _each(product: Callable[[Tensor], Tensor], values: Tensor, mask: Tensor) -> Tensor:
    """A product at each position of (B, S, C), zero at padding."""
    B, S, _ = values.shape
    return product(values.flatten(0, 1)).view(B, S, -1).mul_(mask.unsqueeze(-1))
