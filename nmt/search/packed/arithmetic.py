"""The arithmetic of a packed network (nmt/search/packed/engine.py): float32, bfloat16 or int8.

A network consists of matrix products and elementwise operations. The result of an elementwise operation for one row
does not depend on the rest of the batch. A matrix product in floating point, however, can round the same row
differently in another batch. In int8, such a rounding error would be amplified, because a difference in the last bit
can move an activation from one of its 255 levels to the next. `Int8` therefore multiplies integers. Sums of integers
are exact in any order. Some of these sums are stored in float32, and they are exact because they stay below 2²⁴. As a
result, log P of a hypothesis is the same in every batch, except for the rounding error of the sum in the softmax.

Two terms are used below. A _factor_ is a matrix that has been converted for a product. In floating point, the factor is
the matrix itself. In int8, the factor contains the matrix rounded to integer levels. A _scale_ undoes the conversion:
the product of two factors is multiplied by the scale.
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

from nmt.data.batch import Integers
from nmt.model.candidates import Candidates, CandidateUnion
from nmt.search.packed import kernels
from nmt.system.torch_private import multiply_int8, pack_int8
from nmt.types import EOS

Product = Callable[[Tensor], Tensor]
"""A function that computes y = W x + b for each row x of a matrix (N, D). The result is (N, F). Both matrices are
float32. The caller may overwrite the result."""

MAX_EXACT_INTEGER = 2**24  # float32 can represent every integer up to this one
COARSE_TOLERANCE = 5e-2  # nats; the tolerance if a rounding error can move an element of a factor to the next level
LEVELS = (127, 63, 31, 15)  # the choices for the number of levels on each side of 0
# A compiled loop is faster than torch's operator up to these numbers of multiplications and of weights.
MAX_COMPILED_PRODUCTS, MAX_COMPILED_WEIGHTS = 2**20, 2**19
# The number of levels of attention weights. With this number, sums of weighted int8 values over a sentence are exact.
WEIGHT_LEVELS = 2**16


class Arithmetic(ABC):
    """The way in which a packed network computes matrix products."""

    tolerance: float
    """The rounding error of log P in nats: how much log P of a hypothesis can differ between two batches."""

    @abstractmethod
    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
        """Build a function that computes W x + b.

        Args:
            weight: W, (F, D).
            bias: b, (F,), or None.
            bounded: whether all elements of x are guaranteed to be between -1 and 1, like the outputs of a recurrent
                layer.
        """

    @abstractmethod
    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> "SoftmaxWeights":
        """Prepare the weight (V, D) and the bias (V,) of the softmax. See `product` for the meaning of `bounded`."""

    def queries(self, x: Tensor, *, bounded: bool) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002
        """Convert queries (B, K, D) to factors for products with keys.

        Return the factors, and the part of the scale that varies by query (B, K, 1). This part is None if the scale
        consists only of the constant part, which `unit` returns.
        """
        return x, None

    def unit(self, terms: int, *, bounded: bool) -> float:  # noqa: ARG002
        """Return the constant part of the scale for factors from `queries`. `terms` is D, the size of a query."""
        return 1.0

    def sentences(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Convert matrices to factors. There is one matrix per sentence, (B, S, D), which is zero at padding.

        Return the factors and the scales (B, 1, 1).
        """
        return x, torch.ones(x.size(0), 1, 1)

    def weights(self, x: Tensor) -> Tensor:
        """Convert attention weights to factors for products with values. The scale is `weight_unit`."""
        return x

    weight_unit = 1.0
    """The scale for factors from `weights`."""


class SoftmaxWeights(ABC):
    """The weights of the softmax. `select_candidates` builds a function that scores the candidates of a batch."""

    @abstractmethod
    def product(self, tokens: Tensor) -> Product:
        """Build a function that computes the scores of tokens. `tokens` (U,) are ids in ascending order."""

    @property
    @abstractmethod
    def all(self) -> Product:
        """A function that computes the scores of all tokens but the special tokens whose ids are lower than EOS."""

    def select_candidates(self, candidates: Candidates) -> "CandidateProduct":
        """Build a function that computes the scores of the candidates of a batch."""
        union = candidates.union()
        product = self.all if candidates.counts is None else self.product(union.tokens)
        return SharedProduct(product=product, union=union)


class CandidateProduct(ABC):
    """A function that computes the scores of the candidates of a batch."""

    @abstractmethod
    def __call__(self, vectors: Tensor) -> Tensor:
        """Compute scores (N, W) from the decoder's vectors (N, D). Columns without a candidate receive −∞."""

    @abstractmethod
    def select(self, sentences: Tensor) -> Self:
        """Return the function for only some of the sentences. `sentences` contains their indices in the batch."""


@dataclass(frozen=True, kw_only=True)
class SharedProduct(CandidateProduct):
    """One product that scores the candidates of all sentences. Each sentence then selects the scores that it needs."""

    product: Product
    union: CandidateUnion

    def __call__(self, vectors: Tensor) -> Tensor:
        return self.union.distribute(self.product(vectors))

    def select(self, sentences: Tensor) -> Self:
        return replace(self, union=self.union.select(sentences))


class Float32(Arithmetic):
    """Products in float32, as in training."""

    tolerance = 2e-5  # in 500 sentences, log P differed by 2e-6 on average and by at most 1e-5

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:  # noqa: ARG002
        weight = weight.contiguous()
        return lambda x: F.linear(x, weight, bias)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:  # noqa: ARG002
        return FloatSoftmaxWeights(self, weight, bias)


class BFloat16(Arithmetic):
    """Products of bfloat16 numbers, with sums in float32. All other operations are in float32."""

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

    The function for the whole vocabulary is built once. The function for a shortlist is built for each batch.
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

    A weight matrix has a scale for each output. Activations have a scale for each row. In general, this scale is
    computed at each step. If activations are between -1 and 1, like the outputs of an LSTM, the scale is constant. A
    constant scale needs neither calibration on example text nor an additional pass over the activations.
    """

    tolerance = 1e-5  # only the sum in the softmax is not exact

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
        return _int8(*quantize(weight), bias, bounded=bounded)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:
        return Int8SoftmaxWeights(weight, bias, bounded=bounded)

    weight_unit = 1 / WEIGHT_LEVELS

    def __init__(self) -> None:
        # An operator that gets a 0-dim tensor has a third of the overhead of one that gets a Python float.
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
    """Softmax weights in int8, which are quantized once.

    A compiled loop reads the rows of the candidates directly. For torch's int8 product, these rows must be copied and
    packed for every batch. This takes 2 ms for 1,500 rows of 512 weights.
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
        """Compute W x + b for each row x of a matrix (N, D), with a selection of the rows of W for each sentence.

        The result is (N, W). For sentence b, column c of the result belongs to row `rows[b, c]` of the weights if
        c < `counts[b]`. All other columns are −∞.
        """
        out = np.empty((x.size(0), rows.shape[1]), np.float32)
        kernels.multiply(x.numpy(), self.levels, self.weight, self.scale, self.bias, rows, counts, out)
        return torch.from_numpy(out)


@dataclass(frozen=True, kw_only=True)
class SentenceProducts(CandidateProduct):
    """A separate product for each sentence, which scores only the candidates of that sentence.

    For a batch of 64 sentences, the separate products need an eighth of the multiplications of `SharedProduct`.
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
    """Round a weight matrix (F, D) to integer levels from -127 to 127.

    Return the levels (F, D) as int8, and the scale of each row (F,). An element of the matrix is approximately its
    level times the scale of its row.
    """
    scale = _clamp_scale(weight.abs().amax(dim=1)).div_(127)
    return quantize_rows(weight, scale), scale


def quantize_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """Divide each row of a matrix (F, D) by a scale (F,), and round to integers. Return the integers as int8.

    The scale of a row must be at least the largest absolute value in the row divided by 127.
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
    """A function that computes W x + b in int8. All elements of x must be between -1 and 1."""

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
        """Run an LSTM over one sentence. This product computes U h + b of the LSTM.

        `projected` contains W x + b of each step, (S, 4H). Return the outputs (S, H), or None without a compiled loop.
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
    """Return the largest number of levels on each side of 0 for which float32 sums are exact.

    `terms` is the number of products that are added.
    """
    return next(levels for levels in LEVELS if levels**2 * terms <= MAX_EXACT_INTEGER)


@functools.cache
def check_compiled_product() -> bool:
    """Check whether the compiled product and torch's int8 product give identical results on this machine.

    The check uses inputs for which the two can round differently: numbers halfway between two levels, and the nearest
    float32 numbers below and above.
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

    On older processors, sums of int8 products saturate. Some processors do not support int8 products at all.
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
