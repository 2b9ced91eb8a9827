"""The arithmetic of a packed network: float32, bfloat16, or int8 with sums that are exact.

A network consists of matrix products and of elementwise operations. Elementwise operations do not depend on the rest of
the batch, but a product in floating point rounds a row differently in another batch. In int8 that would be fatal: a
difference in the last bit can move an activation from one of its 255 levels to the next. So `Int8` multiplies whole
numbers, whose sums are exact in any order: below 2²⁴ where they are held in float32. A hypothesis gets the same bits in
every batch.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.model.candidates import Candidates, CandidateUnion
from nmt.search.packed import kernels
from nmt.search.packed.kernels import Ids
from nmt.system.torch_private import multiply_int8, pack_int8
from nmt.types import EOS

Product = Callable[[Tensor], Tensor]
"""y = W x + b of rows (N, D), (N, F) float32 both; the result belongs to the caller."""

EXACT = 2**24  # float32 holds every whole number up to here
COARSE = 5e-2  # nats, the tolerance where a last bit can move a factor to its next level
LEVELS = (127, 63, 31, 15)  # possible levels on each side of 0
# Up to this many multiplications and weights, a compiled loop is faster than torch's operator.
MAX_COMPILED_PRODUCTS, MAX_COMPILED_WEIGHTS = 2**20, 2**19
WEIGHT_LEVELS = 2**16  # of attention weights: sums over a sentence of their products with int8 values stay exact


class Arithmetic(ABC):
    """How products are computed, and to which levels their factors are rounded first."""

    tolerance: float
    """Nats by which log P of a hypothesis may differ between two batches (see nmt/search/loop.py)."""

    @abstractmethod
    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
        """W x + b for a fixed W (F, D).

        `bounded`: whether all |x| are at most 1, like the outputs of a recurrent layer.
        """

    @abstractmethod
    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> "SoftmaxWeights":
        """The weights of the softmax (V, D), of which each batch uses some rows. `bounded` is as in `product`."""

    def queries(self, x: Tensor, *, bounded: bool) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002
        """Queries (B, K, D) as factors of a product with keys, and its scale besides `unit`, if there is one."""
        return x, None

    def unit(self, terms: int, *, bounded: bool) -> float:  # noqa: ARG002
        """The scale of sums of `terms` products with such queries."""
        return 1.0

    def sentences(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Matrices (B, S, D), zero at padding, as factors, and the scale of their products (B, 1, 1)."""
        return x, torch.ones(x.size(0), 1, 1)

    def weights(self, x: Tensor) -> Tensor:
        """Attention weights as factors of a product with values, whose scale is `weight_unit`."""
        return x

    weight_unit = 1.0
    """The scale of products with attention weights from `weights`."""


class SoftmaxWeights(ABC):
    """The weights of the softmax."""

    @abstractmethod
    def product(self, pieces: Tensor) -> Product:
        """The product for the outputs of `pieces` (U,), ascending."""

    @property
    @abstractmethod
    def all(self) -> Product:
        """The product for the whole vocabulary."""

    def select_candidates(self, candidates: Candidates) -> "CandidateProduct":
        """The product for the candidates of a batch."""
        union = candidates.union()
        product = self.all if candidates.counts is None else self.product(union.tokens)
        return SharedProduct(product=product, union=union)


class CandidateProduct(ABC):
    """The product of the softmax restricted to the candidates of a batch."""

    @abstractmethod
    def __call__(self, vectors: Tensor) -> Tensor:
        """Scores of each sentence's candidates (N, W) from vectors (N, D), −∞ in unused columns."""

    @abstractmethod
    def select(self, sentences: Tensor) -> Self:
        """The product for some of the sentences, by row."""


@dataclass(frozen=True, kw_only=True)
class SharedProduct(CandidateProduct):
    """One product with the candidates of all sentences, from which each takes its own."""

    product: Product
    union: CandidateUnion

    def __call__(self, vectors: Tensor) -> Tensor:
        return self.union.distribute(self.product(vectors))

    def select(self, sentences: Tensor) -> Self:
        return replace(self, union=self.union.select(sentences))


class Float32(Arithmetic):
    """Products in float32, as in training."""

    tolerance = 2e-5  # measured: 2e-6 on average and at most 1e-5, in 500 sentences of a trained model

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:  # noqa: ARG002
        weight = weight.contiguous()
        return lambda x: F.linear(x, weight, bias)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:  # noqa: ARG002
        return FloatSoftmaxWeights(self, weight, bias)


class BFloat16(Arithmetic):
    """Products in bfloat16 with sums in float32. Everything else is in float32."""

    tolerance = COARSE

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:  # noqa: ARG002
        weight = weight.bfloat16()
        if bias is None:
            return lambda x: F.linear(x.bfloat16(), weight).float()
        return lambda x: F.linear(x.bfloat16(), weight).float().add_(bias)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:  # noqa: ARG002
        return FloatSoftmaxWeights(self, weight, bias)


class FloatSoftmaxWeights(SoftmaxWeights):
    """Weights in floating point. The product for the whole vocabulary is built once, others for each batch."""

    def __init__(self, arithmetic: Arithmetic, weight: Tensor, bias: Tensor) -> None:
        self.arithmetic, self.weight, self.bias = arithmetic, weight, bias

    @functools.cached_property
    def all(self) -> Product:
        """See `SoftmaxWeights`."""
        return self.arithmetic.product(self.weight[EOS:], self.bias[EOS:], bounded=False)

    def product(self, pieces: Tensor) -> Product:
        return self.arithmetic.product(self.weight[pieces], self.bias[pieces], bounded=False)


class Int8(Arithmetic):
    """Weights of 255 levels with a scale for each output; activations of 255 levels with a scale for each row, or a
    fixed one.

    The outputs of an LSTM are between -1 and 1, so a fixed scale fits them. No calibration on other text is needed, and
    no measurement at each step.
    """

    tolerance = 1e-5  # only the softmax's sum over the vocabulary is inexact

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
        return _int8(*quantize(weight), bias, bounded=bounded)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:
        return Int8SoftmaxWeights(weight, bias, bounded=bounded)

    weight_unit = 1 / WEIGHT_LEVELS

    def __init__(self) -> None:
        # Passing a 0-dim tensor instead of a Python float cuts an operator's overhead to a third.
        self.weight_levels = torch.tensor(float(WEIGHT_LEVELS))
        self.levels = {levels: torch.tensor(float(levels)) for levels in LEVELS}

    def queries(self, x: Tensor, *, bounded: bool) -> tuple[Tensor, Tensor | None]:
        levels = _exact_levels(x.size(-1))
        if bounded:
            return torch.mul(x, self.levels[levels]).round_(), None
        scale = _clamp_scale(x.abs().amax(dim=-1, keepdim=True)).div_(levels)
        return (x / scale).round_(), scale

    def unit(self, terms: int, *, bounded: bool) -> float:
        return 1 / _exact_levels(terms) if bounded else 1.0

    def sentences(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scale = _clamp_scale(x.abs().amax(dim=(1, 2), keepdim=True)).div_(_exact_levels(x.size(-1)))
        return (x / scale).round_(), scale

    def weights(self, x: Tensor) -> Tensor:
        return torch.mul(x, self.weight_levels).round_()


class Int8SoftmaxWeights(SoftmaxWeights):
    """Int8 weights, quantized once. torch's product must pack each selection of rows: 1,500 rows of 512 take 2 ms."""

    def __init__(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> None:
        self.weight, self.scale = quantize(weight)
        self.bias, self.bounded = bias, bounded
        self.own = CompiledWeights(self.weight, self.scale, bias, kernels.FINE)

    def select_candidates(self, candidates: Candidates) -> CandidateProduct:
        if candidates.counts is None or not (self.bounded and kernels.AVAILABLE):
            return super().select_candidates(candidates)
        return SentenceProducts(weights=self.own, pieces=candidates.tokens.numpy(), counts=candidates.counts.numpy())

    @functools.cached_property
    def all(self) -> Product:
        """See `SoftmaxWeights`."""
        return _int8(self.weight[EOS:], self.scale[EOS:], self.bias[EOS:], bounded=self.bounded)

    def product(self, pieces: Tensor) -> Product:
        return _int8(self._rows(pieces), self.scale[pieces], self.bias[pieces], bounded=self.bounded)

    def _rows(self, pieces: Tensor) -> Tensor:
        if self.weight.size(1) % 8:
            return self.weight[pieces]
        # Copy eight bytes at a time, because copying single bytes is slow.
        return self.weight.view(torch.int64).index_select(0, pieces).view(torch.int8)


class CompiledWeights:
    """Int8 weights in the form that compiled loops read."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor, levels: np.float32) -> None:
        self.weight, self.bias, self.levels = weight.numpy(), bias.numpy(), levels
        self.scale = (scale * torch.tensor(float(1 / levels))).numpy()

    def multiply(self, x: Tensor, pieces: Ids, counts: Ids) -> Tensor:
        """Outputs (N, W) of rows x (N, D) of B sentences: each has the first `counts` (B,) of its `pieces` (B, W)."""
        out = np.empty((x.size(0), pieces.shape[1]), np.float32)
        kernels.multiply(x.numpy(), self.levels, self.weight, self.scale, self.bias, pieces, counts, out)
        return torch.from_numpy(out)


@dataclass(frozen=True, kw_only=True)
class SentenceProducts(CandidateProduct):
    """A product for each sentence with its own candidates: an eighth of the work of one product for 64 sentences."""

    weights: CompiledWeights
    pieces: Ids  # (B, W)
    counts: Ids  # (B,)

    def __call__(self, vectors: Tensor) -> Tensor:
        return self.weights.multiply(vectors, self.pieces, self.counts)

    def select(self, sentences: Tensor) -> Self:
        rows = sentences.numpy()
        return replace(self, pieces=self.pieces[rows], counts=self.counts[rows])


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a weight (F, D) to int8 levels from -127 to 127, with a scale for each row (F,): weight ≈ scale · level."""
    scale = _clamp_scale(weight.abs().amax(dim=1)).div_(127)
    return quantize_rows(weight, scale), scale


def quantize_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """Round a matrix (F, D) to int8 multiples of the scales of its rows (F,), at least the largest value / 127."""
    return (weight / scale.unsqueeze(1)).round_().to(torch.int8)


def _int8(weight: Tensor, scale: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
    if bounded:
        return BoundedInt8Product(weight, scale, bias)
    packed = pack_int8(weight, scale, None)

    def multiply_rescaled(x: Tensor) -> Tensor:
        largest = _clamp_scale(x.abs().amax(dim=-1, keepdim=True))
        product = multiply_int8(x / largest, packed).mul_(largest)
        return product if bias is None else product.add_(bias)

    return multiply_rescaled


class BoundedInt8Product:
    """W x + b where all |x| are at most 1."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        self.packed = pack_int8(weight, scale, bias)
        self.compiled: CompiledWeights | None = None
        if kernels.AVAILABLE and weight.numel() <= MAX_COMPILED_WEIGHTS and compiled_agrees():
            outputs = len(weight)
            bias = torch.zeros(outputs) if bias is None else bias
            self.compiled = CompiledWeights(weight.contiguous(), scale, bias, np.float32(127))
            self.pieces, self.counts = np.arange(outputs)[None], np.array([outputs])

    def __call__(self, x: Tensor) -> Tensor:
        if self.compiled and x.size(0) * self.compiled.weight.size <= MAX_COMPILED_PRODUCTS:
            return self.compiled.multiply(x, self.pieces, self.counts)
        return multiply_int8(x, self.packed)

    def lstm(self, projected: Tensor) -> Tensor | None:
        """Outputs (S, H) of an LSTM over one sentence, from its inputs W x + b (S, 4H); None without a compiled loop.

        This is its recurrent product.
        """
        if self.compiled is None:
            return None
        S, F = projected.shape
        outputs, own = np.empty((S, F // 4), np.float32), self.compiled
        arrays = (own.weight, own.scale, own.bias, self.pieces, self.counts)
        kernels.lstm_sequence(projected.numpy(), *arrays, outputs)
        return torch.from_numpy(outputs)


def _clamp_scale(largest: Tensor) -> Tensor:
    return largest.clamp_(min=torch.finfo(torch.float32).tiny)


def _exact_levels(terms: int) -> int:
    """The most levels on each side of 0 with which sums of `terms` products are exact in float32."""
    return next(levels for levels in LEVELS if levels**2 * terms <= EXACT)


@functools.cache
def compiled_agrees() -> bool:
    """Whether the compiled product has the bits of torch's on this machine, also near halves, where rounding flips."""
    halves = (torch.arange(-126.5, 127) / 127).view(-1, 1)
    x = torch.cat([halves, halves.nextafter(torch.ones(1)), halves.nextafter(-torch.ones(1))], dim=1).repeat(1, 11)
    weight = (torch.arange(7 * x.size(1)) % 255 - 127).view(7, -1).to(torch.int8)
    scale, bias = torch.linspace(0.1, 3, 7), torch.linspace(-1, 1, 7)
    own = CompiledWeights(weight, scale, bias, np.float32(127))
    got = own.multiply(x, np.arange(7)[None], np.array([7]))
    return torch.equal(got, multiply_int8(x, pack_int8(weight, scale, bias)))


def exact_int8() -> bool:
    """Whether int8 products are exact on this machine.

    On older processors their sums saturate, and some have no such product.
    """
    try:
        weight = torch.full((32, 256), 127, dtype=torch.int8)
        weight[::2, ::3] = -127
        weight[1::4] = -127
        x = torch.ones(3, 256)
        x[1, ::2], x[2, :7] = -1, 0
        got = multiply_int8(x, pack_int8(weight, torch.ones(32), None)) * 127
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(got.round(), (x * 127) @ weight.float().t())


ARITHMETICS: dict[str, type[Arithmetic]] = {"fp32": Float32, "bf16": BFloat16, "int8": Int8}
