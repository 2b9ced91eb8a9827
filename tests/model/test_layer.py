"""Dropout on the state, compared with a loop over the equations, and kernels compared with loops."""

from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.cells import EQUATIONS
from nmt.model.dropout import dropout_mask
from nmt.model.layer import RecurrentLayer
from nmt.model.parts import CELLS, build_layer

B, T, D, H = 3, 5, 6, 4
TORCH = ["lstm", "gru", "rnn"]


def layer(**settings: Any) -> RecurrentLayer:
    result = build_layer(ModelConfig(**settings), D, H, 1)
    generator = torch.Generator().manual_seed(3)
    result.initialize(1.0, generator)
    for name, parameter in result.named_parameters():
        if "bias" in name:
            nn.init.normal_(parameter, generator=generator)
    return result.double()


def given(ours: RecurrentLayer) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Inputs (B, T, D) and a first state."""
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(B, T, D, generator=generator, dtype=torch.float64, requires_grad=True)
    return inputs, tuple(torch.randn(B, H, generator=generator, dtype=torch.float64) for _ in range(ours.states))


def unrolled(ours: RecurrentLayer, inputs: Tensor, state: tuple[Tensor, ...], seed: int) -> Tensor:
    steps, outputs = ours.unroll(inputs, tiny.randomness(seed)), []
    for x in inputs.unbind(dim=1):
        state = steps.step(x, state)
        outputs.append(state[0])
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("cell", TORCH)
def test_state_dropout_is_applied_to_h_in_the_recurrent_product_only(cell: str) -> None:
    ours = layer(cell=cell, state_dropout=0.4)
    inputs, state = given(ours)
    mask = dropout_mask(inputs, H, 0.4, tiny.randomness(2))
    assert mask is not None
    expected, first = [], state
    w_input, w_recurrent, b_input, b_recurrent = tiny.fused(ours).all_weights[0]
    for x in inputs.unbind(dim=1):
        recurrent = (state[0] * mask.squeeze(1)) @ w_recurrent.T + b_recurrent
        state = EQUATIONS[cell](x @ w_input.T + b_input, recurrent, state)
        expected.append(state[0])
    ways = (
        ours(inputs, first, tiny.randomness(2)),
        unrolled(ours, inputs, first, seed=2),
        RecurrentLayer.forward(ours, inputs, first, tiny.randomness(2)),
    )
    reference = torch.stack(expected, dim=1)
    weights = (inputs, *ours.parameters())
    gradients = torch.autograd.grad(reference.sin().sum(), weights)
    for way in ways:
        torch.testing.assert_close(way, reference)
        torch.testing.assert_close(torch.autograd.grad(way.sin().sum(), weights), gradients)
    assert not torch.allclose(ours(inputs, first), reference)


@pytest.mark.parametrize("cell", CELLS)
def test_without_randomness_the_state_is_not_dropped(cell: str) -> None:
    ours, plain = layer(cell=cell, state_dropout=0.4), layer(cell=cell)
    plain.load_state_dict(ours.state_dict())
    inputs, state = given(ours)
    torch.testing.assert_close(ours(inputs, state), plain(inputs, state))
    torch.testing.assert_close(ours.step(inputs[:, 0], state), plain.step(inputs[:, 0], state))


@pytest.mark.parametrize("cell", CELLS)
def test_half_precision_is_close(cell: str) -> None:
    ours = layer(cell=cell, state_dropout=0.4).float()
    inputs, state = given(ours)
    inputs, state = inputs.float(), tuple(tensor.float() for tensor in state)
    exact = ours(inputs, state, tiny.randomness())
    with torch.autocast("cpu", torch.bfloat16):
        ways = ours(inputs, state, tiny.randomness()), unrolled(ours, inputs.bfloat16(), state, seed=1)
    for way in ways:
        torch.testing.assert_close(way, exact, rtol=0.05, atol=0.05, check_dtype=False)


@pytest.mark.parametrize(("cell", "count"), [("lstm", 2), ("gru", 1), ("rnn", 1), ("layer_norm_lstm", 2)])
def test_the_number_of_tensors_in_a_state(cell: str, count: int) -> None:
    ours = layer(cell=cell)
    inputs, state = given(ours)
    assert ours.states == len(ours.zero_state(inputs)) == len(ours.step(inputs[:, 0], state)) == count
