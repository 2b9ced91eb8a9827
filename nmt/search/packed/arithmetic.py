"""The arithmetic of a packed network: float32, bfloat16, or int8 with sums that are exact.

A network computes matrix products, and everything else element by element. Elements do not care for their neighbours, but a
product in floating point rounds a row differently in another batch. In int8 that would be fatal: a difference in the last bit
can tip an activation from one of its 255 values to the next. So `Int8` leaves nothing to rounding: what is multiplied are
whole numbers, and their sums are below 2²⁴ where they are held in float32, thus exact in any order. A hypothesis gets the
same bits in every batch.
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

EXACT = 2**24  # up to here float32 holds every whole number
COARSE = 5e-2  # nats, the tolerance where a last bit can tip a factor to its next value
LEVELS = (127, 63, 31, 15)  # values on each side of 0
# Up to so many products, and with so many weights, a compiled loop is faster than torch's call.
MAX_COMPILED_PRODUCTS, MAX_COMPILED_WEIGHTS = 2**20, 2**19
WEIGHT_LEVELS = 2**16  # of attention weights; times 127 and summed over a sentence they stay exact


class Arithmetic(ABC):
    """How products are computed, and to which values their factors are rounded first."""

    tolerance: float
    """By how much log P of a hypothesis may differ between two batches, in nats (see nmt/search/loop.py)."""

    @abstractmethod
    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
        """W x + b for a fixed W (F, D); `bounded`: no |x| is above 1, as in the outputs of a recurrent layer."""

    @abstractmethod
    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> "SoftmaxWeights":
        """The softmax's weights (V, D), of which each batch takes some rows; `bounded` as in `product`."""

    def queries(self, x: Tensor, *, bounded: bool) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002
        """Queries (B, K, D) as factors of a product with keys, and what to multiply it by besides `unit`."""
        return x, None

    def unit(self, terms: int, *, bounded: bool) -> float:  # noqa: ARG002
        """What to multiply products of so many terms with such queries by."""
        return 1.0

    def sentences(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Matrices (B, S, D), zero at padding, as factors, and what to multiply products by, (B, 1, 1)."""
        return x, torch.ones(x.size(0), 1, 1)

    def weights(self, x: Tensor) -> Tensor:
        """Attention weights as factors of a product with values."""
        return x

    weight_unit = 1.0
    """What to multiply that product by."""


class SoftmaxWeights(ABC):
    """The softmax's weights."""

    @abstractmethod
    def product(self, pieces: Tensor) -> Product:
        """The product for these outputs, (U,) ascending."""

    @property
    @abstractmethod
    def all(self) -> Product:
        """The product for the whole vocabulary."""

    def select_candidates(self, candidates: Candidates) -> "CandidateProduct":
        """The scores of a batch's candidates."""
        union = candidates.union()
        product = self.all if candidates.counts is None else self.product(union.tokens)
        return SharedProduct(product=product, union=union)


class CandidateProduct(ABC):
    """The part of the softmax's weights that a batch needs."""

    @abstractmethod
    def __call__(self, vectors: Tensor) -> Tensor:
        """Scores of each sentence's candidates, (N, W), after vectors (N, D); −∞ where there is none."""

    @abstractmethod
    def select(self, sentences: Tensor) -> Self:
        """For some of the batch's sentences, by row."""


@dataclass(frozen=True, kw_only=True)
class SharedProduct(CandidateProduct):
    """One product with the candidates of all sentences."""

    product: Product
    union: CandidateUnion

    def __call__(self, vectors: Tensor) -> Tensor:
        return self.union.distribute(self.product(vectors))

    def select(self, sentences: Tensor) -> Self:
        return replace(self, union=self.union.select(sentences))


class Float32(Arithmetic):
    """The arithmetic of training's weights."""

    tolerance = 2e-5  # measured: 2e-6 on average and 1e-5 at most in 500 sentences of a trained model

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:  # noqa: ARG002
        weight = weight.contiguous()
        return lambda x: F.linear(x, weight, bias)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:  # noqa: ARG002
        return FloatSoftmaxWeights(self, weight, bias)


class BFloat16(Arithmetic):
    """Products in bfloat16 with float32 sums, everything else in float32."""

    tolerance = COARSE

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:  # noqa: ARG002
        weight = weight.bfloat16()
        if bias is None:
            return lambda x: F.linear(x.bfloat16(), weight).float()
        return lambda x: F.linear(x.bfloat16(), weight).float().add_(bias)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:  # noqa: ARG002
        return FloatSoftmaxWeights(self, weight, bias)


class FloatSoftmaxWeights(SoftmaxWeights):
    """Rows of the weights. The whole vocabulary is not copied for each batch."""

    def __init__(self, arithmetic: Arithmetic, weight: Tensor, bias: Tensor) -> None:
        self.arithmetic, self.weight, self.bias = arithmetic, weight, bias

    @functools.cached_property
    def all(self) -> Product:
        """See `SoftmaxWeights`."""
        return self.arithmetic.product(self.weight[EOS:], self.bias[EOS:], bounded=False)

    def product(self, pieces: Tensor) -> Product:
        return self.arithmetic.product(self.weight[pieces], self.bias[pieces], bounded=False)


class Int8(Arithmetic):
    """Weights of 255 values, scaled for each output; activations of 255 values, scaled for each row or not at all.

    The outputs of an LSTM are between -1 and 1, so one fixed scale fits them: nothing has to be measured, neither beforehand
    on other text nor at each step.
    """

    tolerance = 1e-5  # all of it from the softmax's sum over the vocabulary

    def product(self, weight: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
        return _int8(*quantize(weight), bias, bounded=bounded)

    def softmax_weights(self, weight: Tensor, bias: Tensor, *, bounded: bool) -> SoftmaxWeights:
        return Int8SoftmaxWeights(weight, bias, bounded=bounded)

    weight_unit = 1 / WEIGHT_LEVELS

    def __init__(self) -> None:
        # A number that is a tensor already costs an operator a third of the time.
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
    """Quantised once. torch's product packs each selection: 1,500 rows of 512 take 2 ms."""

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
        return self.weight.view(torch.int64).index_select(0, pieces).view(torch.int8)  # single bytes are copied slowly


class CompiledWeights:
    """Int8 weights as a compiled loop reads them."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor, levels: np.float32) -> None:
        self.weight, self.bias, self.levels = weight.numpy(), bias.numpy(), levels
        self.scale = (scale * torch.tensor(float(1 / levels))).numpy()

    def multiply(self, x: Tensor, pieces: Ids, counts: Ids) -> Tensor:
        """Outputs of rows (N, D) of B sentences, of each those that are its own, (B, W)."""
        out = np.empty((x.size(0), pieces.shape[1]), np.float32)
        kernels.multiply(x.numpy(), self.levels, self.weight, self.scale, self.bias, pieces, counts, out)
        return torch.from_numpy(out)


@dataclass(frozen=True, kw_only=True)
class SentenceProducts(CandidateProduct):
    """A product for each sentence with its own candidates: an eighth of what 64 sentences need together."""

    weights: CompiledWeights
    pieces: Ids  # (B, W)
    counts: Ids  # (B,)

    def __call__(self, vectors: Tensor) -> Tensor:
        return self.weights.multiply(vectors, self.pieces, self.counts)

    def select(self, sentences: Tensor) -> Self:
        rows = sentences.numpy()
        return replace(self, pieces=self.pieces[rows], counts=self.counts[rows])


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -127 to 127 (F, D) int8 and the scale of each row (F,) with weight ≈ scale · number."""
    scale = _clamp_scale(weight.abs().amax(dim=1)).div_(127)
    return quantize_rows(weight, scale), scale


def quantize_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """Round a matrix (F, D) to int8 multiples of the scales of its rows (F,), which are at least largest value / 127."""
    return (weight / scale.unsqueeze(1)).round_().to(torch.int8)


def _int8(weight: Tensor, scale: Tensor, bias: Tensor | None, *, bounded: bool) -> Product:
    if bounded:
        return BoundedInt8Product(weight, scale, bias)
    packed = pack_int8(weight, scale, None)

    def rescaled(x: Tensor) -> Tensor:
        largest = _clamp_scale(x.abs().amax(dim=-1, keepdim=True))
        product = multiply_int8(x / largest, packed).mul_(largest)
        return product if bias is None else product.add_(bias)

    return rescaled


class BoundedInt8Product:
    """W x + b where no |x| is above 1."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        self.packed = pack_int8(weight, scale, bias)
        self.few: CompiledWeights | None = None
        if kernels.AVAILABLE and weight.numel() <= MAX_COMPILED_WEIGHTS and compiled_agrees():
            outputs = len(weight)
            bias = torch.zeros(outputs) if bias is None else bias
            self.few = CompiledWeights(weight.contiguous(), scale, bias, np.float32(127))
            self.pieces, self.counts = np.arange(outputs)[None], np.array([outputs])

    def __call__(self, x: Tensor) -> Tensor:
        if self.few and x.size(0) * self.few.weight.size <= MAX_COMPILED_PRODUCTS:
            return self.few.multiply(x, self.pieces, self.counts)
        return multiply_int8(x, self.packed)

    def lstm(self, projected: Tensor) -> Tensor | None:
        """Outputs (S, H) of the LSTM over one sentence whose recurrent product this is; None: not in a compiled loop."""
        if self.few is None:
            return None
        S, F = projected.shape
        outputs, own = np.empty((S, F // 4), np.float32), self.few
        arrays = (own.weight, own.scale, own.bias, self.pieces, self.counts)
        kernels.lstm_sequence(projected.numpy(), *arrays, outputs)
        return torch.from_numpy(outputs)


def _clamp_scale(largest: Tensor) -> Tensor:
    return largest.clamp_(min=torch.finfo(torch.float32).tiny)


def _exact_levels(terms: int) -> int:
    """The largest number of values on each side of 0 with which sums of so many products are exact in float32."""
    return next(levels for levels in LEVELS if levels**2 * terms <= EXACT)


@functools.cache
def compiled_agrees() -> bool:
    """Whether the compiled product has the bits of torch's on this machine, above all where rounding turns."""
    turning = (torch.arange(-126.5, 127) / 127).view(-1, 1)
    x = torch.cat([turning, turning.nextafter(torch.ones(1)), turning.nextafter(-torch.ones(1))], dim=1).repeat(1, 11)
    weight = (torch.arange(7 * x.size(1)) % 255 - 127).view(7, -1).to(torch.int8)
    scale, bias = torch.linspace(0.1, 3, 7), torch.linspace(-1, 1, 7)
    own = CompiledWeights(weight, scale, bias, np.float32(127))
    got = own.multiply(x, np.arange(7)[None], np.array([7]))
    return torch.equal(got, multiply_int8(x, pack_int8(weight, scale, bias)))


def exact_int8() -> bool:
    """Whether int8 products on this machine are what they should be. Those of older processors saturate, some have none."""
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
