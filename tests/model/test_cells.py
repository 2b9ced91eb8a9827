"""Cells, compared with the layers of torch in float64, and whole sequences compared with single steps."""

from itertools import pairwise

import pytest
import tiny
import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model import cells
from nmt.model.cells import TorchLayer
from nmt.model.classics.layer_norm_lstm import LayerNormLSTM
from nmt.model.classics.transitions import DeepTransitionLayer
from nmt.model.layer import RecurrentLayer
from nmt.model.parts import CELLS, build_layer

TORCH = ["lstm", "gru", "rnn"]


def torch_layer(cell: str, input_size: int, hidden_size: int) -> TorchLayer:
    return TorchLayer(tiny.model_config(cell=cell), input_size, hidden_size)


def layer(cell: str) -> TorchLayer:
    result = torch_layer(cell, 5, 4)
    result.initialize(1.0, torch.Generator().manual_seed(3))
    for name, parameter in result.named_parameters():
        if "bias" in name:
            nn.init.normal_(parameter)
    return result.double()


@pytest.mark.parametrize("cell", TORCH)
def test_steps_equal_torch(cell: str) -> None:
    ours = layer(cell)
    theirs = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](5, 4, batch_first=True).double()
    theirs.load_state_dict(ours.fused.state_dict())
    inputs = torch.randn(3, 7, 5, dtype=torch.float64)
    state = tuple(torch.randn(3, 4, dtype=torch.float64) for _ in range(ours.states))
    first = tuple(tensor.unsqueeze(0) for tensor in state)
    expected, _ = theirs(inputs, first if cell == "lstm" else first[0])
    torch.testing.assert_close(ours(inputs, state), expected)
    for t in range(7):
        state = ours.step(inputs[:, t], state)
        torch.testing.assert_close(state[0], expected[:, t])


def drawn(cell: str, input_size: int = 5, transitions: int = 1) -> RecurrentLayer:
    """A layer of any kind whose weights are all random."""
    result = build_layer(tiny.model_config(cell=cell), input_size, 4, transitions).double()
    generator = torch.Generator().manual_seed(3)
    for parameter in result.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return result


@pytest.mark.parametrize("cell", CELLS)
def test_unrolled_steps_equal_the_layer(cell: str) -> None:
    ours = drawn(cell)
    inputs = torch.randn(3, 7, 5, dtype=torch.float64, requires_grad=True)
    first = tuple(torch.randn(3, 4, dtype=torch.float64) for _ in range(ours.states))
    given = (inputs, *ours.parameters())
    state, outputs, unrolled = first, [], ours.unroll(inputs, None)
    for x in inputs.unbind(dim=1):
        state = unrolled.step(x, state)
        outputs.append(state[0])
    expected, stepped = ours(inputs, first), torch.stack(outputs, dim=1)
    torch.testing.assert_close(stepped, expected)
    ways = [torch.autograd.grad(tensor.sin().sum(), given) for tensor in (stepped, expected)]
    torch.testing.assert_close(*ways)


@tiny.needs_bf16
def test_kernel_equals_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, inputs = torch_layer("lstm", 5, 8), torch.randn(3, 7, 5)
    ours.initialize(1.0, torch.Generator().manual_seed(3))
    zero = ours.zero_state(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        theirs = ours(inputs, zero)
        monkeypatch.setattr(cells, "OWN_SIZE", 8)
        own = ours(inputs, zero)
    assert type(own.grad_fn.next_functions[0][0]).__name__ != type(theirs.grad_fn).__name__
    torch.testing.assert_close(own, theirs, rtol=0.02, atol=0.02, check_dtype=False)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_steps(cell: str) -> None:
    ours = drawn(cell)
    state = tuple(torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in range(ours.states))
    inputs = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *s: ours.step(x, s), (inputs, *state))


@pytest.mark.parametrize("cell", TORCH)
def test_transitions_equal_torch_cells_without_input(cell: str) -> None:
    ours = drawn(cell, transitions=3)
    inputs = torch.randn(3, 7, 5, dtype=torch.float64)
    first = state = tuple(torch.randn(3, 4, dtype=torch.float64) for _ in range(ours.states))
    kind = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}[cell]
    cells = [kind(5, 4).double() for _ in ours.recurrent]
    for number, (theirs, (weight, bias)) in enumerate(zip(cells, ours.recurrent, strict=True)):
        assert bias is not None
        w_input, b_input = ours.input if number == 0 else (0 * theirs.weight_ih, 0 * bias)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        theirs.load_state_dict(dict(zip(names, (w_input, weight, b_input, bias), strict=True)))
    expected = []
    for x in inputs.unbind(dim=1):
        for theirs in cells:
            found = theirs(x, state if len(state) > 1 else state[0])
            state = found if len(state) > 1 else (found,)
        expected.append(state[0])
    torch.testing.assert_close(ours(inputs, first), torch.stack(expected, dim=1))


@pytest.mark.parametrize("cell", TORCH)
def test_unrolled_transitions_equal_the_layer(cell: str) -> None:
    ours = drawn(cell, transitions=2)
    inputs = torch.randn(3, 7, 5, dtype=torch.float64)
    first = state = ours.zero_state(inputs)
    unrolled, outputs, stepped = ours.unroll(inputs, None), [], state
    for x in inputs.unbind(dim=1):
        state, stepped = unrolled.step(x, state), ours.step(x, stepped)
        outputs.append(state[0])
        torch.testing.assert_close(stepped, state)
    ways = [torch.stack(outputs, dim=1), ours(inputs, first)]
    torch.testing.assert_close(*ways)
    gradients = [torch.autograd.grad(way.sin().sum(), list(ours.parameters())) for way in ways]
    torch.testing.assert_close(*gradients)


def test_initial_transitions() -> None:
    ours = torch_layer("lstm", 3, 4)
    deep = DeepTransitionLayer(ModelConfig(), 3, 4, 2)
    for layer in (ours, deep):
        layer.initialize(1.5, torch.Generator().manual_seed(1))
    (transition,) = deep.transitions
    assert transition.bias.tolist() == [0.0] * 4 + [1.5] * 4 + [0.0] * 8
    for gate in transition.weight.view(4, 4, 4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4))
    assert ours.state_dict().keys() == {name for name in deep.state_dict() if "transitions" not in name}


def normalize(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Ba et al. 2016, eq. 4, the mean and the deviation written out."""
    mean = x.mean(dim=-1, keepdim=True)
    deviation = ((x - mean) ** 2).mean(dim=-1, keepdim=True).add(1e-5).sqrt()
    bias = 0 if norm.bias is None else norm.bias
    return norm.weight * (x - mean) / deviation + bias


def test_layer_norm_lstm_equals_the_paper() -> None:
    ours = drawn("layer_norm_lstm")
    assert isinstance(ours, LayerNormLSTM)
    inputs = torch.randn(3, 7, 5, dtype=torch.float64)
    first = h, c = tuple(torch.randn(3, 4, dtype=torch.float64) for _ in range(2))
    expected = []
    for x in inputs.unbind(dim=1):
        sums = normalize(x @ ours.w_input.T, ours.norm_input) + normalize(h @ ours.w_recurrent.T, ours.norm_recurrent)
        i, f, g, o = (sums[:, 4 * gate : 4 * gate + 4] for gate in range(4))
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * normalize(c, ours.norm_cell).tanh()
        expected.append(h)
    torch.testing.assert_close(ours(inputs, first), torch.stack(expected, dim=1))


def test_a_layer_norm_lstm_starts_with_an_open_forget_gate() -> None:
    ours = LayerNormLSTM(ModelConfig(cell="layer_norm_lstm"), 3, 4)
    ours.initialize(2.0, torch.Generator().manual_seed(1))
    i, f, g, o = ours.norm_input.bias.view(4, 4).tolist()
    assert (i, f, o) == ([0.0] * 4, [2.0] * 4, [0.0] * 4)
    assert all(0 < abs(bias) < 0.1 for bias in g)
    for gate in ours.w_recurrent.view(4, 4, 4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4))


def test_lstm_step_computed_by_hand() -> None:
    ours = torch_layer("lstm", 1, 1).double()
    weights = dict(ours.fused.named_parameters())
    with torch.no_grad():
        weights["weight_ih_l0"].copy_(torch.tensor([[0.0], [0.0], [1.0], [0.0]]))  # i, f, g, o
        weights["weight_hh_l0"].zero_()
        weights["bias_ih_l0"].copy_(torch.tensor([100.0, 0.0, 0.0, 100.0]))  # input and output gates open, forget half
        weights["bias_hh_l0"].zero_()
    x, c = torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([[0.4]], dtype=torch.float64)
    h, cell = ours.step(x, (torch.zeros_like(c), c))
    assert cell.item() == pytest.approx(0.5 * 0.4 + torch.tanh(x).item())
    assert h.item() == pytest.approx(torch.tanh(cell).item())


@pytest.mark.parametrize("bias", [0.0, 1.0, 2.5])
def test_forget_bias(bias: float) -> None:
    ours = torch_layer("lstm", 3, 4)
    ours.initialize(bias, torch.Generator().manual_seed(1))
    _, _, b_input, b_recurrent = ours.fused.all_weights[0]
    total = b_input + b_recurrent
    assert total.tolist() == [0.0] * 4 + [bias] * 4 + [0.0] * 8


def test_initial_recurrence_is_orthogonal_for_each_gate() -> None:
    ours = torch_layer("gru", 3, 4)
    ours.initialize(1.0, torch.Generator().manual_seed(1))
    gates = ours.fused.all_weights[0][1].view(3, 4, 4)
    for gate in gates:
        torch.testing.assert_close(gate @ gate.T, torch.eye(4))
    assert all(not torch.equal(one, other) for one, other in pairwise(gates))


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_bounded_where_a_sentence_begins_with_dropped_words(cell: str) -> None:
    """Their embeddings are zeros: a normalization must not divide by almost zero, step after step."""
    ours = build_layer(tiny.model_config(cell=cell), 16, 32, 1)
    ours.initialize(1.0, torch.Generator().manual_seed(3))
    inputs = torch.zeros(4, 12, 16)
    inputs[:, 6:] = torch.randn(4, 6, 16, generator=torch.Generator().manual_seed(4))
    outputs = ours(inputs, tuple(torch.zeros(4, 32) for _ in range(ours.states)))
    gradients = torch.autograd.grad(outputs.square().sum(), tuple(ours.parameters()))
    assert all(gradient.norm() < 1000 for gradient in gradients)
