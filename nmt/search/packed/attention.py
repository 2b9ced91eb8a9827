"""The attention of a packed network. nmt/search/packed/arithmetic.py explains factors, scales and levels."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from nmt.data.batch import Integers
from nmt.model.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention, MultiHeadAttention
from nmt.search.packed import kernels
from nmt.search.packed.arithmetic import Arithmetic, Int8, Product
from nmt.search.packed.cells import tanh_
from nmt.search.packed.kernels import Bytes, Floats

# The source length is padded to a multiple of this number. The order of the additions in the softmax then does not
# depend on the padding.
LENGTH_MULTIPLE = 16


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The encoder outputs of a batch. They are zero at padding. S is a multiple of `LENGTH_MULTIPLE`."""

    values: Tensor  # (B, S, C)
    mask: Tensor  # (B, S) bool, True at real tokens
    bounded: bool  # whether all values are guaranteed to be between -1 and 1


@dataclass(frozen=True, kw_only=True)
class KeysValues:
    """The keys and values of a batch as factors, and the scales of products with them (see `Arithmetic`)."""

    keys: Tensor  # (B, S, A)
    key_scale: Tensor  # (B, 1, 1)
    values: Tensor  # (B, S, D)
    value_scale: Tensor  # (B, 1, 1)
    padding: Tensor  # (B, 1, S), 0 at real tokens and −∞ at padding

    def select(self, sentences: Tensor) -> "KeysValues":
        """Return the rows of the sentences with these indices, (B',) int64."""
        return KeysValues(
            keys=self.keys.index_select(0, sentences),
            key_scale=self.key_scale.index_select(0, sentences),
            values=self.values.index_select(0, sentences),
            value_scale=self.value_scale.index_select(0, sentences),
            padding=self.padding.index_select(0, sentences),
        )


@dataclass(frozen=True, kw_only=True)
class Int8KeysValues:
    """The keys and values of a batch in int8, in the form that a compiled loop reads."""

    keys: Bytes  # (B, S, A)
    key_scale: Floats  # (B,)
    values: Bytes  # (B, S, D)
    value_scale: Floats  # (B,)
    lengths: Integers  # (B,)

    def select(self, sentences: Tensor) -> "Int8KeysValues":
        """Return the rows of the sentences with these indices, (B',) int64."""
        rows = sentences.numpy()
        return Int8KeysValues(
            keys=self.keys[rows],
            key_scale=self.key_scale[rows],
            values=self.values[rows],
            value_scale=self.value_scale[rows],
            lengths=self.lengths[rows],
        )


KV = TypeVar("KV", KeysValues, Int8KeysValues)


class PackedAttention(ABC, Generic[KV]):
    """The attention of a packed network. It computes contexts and attention weights at each step."""

    @abstractmethod
    def start(self, encoded: Encoded) -> KV:
        """Compute the keys and values of a batch."""

    @abstractmethod
    def __call__(self, hidden: Tensor, attended: KV) -> tuple[Tensor, Tensor]:
        """Compute the contexts (N, D) and attention weights (N, S) of all hypotheses from queries `hidden` (N, H)."""


class TorchAttention(PackedAttention[KeysValues]):
    """Attention that uses torch operators.

    Args:
        arithmetic: computes the products.
        values: a product that computes the values from the encoder outputs. If None, the values are the encoder outputs
            themselves. If the network multiplies the context by a matrix and uses only the result, this product can be
            given here. It is then computed once for each source token, instead of at each step for each hypothesis.
        bounded: whether all queries are guaranteed to be between -1 and 1.
    """

    def __init__(self, arithmetic: Arithmetic, values: Product | None, *, bounded: bool) -> None:
        self.arithmetic, self.values, self.bounded = arithmetic, values, bounded

    def start(self, encoded: Encoded) -> KeysValues:
        """See `PackedAttention`."""
        values, scale = self.arithmetic.sentences(_project(self.values, encoded))
        keys, key_scale = self.keys(encoded)
        padding = torch.zeros(encoded.mask.shape).masked_fill_(~encoded.mask, -math.inf).unsqueeze(1)
        value_scale = scale * self.arithmetic.weight_unit
        return KeysValues(
            keys=keys,
            key_scale=key_scale,
            values=values,
            value_scale=value_scale,
            padding=padding,
        )

    @abstractmethod
    def keys(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """Compute the keys of a batch, (B, S, A), and the scale of the scores, (B, 1, 1)."""

    @abstractmethod
    def scores(self, query: Tensor, attended: KeysValues) -> Tensor:
        """Compute the scores (B, K, S) of queries (B, K, H). Scores at padding are −∞."""

    def __call__(self, hidden: Tensor, attended: KeysValues) -> tuple[Tensor, Tensor]:
        """See `PackedAttention`."""
        B, _, S = attended.padding.shape
        weights = self.scores(hidden.view(B, -1, hidden.size(-1)), attended).softmax(dim=-1)
        context = torch.bmm(self.arithmetic.weights(weights), attended.values).mul_(attended.value_scale)
        return context.flatten(0, 1), weights.view(-1, S)


class PackedDotAttention(TorchAttention):
    """Dot attention, score = qᵀ k.

    Args:
        arithmetic: computes the products.
        values: see `TorchAttention`.
        bounded: whether all queries are guaranteed to be between -1 and 1.
        project: the product that computes the keys from the encoder outputs. If None, the keys are the encoder outputs.
    """

    def __init__(
        self, arithmetic: Arithmetic, values: Product | None, *, bounded: bool, project: Product | None
    ) -> None:
        super().__init__(arithmetic, values, bounded=bounded)
        self.project = project

    def keys(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        keys, scale = self.arithmetic.sentences(_project(self.project, encoded))
        return keys, scale * self.arithmetic.unit(keys.size(-1), bounded=self.bounded)

    def scores(self, query: Tensor, attended: KeysValues) -> Tensor:
        factors, scale = self.arithmetic.queries(query, bounded=self.bounded)
        products = torch.baddbmm(attended.padding, factors, attended.keys.mT).mul_(attended.key_scale)
        return products if scale is None else products.mul_(scale)


class CompiledDotAttention(PackedAttention[Int8KeysValues]):
    """Dot attention in a compiled loop, with keys and values in int8. All queries must be between -1 and 1."""

    def __init__(self, values: Product | None, project: Product | None) -> None:
        self.values, self.project = values, project

    def start(self, encoded: Encoded) -> Int8KeysValues:
        """See `PackedAttention`."""
        lengths = encoded.mask.sum(dim=1).numpy()
        keys, key_scale = _to_bytes(_project(self.project, encoded), lengths)
        values, value_scale = _to_bytes(_project(self.values, encoded), lengths)
        return Int8KeysValues(keys=keys, key_scale=key_scale, values=values, value_scale=value_scale, lengths=lengths)

    def __call__(self, hidden: Tensor, attended: Int8KeysValues) -> tuple[Tensor, Tensor]:
        """See `PackedAttention`."""
        N, (_, S, D) = hidden.size(0), attended.values.shape
        weights, context = np.empty((N, S), np.float32), np.empty((N, D), np.float32)
        kernels.attend(
            hidden.numpy(),
            attended.keys,
            attended.key_scale,
            attended.values,
            attended.value_scale,
            attended.lengths,
            weights,
            context,
        )
        return torch.from_numpy(context), torch.from_numpy(weights)


class PackedAdditiveAttention(TorchAttention):
    """Additive attention, score = wᵀ tanh(W q + U v). The keys U v are computed once per batch."""

    def __init__(
        self,
        attention: AdditiveAttention,
        arithmetic: Arithmetic,
        values: Product | None,
        *,
        bounded: tuple[bool, bool],
    ) -> None:
        of_query, of_values = bounded
        super().__init__(arithmetic, values, bounded=of_query)
        self.query = arithmetic.product(attention.query.weight, attention.query.bias, bounded=of_query)
        self.key = arithmetic.product(attention.key.weight, None, bounded=of_values)
        self.score = arithmetic.product(attention.score.weight, None, bounded=True)

    def keys(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        return _project(self.key, encoded), torch.ones(len(encoded.mask), 1, 1)

    def scores(self, query: Tensor, attended: KeysValues) -> Tensor:
        B, K, _ = query.shape
        queries = self.query(query.flatten(0, 1)).view(B, K, 1, -1)
        joined = tanh_(queries + attended.keys.unsqueeze(1))  # (B, K, S, A)
        return self.score(joined.flatten(0, 2)).view(B, K, -1).add_(attended.padding)


class PackedMultiHeadAttention(TorchAttention):
    """Multi-head attention with scaled dot products."""

    def __init__(self, attention: MultiHeadAttention, arithmetic: Arithmetic, *, bounded: tuple[bool, bool]) -> None:
        of_query, of_values = bounded
        value = arithmetic.product(attention.value.weight, attention.value.bias, bounded=of_values)
        super().__init__(arithmetic, value, bounded=of_query)
        self.heads = attention.heads
        self.query = arithmetic.product(attention.query.weight, attention.query.bias, bounded=of_query)
        self.key = arithmetic.product(attention.key.weight, attention.key.bias, bounded=of_values)
        self.output = arithmetic.product(attention.output.weight, attention.output.bias, bounded=False)

    def keys(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        keys, scale = self.arithmetic.sentences(_project(self.key, encoded))
        return keys, scale * (keys.size(-1) // self.heads) ** -0.5

    def scores(self, query: Tensor, attended: KeysValues) -> Tensor:
        """Compute the scores of each head, (B, heads, K, S)."""
        B, K, H = query.shape
        factors, scale = self.arithmetic.queries(self.query(query.flatten(0, 1)).view(B, K, H), bounded=False)
        products = (self._split(factors) @ self._split(attended.keys).mT).mul_(attended.key_scale.unsqueeze(1))
        if scale is not None:
            products.mul_(scale.unsqueeze(1))
        return products.add_(attended.padding.unsqueeze(1))

    def __call__(self, hidden: Tensor, attended: KeysValues) -> tuple[Tensor, Tensor]:
        B, _, S = attended.padding.shape
        weights = self.scores(hidden.view(B, -1, hidden.size(-1)), attended).softmax(dim=-1)
        context = self.arithmetic.weights(weights) @ self._split(attended.values)
        joined = context.transpose(1, 2).flatten(2).mul_(attended.value_scale)  # (B, K, A)
        return self.output(joined.flatten(0, 1)), weights.mean(dim=1).view(-1, S)

    def _split(self, x: Tensor) -> Tensor:
        """Split vectors (B, L, A) into heads, (B, heads, L, A / heads). L is the number of vectors per sentence."""
        B, L, A = x.shape
        return x.view(B, L, self.heads, A // self.heads).transpose(1, 2)


def pack_attention(
    attention: Attention, arithmetic: Arithmetic, values: Product | None, *, bounded: tuple[bool, bool]
) -> PackedAttention[Any]:
    """Build the packed counterpart of an attention module.

    Args:
        attention: the attention module of the network.
        arithmetic: computes the products.
        values: see `TorchAttention`. Multi-head attention has its own product for the values and ignores this argument.
        bounded: two flags. The first states whether all queries are guaranteed to be between -1 and 1. The second
            states this for the encoder outputs.
    """
    if isinstance(attention, MultiHeadAttention):
        return PackedMultiHeadAttention(attention, arithmetic, bounded=bounded)
    if isinstance(attention, AdditiveAttention):
        return PackedAdditiveAttention(attention, arithmetic, values, bounded=bounded)
    assert isinstance(attention, DotAttention)
    project = None
    if isinstance(attention, GeneralAttention):
        project = arithmetic.product(attention.key.weight, None, bounded=bounded[1])
    if kernels.AVAILABLE and isinstance(arithmetic, Int8) and bounded[0]:
        return CompiledDotAttention(values, project)
    return PackedDotAttention(arithmetic, values, bounded=bounded[0], project=project)


def _to_bytes(x: Tensor, lengths: Integers) -> tuple[Bytes, Floats]:
    """Round matrices (B, S, D) to int8. Return the integers and the scale of each matrix (B,)."""
    numbers, scale = np.empty(x.shape, np.int8), np.empty(len(x), np.float32)
    kernels.to_bytes(x.contiguous().numpy(), lengths, numbers, scale)
    return numbers, scale


def _project(product: Product | None, encoded: Encoded) -> Tensor:
    """Apply a product to the encoder outputs. The result (B, S, D) is zero at padding.

    If the product is None, return the encoder outputs.
    """
    if product is None:
        return encoded.values
    B, S, _ = encoded.values.shape
    return product(encoded.values.flatten(0, 1)).view(B, S, -1).mul_(encoded.mask.unsqueeze(-1))
