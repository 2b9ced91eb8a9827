"""Exact int8 products on every machine: where torch has none, a compiled loop with the same bits replaces them.

Processors without VNNI saturate sums of 16 bits, so torch's int8 product is only exact on newer ones.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.search.packed import arithmetic, kernels
from nmt.search.packed.arithmetic import CompiledWeights, multiplies_int8_exactly

needs_torch_int8 = pytest.mark.skipif(
    not multiplies_int8_exactly(), reason="this processor has no exact int8 products in torch"
)
needs_int8 = pytest.mark.skipif(
    not (multiplies_int8_exactly() or kernels.AVAILABLE),
    reason="neither this processor nor Numba has exact int8 products",
)


def pack(weight: Tensor, scale: Tensor, bias: Tensor | None) -> CompiledWeights:
    """As `nmt.system.torch_private.pack_int8`."""
    bias = torch.zeros(len(weight)) if bias is None else bias
    return CompiledWeights(weight.contiguous(), scale, bias, np.float32(127))


def multiply(x: Tensor, packed: CompiledWeights) -> Tensor:
    """As `nmt.system.torch_private.multiply_int8`."""
    rows = len(packed.weight)
    return packed.multiply(x.contiguous(), np.arange(rows)[None], np.array([rows]))


def current_product() -> Callable[[Tensor, Any], Tensor]:
    """The int8 product that packed networks use now: torch's, or the one that replaces it."""
    product: Callable[[Tensor, Any], Tensor] = vars(arithmetic)["multiply_int8"]
    return product


def emulate_int8(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fixture's body: exact products for one test, in this process."""
    if multiplies_int8_exactly() or not kernels.AVAILABLE:
        yield
        return
    monkeypatch.setattr(arithmetic, "pack_int8", pack)
    monkeypatch.setattr(arithmetic, "multiply_int8", multiply)
    arithmetic.check_compiled_product.cache_clear()
    yield
    arithmetic.check_compiled_product.cache_clear()
