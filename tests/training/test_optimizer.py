from typing import Any, Literal

import pytest
import tiny
import torch
from safetensors.torch import load, save

from nmt.config.schema import TrainingConfig
from nmt.model.seq2seq import Seq2Seq
from nmt.training.optimizer import MovingAverage, build_optimizers, make_step, optimizer_tensors, restore_optimizers


def update(network: Seq2Seq, optimizers: list[torch.optim.Optimizer], scale: float = 1.0) -> None:
    (scale * tiny.loss(network, tiny.batch())).backward()
    make_step(optimizers, rate=optimizers[0].param_groups[0]["lr"], scale=torch.tensor(scale))


def weights(network: Seq2Seq) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


KINDS = ("adam", "adamw", "muon")


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_restored_exactly(kind: str) -> None:
    network = tiny.network()
    config = TrainingConfig(optimizer=kind)  # type: ignore[arg-type]
    optimizer = build_optimizers(network, config)
    for _ in range(3):
        update(network, optimizer)
    tensors = load(save(optimizer_tensors(optimizer, network)))
    twin = tiny.network()
    twin.load_state_dict(network.state_dict())
    restored = build_optimizers(twin, config)
    restore_optimizers(restored, twin, tensors)
    for _ in range(2):
        update(network, optimizer)
        update(twin, restored)
    assert torch.equal(weights(network), weights(twin))


@pytest.mark.parametrize(
    "changed", [{"optimizer": "adam"}, {"betas": (0.5, 0.9)}, {"weight_decay": 0.5}, {"learning_rate": 0.1}]
)
def test_each_setting_changes_the_weights(changed: dict[str, Any]) -> None:
    networks = tiny.network(), tiny.network()
    # A second update, as the size of Adam's first one does not depend on the betas.
    for network, settings in zip(networks, ({}, changed), strict=True):
        optimizer = build_optimizers(network, TrainingConfig(**{"weight_decay": 0.1, **settings}))
        for seed in range(2):
            update(network, optimizer)
            network.output.weight.data += 0.01 * seed
    assert not torch.allclose(weights(networks[0]), weights(networks[1]), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_only_matrices_decay(kind: str) -> None:
    network = tiny.network(layer_norm=True)
    seen = []
    for optimizer in build_optimizers(network, TrainingConfig(weight_decay=0.3, optimizer=kind)):  # type: ignore[arg-type]
        for group in optimizer.param_groups:
            seen += group["params"]
            for parameter in group["params"]:
                assert (group["weight_decay"] == 0.3) == (parameter.dim() > 1)
    assert sorted(map(id, seen)) == sorted(map(id, network.parameters()))


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
def test_by_default_adam_has_no_weight_decay(optimizer: Literal["adam", "adamw"], decay: float) -> None:
    (built,) = build_optimizers(tiny.network(), TrainingConfig(optimizer=optimizer))
    assert [group["weight_decay"] for group in built.param_groups] == [decay, 0.0]


@pytest.mark.parametrize("kind", KINDS)
def test_scale_of_gradients_does_not_matter(kind: str) -> None:
    networks = tiny.network(), tiny.network()
    for network, scale in zip(networks, (1.0, 64.0), strict=True):
        optimizers = build_optimizers(network, TrainingConfig(optimizer=kind))  # type: ignore[arg-type]
        for _ in range(3):
            update(network, optimizers, scale)
    torch.testing.assert_close(weights(networks[0]), weights(networks[1]))
    assert all(parameter.grad is None for parameter in networks[0].parameters())


def test_muon_makes_orthogonal_steps() -> None:
    """All singular values of a first step are nearly the same, and its mean square is Adam's, 0.2 of the rate."""
    network = tiny.network(tied_embeddings="none")
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    update(network, build_optimizers(network, TrainingConfig(optimizer="muon", weight_decay=0.0, learning_rate=0.01)))
    steps = {name: parameter.detach() - before[name] for name, parameter in network.named_parameters()}
    values = torch.linalg.svdvals(steps["decoder.combine.weight"])
    assert values.max() / values.min() < 2
    assert float(steps["decoder.combine.weight"].square().mean().sqrt()) == pytest.approx(0.002, rel=0.3)
    embedding = steps["target_embedding.weight"]
    torch.testing.assert_close(embedding[6].abs(), torch.full((6,), 0.01), rtol=0.01, atol=0)  # as Adam does


def test_muon_uses_adam_for_embeddings_and_softmax() -> None:
    network = tiny.network(tied_embeddings="none")
    adam, muon = build_optimizers(network, TrainingConfig(optimizer="muon"))
    names = {parameter: name for name, parameter in network.named_parameters()}
    matrices = {names[weight] for weight in adam.param_groups[0]["params"]}
    assert matrices == {"source_embedding.weight", "target_embedding.weight", "output.weight"}
    others = {name for name, weight in network.named_parameters() if weight.dim() == 2} - matrices
    assert {names[weight] for weight in muon.param_groups[0]["params"]} == others


def test_an_optimizer_ignores_the_moments_of_another() -> None:
    network = tiny.network()
    adam, muon = (build_optimizers(network, TrainingConfig(optimizer=kind)) for kind in ("adam", "muon"))
    for _ in range(2):
        update(network, adam)
    restore_optimizers(muon, network, optimizer_tensors(adam, network))
    saved = optimizer_tensors(muon, network)
    assert "optimizer.exp_avg.target_embedding.weight" in saved
    assert not any("momentum_buffer" in name for name in saved)
    update(network, muon)


def test_muon_has_no_matrix_that_is_frozen() -> None:
    network = tiny.network()
    for part in (network.encoder, network.decoder, network.project):
        part.requires_grad_(False)
    optimizers = build_optimizers(network, TrainingConfig(optimizer="muon"))
    before = weights(network)
    update(network, optimizers)
    assert not torch.equal(weights(network), before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_learning_rate_of_a_step_is_set_in_every_group(kind: str) -> None:
    network = tiny.network()
    optimizers = build_optimizers(network, TrainingConfig(optimizer=kind, betas=(0.5, 0.6)))  # type: ignore[arg-type]
    tiny.loss(network, tiny.batch()).backward()
    make_step(optimizers, rate=0.125, scale=torch.tensor(1.0))
    assert {group["lr"] for optimizer in optimizers for group in optimizer.param_groups} == {0.125}
    adam = optimizers[0].param_groups
    assert [(group["betas"], group["eps"]) for group in adam] == [((0.5, 0.6), 1e-9)] * 2
