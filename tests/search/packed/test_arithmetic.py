"""The arithmetic of packed networks, compared with float64 and with exact integers."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from int8 import current_product, needs_int8
from torch import Tensor

from nmt.search.packed import arithmetic, kernels
from nmt.search.packed.arithmetic import (
    ARITHMETICS,
    BFloat16,
    BoundedInt8Product,
    Float32,
    Int8,
    check_compiled_product,
    multiplies_int8_exactly,
    quantize,
)


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def whole_numbers(weight: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """A weight in int8, in numpy: the numbers and the scale of each row."""
    rows = weight.numpy().astype(np.float64)
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127
    return np.rint(rows / scale).astype(np.int64), scale.ravel()


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("biased", [True, False])
def test_float_products_are_close_to_float64(bounded: bool, biased: bool) -> None:
    weight, bias, x = random(5, 12), random(5), random(3, 12, seed=2)
    exact = x.double() @ weight.double().T + (bias.double() if biased else 0)
    for kind, tolerance in ((Float32, 1e-5), (BFloat16, 5e-2)):
        got = kind().product(weight, bias if biased else None, bounded=bounded)(x)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got.double(), exact, rtol=0, atol=tolerance)


@needs_int8
@pytest.mark.parametrize("rows", [1, 5, 64])
def test_int8_products_of_bounded_rows_are_exact(rows: int) -> None:
    weight, bias, x = random(40, 96), random(40), random(rows, 96, seed=2).clamp(-1, 1)
    numbers, scale = whole_numbers(weight)
    sums = np.rint(x.numpy() * np.float32(127)).astype(np.int64) @ numbers.T
    expected = sums * scale / 127 + bias.numpy()
    np.testing.assert_allclose(Int8().product(weight, bias, bounded=True)(x).numpy(), expected, rtol=1e-5, atol=1e-5)


@needs_int8
def test_int8_scales_unbounded_rows() -> None:
    weight, bias = random(40, 96), random(40)
    x = random(7, 96, seed=2) * torch.tensor([1e-3, 0.1, 1, 10, 1e3, 0, 1]).unsqueeze(1)
    exact = x.double() @ weight.double().T
    got = Int8().product(weight, bias, bounded=False)(x).double() - bias
    largest = x.abs().amax(dim=1, keepdim=True) * weight.norm(dim=1)
    assert ((got - exact).abs() <= 0.02 * largest + 1e-6).all()


@needs_int8
@given(st.integers(0, 40), st.integers(1, 41), st.booleans())
def test_int8_product_of_a_row_does_not_depend_on_other_rows(first: int, rows: int, bounded: bool) -> None:
    product = Int8().product(random(32, 64), random(32), bounded=bounded)
    x = random(81, 64, seed=3).clamp(-1, 1)
    assert torch.equal(product(x[first : first + rows]), product(x)[first : first + rows])


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_weights_are_rounded_to_the_nearest_of_255_values(rows: int, columns: int, seed: int) -> None:
    weight = random(rows, columns, seed=seed)
    numbers, scale = quantize(weight)
    assert numbers.dtype == torch.int8
    assert (numbers.abs().amax(dim=1) == 127).all()
    assert ((weight - numbers * scale.unsqueeze(1)).abs() <= scale.unsqueeze(1) * 0.5001).all()


def test_a_row_of_zeros_stays_zero() -> None:
    numbers, scale = quantize(torch.zeros(2, 3))
    assert not numbers.any()
    assert scale.isfinite().all()


@pytest.mark.parametrize("name", [pytest.param("int8", marks=needs_int8), "fp32", "bf16"])
@pytest.mark.parametrize("size", [24, 27])
@pytest.mark.parametrize("bounded", [True, False])
def test_columns_are_the_outputs_of_the_whole_product(name: str, size: int, bounded: bool) -> None:
    kind = ARITHMETICS[name]()
    weight, bias, x = random(30, size), random(30), random(4, size, seed=2).clamp(-1, 1)
    columns, whole = kind.softmax_weights(weight, bias, bounded=bounded), kind.product(weight, bias, bounded=bounded)
    for tokens in ([3, 5, 29], list(range(3, 30)), [3]):
        torch.testing.assert_close(columns.product(torch.tensor(tokens))(x), whole(x)[:, tokens], rtol=0, atol=1e-5)


@given(st.integers(1, 5), st.sampled_from([8, 512, 1024, 3000]), st.booleans(), st.integers(0, 99))
def test_products_of_attention_are_exact(sentences: int, size: int, bounded: bool, seed: int) -> None:
    kind = Int8()
    query = random(sentences, 3, size, seed=seed)
    keys = random(sentences, 6, size, seed=seed + 1) * 5
    query = query.clamp(-1, 1) if bounded else query
    (left, row_scale), (right, scale) = kind.queries(query, bounded=bounded), kind.sentences(keys)
    exact = np.einsum("bks,bts->bkt", left.numpy().astype(np.int64), right.numpy().astype(np.int64))
    assert np.abs(exact).max() <= 2**24
    np.testing.assert_array_equal((left @ right.mT).numpy(), exact.astype(np.float32))
    scores = (left @ right.mT) * scale * kind.unit(size, bounded=bounded) * (1 if row_scale is None else row_scale)
    error = (scores - query @ keys.mT).abs().max() / (query.norm(dim=-1).max() * keys.norm(dim=-1).max())
    assert error < 0.02


@pytest.mark.parametrize(
    ("terms", "levels"), [(1, 127), (1040, 127), (1041, 63), (4227, 63), (4228, 31), (17458, 31), (17459, 15)]
)
def test_sums_are_exact_in_the_worst_case(terms: int, levels: int) -> None:
    kind = Int8()
    query, scale = kind.queries(torch.ones(1, 1, terms), bounded=True)
    keys, key_scale = kind.sentences(torch.full((1, 2, terms), -3.0))
    assert scale is None
    assert (query == levels).all()
    assert (keys == -levels).all()
    products = query @ keys.mT
    assert (products == -(levels**2) * terms).all()
    assert -products.min() <= 2**24  # every whole number up to there is a float32
    torch.testing.assert_close(
        products * key_scale * kind.unit(terms, bounded=True), torch.full((1, 1, 2), -3.0 * terms)
    )


def test_rows_of_zeros() -> None:
    kind = Int8()
    for factors, scale in (kind.queries(torch.zeros(2, 3, 8), bounded=False), kind.sentences(torch.zeros(2, 3, 8))):
        assert scale is not None
        assert scale.isfinite().all()
        assert (factors == 0).all()


@needs_int8
def test_product_of_a_row_of_zeros_is_the_bias() -> None:
    weight, bias = random(5, 12), random(5)
    for bounded in (True, False):
        assert torch.equal(Int8().product(weight, bias, bounded=bounded)(torch.zeros(2, 12)), bias.expand(2, 5))
        assert torch.equal(Int8().product(weight, None, bounded=bounded)(torch.zeros(2, 12)), torch.zeros(2, 5))


@needs_int8
def test_product_without_bias_equals_bias_of_zeros() -> None:
    weight, x = random(5, 12), random(3, 12, seed=2).clamp(-1, 1)
    for kind, bounded in itertools.product((Float32(), BFloat16(), Int8()), (True, False)):
        with_zeros = kind.product(weight, torch.zeros(5), bounded=bounded)(x)
        assert torch.equal(kind.product(weight, None, bounded=bounded)(x), with_zeros)


def test_mean_of_values_is_exact() -> None:
    kind = Int8()
    weights = random(2, 3, 50).softmax(dim=-1)
    values, scale = kind.sentences(random(2, 50, 16, seed=2))
    factors = kind.weights(weights)
    exact = factors.numpy().astype(np.int64) @ values.numpy().astype(np.int64)
    np.testing.assert_array_equal((factors @ values).numpy(), exact.astype(np.float32))
    torch.testing.assert_close(factors * kind.weight_unit, weights, rtol=0, atol=1e-5)
    assert scale.shape == (2, 1, 1)


def test_processors_whose_sums_saturate_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = current_product()
    monkeypatch.setattr(arithmetic, "multiply_int8", lambda x, packed: exact(x, packed).clamp(-50, 50))
    assert not multiplies_int8_exactly()


def test_processors_without_int8_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Tensor:
        raise RuntimeError("no such engine")

    monkeypatch.setattr(arithmetic, "multiply_int8", fail)
    assert not multiplies_int8_exactly()


@needs_int8
@pytest.mark.skipif(not kernels.AVAILABLE, reason="Numba is not installed")
def test_compiled_products_are_used_only_if_they_equal_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    check_compiled_product.cache_clear()
    assert check_compiled_product()
    assert compiled_product() is not None
    exact = current_product()
    monkeypatch.setattr(arithmetic, "multiply_int8", lambda x, packed: exact(x, packed) * (1 + 2**-23))
    check_compiled_product.cache_clear()
    assert compiled_product() is None
    check_compiled_product.cache_clear()


def compiled_product() -> object:
    product = Int8().product(random(32, 64), random(32), bounded=True)
    assert isinstance(product, BoundedInt8Product)
    return product.compiled
