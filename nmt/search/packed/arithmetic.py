"""The arithmetic of a packed network (nmt/search/packed/engine.py): float32, bfloat16 or int8.

A network consists of matrix products and elementwise operations. The result of an elementwise operation for one row
does not depend on the rest of the batch. A matrix product in floating point, however, may round the same row
differently in another batch. With int8 such a rounding error would be amplified, because a difference in the last bit
can move an activation from one of its 255 levels to the next. `Int8` therefore multiplies integers, whose sums are
exact in any order. Sums that are held in float32 are exact because they stay below 2²⁴. So a hypothesis has the same
log P in every batch, except for the rounding of the sum in the softmax.

A _factor_ below is a matrix in the form that is multiplied: unchanged in floating point, rounded to integer levels in
int8. After the product of two factors, the result is multiplied by a _scale_ that undoes this conversion.
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
from nmt.system.torch_private import multiply_int8, pack_int8
from nmt.types import EOS, Integers

Product = Callable[[Tensor], Tensor]
"""A function that computes y = W x + b for each row, from x (N, D) to y (N, F), both float32. The caller may overwrite
the result. F is the number of outputs."""

MAX_EXACT_INTEGER = 2**24  # float32 represents every integer up to this one
COARSE_TOLERANCE = 5e-2  # nats; the tolerance if a rounding error can move a factor to its next level
LEVELS = (127, 63, 31, 15)  # the choices for the number of levels on each side of 0
# A compiled loop is faster than torch's operator up to this number of multiplications and of weights.
MAX_COMPILED_PRODUCTS, MAX_COMPILED_WEIGHTS = 2**20, 2**19
# The number of levels of attention weights, with which the weighted sums of int8 values over a sentence are exact.
WEIGHT_LEVELS = 2**16


class Arithmetic(ABC):
    """The way in which a packed network computes matrix products."""

    tolerance: float
    """The largest difference of log P of one hypothesis between two batches, in nats (see nmt/search/loop.py)."""

    @abstractmethod
    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
        """Build the function x -> W x + b with the weight W (F, D) and the bias b (F,).

        `bounded` states that all |x| are at most 1, as for the outputs of a recurrent layer.
        """

    @abstractmethod
    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> "SoftmaxWeights":
        """Prepare the weight (V, D) and the bias (V,) of the softmax. `product` explains `bounded`."""

    def queries(self, x: Tensor, *, bounded: bool) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002
        """Convert queries (B, K, D) to factors for the product with keys.

        Return the factors and the scale of their products (B, K, 1). The scale is None if it is the constant `unit`.
        """
        return x, None

    def unit(self, terms: int, *, bounded: bool) -> float:  # noqa: ARG002
        """Return the constant part of the scale of products with factors from `queries`. `terms` is their size D."""
        return 1.0

    def sentences(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Convert one matrix per sentence (B, S, D), zero at padding, to factors.

        Return the factors and the scales of their products (B, 1, 1).
        """
        return x, torch.ones(x.size(0), 1, 1)

    def weights(self, x: Tensor) -> Tensor:
        """Convert attention weights to factors for the product with values. The scale is `weight_unit`."""
        return x

    weight_unit = 1.0
    """The scale of products with factors from `weights`."""


class SoftmaxWeights(ABC):
    """The weights of the softmax, from which the product for the candidates of each batch is built."""

    @abstractmethod
    def product(self, tokens: Tensor) -> Product:
        """Build the product that computes the scores of `tokens`, whose ids (U,) are in ascending order."""

    @property
    @abstractmethod
    def all(self) -> Product:
        """The product that computes the scores of all tokens of the vocabulary from EOS on."""

    def select_candidates(self, candidates: Candidates) -> "CandidateProduct":
        """Build the product that computes the scores of the candidates of a batch."""
        union = candidates.union()
        product = self.all if candidates.counts is None else self.product(union.tokens)
        return SharedProduct(product=product, union=union)


class CandidateProduct(ABC):
    """A function that computes the scores of the candidates of a batch."""

    @abstractmethod
    def __call__(self, vectors: Tensor) -> Tensor:
        """Compute scores (N, W), −∞ in columns without a candidate, from the decoder's vectors (N, D)."""

    @abstractmethod
    def select(self, sentences: Tensor) -> Self:
        """Return the product for only some of the sentences, given by their rows."""


@dataclass(frozen=True, kw_only=True)
class SharedProduct(CandidateProduct):
    """One product for the candidates of all sentences. Each sentence then selects the scores of its candidates."""

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

    tolerance = COARSE_TOLERANCE

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:  # noqa: ARG002
        weight = weight.bfloat16()
        if bias is None:
            return lambda x: F.linear(x.bfloat16(), weight).float()
        return lambda x: F.linear(x.bfloat16(), weight).float().add_(bias)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:  # noqa: ARG002
        return FloatSoftmaxWeights(self, weight, bias)


class FloatSoftmaxWeights(SoftmaxWeights):
    """Softmax weights in floating point.

    The product for the whole vocabulary is built once. The product for a shortlist is built for each batch.
    """

    def __init__(self, arithmetic: Arithmetic, weight: Tensor, bias: Tensor) -> None:
        self.arithmetic, self.weight, self.bias = arithmetic, weight, bias

    @functools.cached_property
    def all(self) -> Product:
        """See `SoftmaxWeights`."""
        return self.arithmetic.product(self.weight[EOS:], self.bias[EOS:], bounded=False)

    def product(self, tokens: Tensor) -> Product:
        return self.arithmetic.product(self.weight[tokens], self.bias[tokens], bounded=False)


class Int8(Arithmetic):
    """Products of int8 integers. Weights and activations are rounded to 255 levels.

    A weight matrix has a scale for each output. Activations have a scale for each row, which is computed at each step.
    Activations between -1 and 1, such as the outputs of an LSTM, have a constant scale instead. With the constant
    scale, neither calibration on example text nor a pass over the activations is needed.
    """

    tolerance = 1e-5  # only the sum in the softmax is not exact

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
        return _int8(*quantize(weight), bias, bounded=bounded)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:
        return Int8SoftmaxWeights(weight, bias, bounded=bounded)

    weight_unit = 1 / WEIGHT_LEVELS

    def __init__(self) -> None:
        # An operator has a third of the overhead if it gets a 0-dim tensor instead of a Python float.
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
    """Softmax weights in int8, quantized once.

    A compiled loop reads the rows of the candidates directly. torch's product has to copy and pack these rows for every
    batch, which takes 2 ms for 1,500 rows of 512 weights.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> None:
        self.weight, self.scale = quantize(weight)
        self.bias, self.bounded = bias, bounded
        self.compiled = CompiledWeights(self.weight, self.scale, bias, kernels.FINE_LEVELS)

    def select_candidates(self, candidates: Candidates) -> CandidateProduct:
        if candidates.counts is None or not (self.bounded and kernels.AVAILABLE):
            return super().select_candidates(candidates)
        return SentenceProducts(
            weights=self.compiled, tokens=candidates.tokens.numpy(), counts=candidates.counts.numpy()
        )

    @functools.cached_property
    def all(self) -> Product:
        """See `SoftmaxWeights`."""
        return _int8(self.weight[EOS:], self.scale[EOS:], self.bias[EOS:], bounded=self.bounded)

    def product(self, tokens: Tensor) -> Product:
        return _int8(self._rows(tokens), self.scale[tokens], self.bias[tokens], bounded=self.bounded)

    def _rows(self, tokens: Tensor) -> Tensor:
        if self.weight.size(1) % 8:
            return self.weight[tokens]
        # Copy eight weights at a time, because copying single bytes is slow.
        return self.weight.view(torch.int64).index_select(0, tokens).view(torch.int8)


class CompiledWeights:
    """Int8 weights as numpy arrays, which compiled loops read."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor, levels: np.float32) -> None:
        self.weight, self.bias, self.levels = weight.numpy(), bias.numpy(), levels
        self.scale = (scale * torch.tensor(float(1 / levels))).numpy()

    def multiply(self, x: Tensor, rows: Integers, counts: Integers) -> Tensor:
        """Compute the outputs (N, W) that each sentence needs, from x (N, D).

        Column c of sentence b is output `rows[b, c]` if c is below `counts[b]`, and −∞ otherwise.
        """
        out = np.empty((x.size(0), rows.shape[1]), np.float32)
        kernels.multiply(x.numpy(), self.levels, self.weight, self.scale, self.bias, rows, counts, out)
        return torch.from_numpy(out)


@dataclass(frozen=True, kw_only=True)
class SentenceProducts(CandidateProduct):
    """A separate product for the candidates of each sentence.

    With 64 sentences this takes an eighth of the multiplications of `SharedProduct`.
    """

    weights: CompiledWeights
    tokens: Integers  # (B, W)
    counts: Integers  # (B,)

    def __call__(self, vectors: Tensor) -> Tensor:
        return self.weights.multiply(vectors, self.tokens, self.counts)

    def select(self, sentences: Tensor) -> Self:
        rows = sentences.numpy()
        return replace(self, tokens=self.tokens[rows], counts=self.counts[rows])


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a weight (F, D) to integer levels from -127 to 127.

    Return the levels (F, D) as int8, and the scale of each row (F,). The weight is approximately scale · level.
    """
    scale = _clamp_scale(weight.abs().amax(dim=1)).div_(127)
    return quantize_rows(weight, scale), scale


def quantize_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """Round each row of a matrix (F, D) to integer multiples of its scale (F,). Return these integers as int8.

    The scale of a row must be at least the largest absolute value of the row divided by 127.
    """
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
    """The product W x + b in int8, where all |x| are at most 1."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        self.packed = pack_int8(weight, scale, bias)
        self.compiled: CompiledWeights | None = None
        if kernels.AVAILABLE and weight.numel() <= MAX_COMPILED_WEIGHTS and check_compiled_product():
            outputs = len(weight)
            bias = torch.zeros(outputs) if bias is None else bias
            self.compiled = CompiledWeights(weight.contiguous(), scale, bias, np.float32(127))
            self.rows, self.counts = np.arange(outputs)[None], np.array([outputs])

    def __call__(self, x: Tensor) -> Tensor:
        if self.compiled and x.size(0) * self.compiled.weight.size <= MAX_COMPILED_PRODUCTS:
            return self.compiled.multiply(x, self.rows, self.counts)
        return multiply_int8(x, self.packed)

    def lstm(self, projected: Tensor) -> Tensor | None:
        """Run an LSTM whose recurrent product U h + b is this product over one sentence.

        `projected` holds W x + b of each step (S, 4H). Return the outputs (S, H), or None if there is no compiled loop.
        """
        if self.compiled is None:
            return None
        S, F = projected.shape
        outputs, own = np.empty((S, F // 4), np.float32), self.compiled
        arrays = (own.weight, own.scale, own.bias, self.rows, self.counts)
        kernels.lstm_sequence(projected.numpy(), *arrays, outputs)
        return torch.from_numpy(outputs)


def _clamp_scale(largest: Tensor) -> Tensor:
    return largest.clamp_(min=torch.finfo(torch.float32).tiny)


def _exact_levels(terms: int) -> int:
    """Return the largest number of levels on each side of 0 with which float32 sums of `terms` products are exact."""
    return next(levels for levels in LEVELS if levels**2 * terms <= MAX_EXACT_INTEGER)


@functools.cache
def check_compiled_product() -> bool:
    """Check whether the compiled product and torch's int8 product give identical results on this machine.

    The inputs include values halfway between two levels and their neighbors, where the rounding may differ.
    """
    halves = (torch.arange(-126.5, 127) / 127).view(-1, 1)
    x = torch.cat([halves, halves.nextafter(torch.ones(1)), halves.nextafter(-torch.ones(1))], dim=1).repeat(1, 11)
    weight = (torch.arange(7 * x.size(1)) % 255 - 127).view(7, -1).to(torch.int8)
    scale, bias = torch.linspace(0.1, 3, 7), torch.linspace(-1, 1, 7)
    own = CompiledWeights(weight, scale, bias, np.float32(127))
    got = own.multiply(x, np.arange(7)[None], np.array([7]))
    return torch.equal(got, multiply_int8(x, pack_int8(weight, scale, bias)))


def multiplies_int8_exactly() -> bool:
    """Check whether torch's int8 products are exact on this machine.

    On older processors the sums of int8 products saturate. Some processors do not support int8 products at all.
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
