import dataclasses
from typing import Any

import pytest
import tiny
import torch
from torch.nn import functional as F

from nmt.data.batch import Batch
from nmt.model.dropout import Randomness
from nmt.model.seq2seq import DECODERS, Seq2Seq, real_targets


def parameters(network: Seq2Seq) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_tying_shares_weights() -> None:
    none, two_way, three_way = (tiny.network(tied_embeddings=kind) for kind in ("none", "two_way", "three_way"))
    assert none.output.weight is not none.target_embedding.weight
    assert two_way.output.weight is two_way.target_embedding.weight is not two_way.source_embedding.weight
    assert three_way.output.weight is three_way.target_embedding.weight is three_way.source_embedding.weight
    assert parameters(two_way) - parameters(three_way) == tiny.SIZE * 6


def test_tied_weights_have_a_projection_for_all_sizes() -> None:
    network = tiny.network(decoder_size=6, embedding_size=6)
    assert network.project.weight.shape == (6, 6)
    assert list(tiny.network(decoder_size=6, embedding_size=6, tied_embeddings="none").project.parameters()) == []


@torch.no_grad()
def test_embeddings_are_scaled() -> None:
    """As if untied weights were larger themselves."""
    scaled, plain = (tiny.network(tied_embeddings="none", embedding_scale=scale) for scale in (3.0, 1.0))
    batch, first = tiny.batch(), torch.tensor([7, 8, 9])

    def computed(network: Seq2Seq) -> tuple[torch.Tensor, torch.Tensor]:
        memory = network.encode(batch.source, batch.source_lengths)
        return tiny.logits(network, batch), network.step(first, network.start(memory), memory).vectors

    assert not torch.allclose(computed(scaled)[0], computed(plain)[0])
    for embedding in (plain.source_embedding, plain.target_embedding):
        embedding.weight *= 3
        torch.testing.assert_close(embedding.scaled, embedding.weight)
    torch.testing.assert_close(scaled.source_embedding.scaled, plain.source_embedding.scaled)
    torch.testing.assert_close(computed(scaled), computed(plain))


def test_logits_are_of_target_tokens_without_padding() -> None:
    batch = tiny.batch()
    assert tiny.logits(tiny.network(), batch).shape == (10, tiny.SIZE)
    assert real_targets(batch).tolist() == [6, 5, 3, 7, 3, 8, 9, 10, 11, 3]


def padded(batch: Batch) -> Batch:
    """The same pairs with more padding on both sides."""
    return dataclasses.replace(batch, source=F.pad(batch.source, (0, 4)), target=F.pad(batch.target, (0, 2)))


def test_logits_do_not_depend_on_padding() -> None:
    network, batch = tiny.network().double(), tiny.batch()
    torch.testing.assert_close(tiny.logits(network, padded(batch)), tiny.logits(network, batch))


PARTS: list[dict[str, Any]] = [
    {},
    {"decoder": "input_feeding", "attention": "additive", "coverage": True},
    {"context_gate": True},
    {"decoder": "input_feeding", "context_gate": True},
    {"output": "copy"},
    {"output": "copy", "decoder": "input_feeding", "context_gate": True},
]


@pytest.mark.parametrize("part", PARTS)
def test_loss_and_gradients_do_not_depend_on_split_and_padding(part: dict[str, Any]) -> None:
    network, batch = tiny.network(**part).double(), tiny.batch()
    found = []
    for batches in ([batch], batch.halves(), [padded(half) for half in batch.halves()]):
        network.zero_grad()
        loss = torch.stack([tiny.loss(network, each, label_smoothing=0.1).double() for each in batches]).sum()
        loss.backward()
        found.append([loss.detach()])
        for parameter in network.parameters():
            assert parameter.grad is not None
            found[-1].append(parameter.grad.clone())
    for others in found[1:]:
        torch.testing.assert_close(others, found[0])


def test_logits_depend_on_earlier_tokens_only() -> None:
    network, batch = tiny.network().double(), tiny.batch()
    changed = batch.target.clone()
    changed[2, 3] = 15
    before, after = tiny.logits(network, batch), tiny.logits(network, dataclasses.replace(batch, target=changed))
    torch.testing.assert_close(before[:9], after[:9])  # the piece itself is predicted at row 8 and seen at row 9
    assert not torch.allclose(before[9], after[9])


def test_the_loss_is_the_cross_entropy_of_the_logits() -> None:
    network, batch = tiny.network().double(), tiny.batch()
    expected = F.cross_entropy(tiny.logits(network, batch), real_targets(batch), label_smoothing=0.1, reduction="sum")
    torch.testing.assert_close(tiny.loss(network, batch, label_smoothing=0.1), expected, check_dtype=False)


@pytest.mark.parametrize("setting", ["embedding_dropout", "output_dropout", "state_dropout"])
def test_each_dropout_changes_the_outputs(setting: str) -> None:
    network, batch = tiny.network(**dict[str, Any]({setting: 0.5})), tiny.batch()
    assert not torch.allclose(tiny.logits(network, batch, tiny.randomness(2)), tiny.logits(network, batch))


def gradients(network: Seq2Seq, parts: list[tuple[Batch, Randomness]]) -> dict[str, torch.Tensor]:
    """Of each weight, added up over the batches of an update."""
    network.zero_grad()
    for batch, randomness in parts:
        tiny.loss(network, batch, randomness).backward()
    return {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("part", [{}, *tiny.PARTS], ids=str)
@pytest.mark.parametrize("decoder", DECODERS)
def test_gradients_do_not_depend_on_the_split_of_an_update(decoder: str, part: dict[str, Any]) -> None:
    settings = {"decoder": decoder, "decoder_layers": 2, "dropout": 0.3, **part}
    network, batch = tiny.network(**settings).double(), tiny.batch()
    whole = gradients(network, [(batch, tiny.randomness())])
    cuts = [(first, tiny.cut(batch, first, last)) for first, last in ((0, 1), (1, 2), (2, 3))]
    random = [Randomness(generator=tiny.randomness().generator, first=first, sentences=3) for first, _ in cuts]
    parts = gradients(network, [(part, randomness) for (_, part), randomness in zip(cuts, random, strict=True)])
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)
    assert whole.keys() == dict(network.named_parameters()).keys()


def test_initial_weights_depend_on_the_generator_only() -> None:
    one, same, other = tiny.network(seed=1), tiny.network(seed=1), tiny.network(seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("decoder", DECODERS)
def test_transitions_of_each_side(decoder: str) -> None:
    plain = tiny.network(decoder=decoder, encoder_layers=2, decoder_layers=2)
    of_encoder = tiny.network(decoder=decoder, encoder_layers=2, decoder_layers=2, encoder_transitions=2)
    of_decoder = tiny.network(decoder=decoder, encoder_layers=2, decoder_layers=2, decoder_transitions=3)
    gates = [4 * size * (size + 1) for size in (4, 8)]  # U and b of a transition
    assert parameters(of_encoder) - parameters(plain) == 2 * 2 * gates[0]
    assert parameters(of_decoder) - parameters(plain) == 2 * 2 * gates[1]


@pytest.mark.parametrize("kind", ["none", "two_way", "three_way"])
def test_initial_embeddings_are_small(kind: str) -> None:
    network = tiny.network(tied_embeddings=kind)
    for embedding in (network.source_embedding, network.target_embedding):
        assert embedding.weight.std().item() == pytest.approx(6**-0.5, rel=0.3)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["dot", "general", "multi_head", "additive"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_attention_is_spread_before_it_learns(attention: str, layer_norm: bool) -> None:
    network = tiny.network(encoder_size=256, decoder_size=256, attention=attention, layer_norm=layer_norm)
    memory = network.encode(
        torch.randint(4, tiny.SIZE, (10, 16), generator=torch.Generator().manual_seed(1)), torch.full((10,), 16)
    )
    weights = network.step(torch.arange(4, 14), network.start(memory), memory).attention
    assert float(weights.amax(dim=-1).mean()) < 0.3


def test_every_weight_gets_a_gradient() -> None:
    for decoder in DECODERS:
        network = tiny.network(
            decoder=decoder, encoder_layers=2, decoder_layers=2, layer_norm=True, attention="additive"
        )
        tiny.loss(network, tiny.batch()).backward()
        assert not [name for name, parameter in network.named_parameters() if parameter.grad is None]
