"""The LSTM kernel, compared with torch in float64, and its gradients with finite differences."""

import pytest
import torch
from torch import Tensor, nn

from nmt.model.autograd.lstm import lstm_cell, lstm_sequence

T, B, D, H = 5, 3, 4, 6
WEIGHTS = ((4 * H, D), (4 * H, H), (4 * H,), (4 * H,))


def tensors(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes)


def ours(inputs: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> Tensor:
    return lstm_sequence(inputs, (h, c), weights, torch.float64)


def test_outputs_and_gradients_equal_torch() -> None:
    given = tensors((T, B, D), (B, H), (B, H), *WEIGHTS)
    inputs, h, c, *weights = given
    layer = nn.LSTM(D, H).double()
    expected = torch.func.functional_call(
        layer,
        dict(zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), weights, strict=True)),
        (inputs, (h.unsqueeze(0), c.unsqueeze(0))),
    )[0]
    outputs = ours(*given)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(
        torch.autograd.grad(outputs.sin().sum(), given), torch.autograd.grad(expected.sin().sum(), given)
    )


def test_gradcheck_of_a_sequence() -> None:
    assert torch.autograd.gradcheck(ours, tensors((T, B, D), (B, H), (B, H), *WEIGHTS))


def test_mask_is_applied_to_h_in_the_recurrent_product_only() -> None:
    inputs, h, c, *weights, mask = given = tensors((T, B, D), (B, H), (B, H), *WEIGHTS, (B, H))
    outputs = lstm_sequence(inputs, (h, c), tuple(weights), torch.float64, mask.detach())
    cell, expected = nn.LSTMCell(D, H).double(), []
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    for x in inputs:
        # The mask on h before a cell that has no other use of h.
        h, c = torch.func.functional_call(cell, dict(zip(names, weights, strict=True)), (x, (h * mask.detach(), c)))
        expected.append(h)
    torch.testing.assert_close(outputs, torch.stack(expected))
    ways = [torch.autograd.grad(way.sin().sum(), given[:-1]) for way in (outputs, torch.stack(expected))]
    torch.testing.assert_close(*ways)


def test_gradcheck_under_a_mask() -> None:
    mask = (tensors((B, H))[0] > 0).double() * 2

    def dropped(inputs: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> Tensor:
        return lstm_sequence(inputs, (h, c), weights, torch.float64, mask)

    assert torch.autograd.gradcheck(dropped, tensors((T, B, D), (B, H), (B, H), *WEIGHTS))


def test_gradcheck_of_a_cell() -> None:
    assert torch.autograd.gradcheck(lstm_cell, tensors((B, 4 * H), (4 * H,), (B, H)))


def test_sequence_equals_its_cells() -> None:
    inputs, h, c, w_input, w_recurrent, b_input, b_recurrent = given = tensors((T, B, D), (B, H), (B, H), *WEIGHTS)
    outputs = ours(*given)
    for x, output in zip(inputs, outputs, strict=True):
        h, c = lstm_cell(x @ w_input.T + h @ w_recurrent.T, b_input + b_recurrent, c)
        torch.testing.assert_close(h, output)


@pytest.mark.parametrize("size", [64, 512])
def test_bfloat16_is_close(size: int) -> None:
    """Rounded products, but states in float32: the gradients are within a hundredth."""
    generator = torch.Generator().manual_seed(1)
    layer, inputs = nn.LSTM(size, size), torch.randn(12, 8, size, generator=generator)
    weights = tuple(layer.all_weights[0])
    zero = torch.zeros(8, size)
    exact, rounded = (lstm_sequence(inputs, (zero, zero), weights, dtype) for dtype in (torch.float32, torch.bfloat16))
    assert rounded.dtype == torch.bfloat16
    ways = [torch.autograd.grad(outputs.float().square().sum(), weights) for outputs in (exact, rounded)]
    for one, other in zip(*ways, strict=True):
        assert ((one - other).norm() / one.norm()).item() < 0.01
