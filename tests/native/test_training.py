"""The products of training, compared with torch, and what the library refuses."""

import ctypes

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from nmt.model.autograd import native
from nmt.model.autograd.native import DecoderArrays, LSTMArrays, pack, run_rows
from nmt.native import library

pytestmark = pytest.mark.skipif(native.load() is None, reason="the native library is not compiled")


def multiply(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    product, packed = left.new_empty(len(left), right.size(1)), pack(right)
    native.require().nmt_multiply(len(left), *right.shape, left.data_ptr(), packed.data_ptr(), product.data_ptr())
    return product


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 600), st.integers(0, 140), st.booleans())
def test_products(rows: int, depth: int, columns: int, transposed: bool) -> None:
    M, K, N = rows, depth, columns
    generator = torch.Generator().manual_seed(1)
    left = torch.randn(M, K, generator=generator)
    right = torch.randn(N, K, generator=generator).t() if transposed else torch.randn(K, N, generator=generator)
    expected = (left.double() @ right.double()).float()
    torch.testing.assert_close(multiply(left, right), expected, rtol=1e-4, atol=1e-4)


def test_row_does_not_depend_on_its_neighbors() -> None:
    generator = torch.Generator().manual_seed(1)
    left, right = torch.randn(29, 300, generator=generator), torch.randn(300, 70, generator=generator)
    together = multiply(left, right)
    for row in range(29):
        assert torch.equal(multiply(left[row : row + 1], right)[0], together[row])


@pytest.mark.parametrize("variant", ["plain", "avx2", "avx512vnni", "neon"])
def test_products_of_variants(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_NATIVE", variant)
    generator = torch.Generator().manual_seed(1)
    left, right = torch.randn(100, 515, generator=generator), torch.randn(515, 200, generator=generator)
    torch.testing.assert_close(multiply(left, right), left @ right, rtol=1e-4, atol=1e-4)


def test_sizes_are_checked() -> None:
    functions = native.require()
    layer = LSTMArrays(inputs=0, size=20)
    assert functions.nmt_lstm_forward(layer, 1, 1, 0, 1, None) == library.BAD_ARGUMENT
    assert functions.nmt_lstm_backward(layer, 1, 1, 0, 1, None) == library.BAD_ARGUMENT
    layers = (LSTMArrays * 1)(LSTMArrays(inputs=16, size=16))
    for decoder, first, rows in (
        (DecoderArrays(steps=1, batch=1, size=32, sources=1, layers=1, lstms=layers), 0, 1),
        (DecoderArrays(steps=1, batch=2, size=16, sources=1, layers=1, lstms=layers), 1, 2),
        (DecoderArrays(steps=1, batch=2, size=16, sources=1, layers=0, lstms=layers), 0, 1),
    ):
        for function in (functions.nmt_decoder_forward, functions.nmt_decoder_backward):
            assert function(ctypes.byref(decoder), first, rows) == library.BAD_ARGUMENT


def test_faults_of_the_library_are_exceptions() -> None:
    with pytest.raises(MemoryError):
        run_rows(lambda first, rows: library.NO_MEMORY, 3)
    with pytest.raises(RuntimeError, match="status 3"):
        run_rows(lambda first, rows: library.BAD_ARGUMENT, 3)


def test_older_library_is_not_used(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(native, "open_library", lambda: ctypes.CDLL(None))
    assert native.load.__wrapped__() is None
    assert "python -m nmt.native.build" in caplog.text
