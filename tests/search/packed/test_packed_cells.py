import pytest
import tiny
import torch
from torch import Tensor, nn

from nmt.model.cells import TorchLayer
from nmt.search.packed import kernels
from nmt.search.packed.arithmetic import Float32
from nmt.search.packed.cells import LayerWeights, PackedLayer, TableRows, lstm_, pack_state, tanh_


@pytest.fixture(params=[True, False], ids=["compiled", "torch"], autouse=True)
def _loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled loops and without."""
    monkeypatch.setattr(kernels, "AVAILABLE", kernels.AVAILABLE and request.param)


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer(cell: str, inputs: int, hidden: int) -> TorchLayer:
    result = TorchLayer(tiny.model_config(cell=cell), inputs, hidden)
    for seed, parameter in enumerate(result.parameters()):
        parameter.data.copy_(0.5 * random(*parameter.shape, seed=seed))
    return result.requires_grad_(False)


def test_tanh_equals_torch() -> None:
    x = torch.linspace(-30, 30, 1001)
    torch.testing.assert_close(tanh_(x.clone()), x.tanh(), rtol=0, atol=3e-7)


def test_lstm_with_one_sigmoid_equals_torch_in_float64() -> None:
    reference = nn.LSTMCell(6, 4).double().requires_grad_(False)
    x, h, c = random(3, 6).double(), random(3, 4, seed=2).double(), random(3, 4, seed=3).double()
    gates = x @ reference.weight_ih.T + h @ reference.weight_hh.T + reference.bias_ih + reference.bias_hh
    gates[:, 8:12] *= 2  # the candidate
    ours = lstm_(gates, pack_state("lstm", (h, c)))
    expected_h, expected_c = reference(x, (h, c))
    torch.testing.assert_close(ours[0], expected_h)
    torch.testing.assert_close(ours[1], 2 * expected_c)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("added", [0, 5, 8])
@pytest.mark.parametrize("bounded", [True, False])
def test_packed_layer_equals_the_layer(cell: str, added: int, bounded: bool) -> None:
    model = layer(cell, 8, 4)
    weights = LayerWeights(model)
    packed = PackedLayer(weights, Float32(), added=added, bounded=bounded)
    assert packed.joint == (cell == "lstm" and bounded and added < 8)
    state = tuple(random(3, 4, seed=seed) for seed in range(2 if cell == "lstm" else 1))
    ours = pack_state(cell, state)
    for seed in range(3):
        x = random(3, 8, seed=10 + seed)
        state = model.step(x, state)
        elsewhere = None
        if added:
            elsewhere = TableRows(table=x[:, :added] @ weights.input[:, :added].T + weights.input_bias)
        ours = packed.step(elsewhere, x[:, added:] if added < 8 else None, ours)
        torch.testing.assert_close(ours[0], state[0], rtol=0, atol=2e-6)


def test_packing_does_not_change_the_model() -> None:
    model = layer("lstm", 3, 4)
    before = [parameter.clone() for parameter in model.parameters()]
    LayerWeights(model)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))
