"""The native LSTM over sequences, compared with the LSTM of torch in float64."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Generator, Tensor

from nmt.model.autograd import native
from nmt.model.autograd.lstm import lstm_sequence
from nmt.model.autograd.native_lstm import native_lstm_sequence

pytestmark = pytest.mark.skipif(native.load() is None, reason="the native library is not compiled")


def check(T: int, B: int, D: int, H: int, *, masked: bool) -> None:  # noqa: N803 (dimensions)
    generator = Generator().manual_seed(1)
    shapes = [(T, B, D), (B, H), (B, H), (4 * H, D), (4 * H, H), (4 * H,), (4 * H,)]
    tensors = [torch.randn(shape, generator=generator).mul(0.3).requires_grad_() for shape in shapes]
    factors = torch.randn(T, B, H, generator=generator)
    mask = (torch.rand(B, H, generator=generator) > 0.3).float() / 0.7 if masked else None

    def gradients(outputs: Tensor, given: list[Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad((outputs * factors).sum(), given)

    inputs, h, c, *weights = tensors
    outputs = native_lstm_sequence(inputs, (h, c), tuple(weights), mask)
    doubles = [tensor.double() for tensor in tensors]
    wide = lstm_sequence(
        doubles[0], tuple(doubles[1:3]), tuple(doubles[3:]), torch.float64, None if mask is None else mask.double()
    )
    torch.testing.assert_close(outputs.double(), wide, rtol=1e-5, atol=5e-6)
    for one, other in zip(gradients(outputs, tensors), gradients(wide, doubles), strict=True):
        assert ((one - other).norm() / other.norm().clamp_min(1e-3)).item() < 1e-5


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 20), st.integers(1, 20), st.sampled_from([16, 48, 144]), st.booleans())
def test_outputs_and_gradients(steps: int, rows: int, inputs: int, size: int, masked: bool) -> None:
    check(steps, rows, inputs, size, masked=masked)


@pytest.mark.parametrize("variant", ["plain", "avx2", "avx512vnni", "neon"])
def test_variants_of_the_lstm(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_NATIVE", variant)
    check(4, 15, 9, 144, masked=True)


def test_lstm_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    check(3, 10, 8, 32, masked=False)
    check(3, 2, 8, 32, masked=True)
