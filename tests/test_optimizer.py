import pytest
import tiny
import torch
from safetensors.torch import load, save

from nmt.config import TrainingConfig
from nmt.model.seq2seq import Seq2Seq
from nmt.training.optimizer import MovingAverage, build_optimizer, optimizer_tensors, restore_optimizer


def update(network: Seq2Seq, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    network(tiny.batch()).backward()
    optimizer.step()


def weights(network: Seq2Seq) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_moments_come_back_exactly() -> None:
    network = tiny.network()
    optimizer = build_optimizer(network, TrainingConfig())
    for _ in range(3):
        update(network, optimizer)
    tensors = load(save(optimizer_tensors(optimizer, network)))
    twin = tiny.network()
    twin.load_state_dict(network.state_dict())
    restored = build_optimizer(twin, TrainingConfig())
    restore_optimizer(restored, twin, tensors)
    for _ in range(2):
        update(network, optimizer)
        update(twin, restored)
    assert torch.equal(weights(network), weights(twin))


@pytest.mark.parametrize(
    "changed", [{"optimizer": "adam"}, {"betas": (0.5, 0.9)}, {"weight_decay": 0.5}, {"learning_rate": 0.1}]
)
def test_each_setting_changes_the_course(changed: dict[str, object]) -> None:
    networks = tiny.network(), tiny.network()
    # A second update, as the size of Adam's first one does not depend on the betas.
    for network, settings in zip(networks, ({"weight_decay": 0.1}, {"weight_decay": 0.1, **changed}), strict=True):
        optimizer = build_optimizer(network, TrainingConfig(**settings))
        for seed in range(2):
            update(network, optimizer)
            network.output.weight.data += 0.01 * seed
    assert not torch.allclose(weights(networks[0]), weights(networks[1]), atol=1e-6)


def test_only_matrices_decay() -> None:
    network = tiny.network(layer_norm=True)
    groups = build_optimizer(network, TrainingConfig(weight_decay=0.3)).param_groups
    for group in groups:
        for parameter in group["params"]:
            assert (group["weight_decay"] == 0.3) == (parameter.dim() > 1)


def test_moving_average() -> None:
    average = {"w": torch.tensor([1.0])}
    moving = MovingAverage(average, 0.9)
    expected = 1.0
    for number, value in enumerate([2.0, 3.0, 5.0, 7.0] * 30, start=1):
        moving.update({"w": torch.tensor([value])}, number)
        decay = min(0.9, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * value
    assert average["w"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("optimizer", "decay"), [("adam", 0.0), ("adamw", 0.01)])
def test_by_default_adam_has_no_weight_decay(optimizer: str, decay: float) -> None:
    groups = build_optimizer(tiny.network(), TrainingConfig(optimizer=optimizer)).param_groups
    assert [group["weight_decay"] for group in groups] == [decay, 0.0]
