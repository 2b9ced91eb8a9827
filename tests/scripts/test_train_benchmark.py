"""scripts/bench-train: the plain network equals the network of nmt, and products are counted correctly."""

from pathlib import Path

import pytest
import tiny
import torch
import warm
from torch import nn
from train_benchmark.main import run_script
from train_benchmark.parts import Products, by_part, ceiling
from train_benchmark.plain import PlainSeq2Seq

from nmt.config.load import dump_config
from nmt.model.attention import GeneralAttention
from nmt.model.encoder import BidirectionalLayer
from nmt.model.seq2seq import Seq2Seq


def plain_copy(network: Seq2Seq) -> PlainSeq2Seq:
    """The textbook network with the weights of ours."""
    plain = PlainSeq2Seq(network.config, tiny.SIZE, tiny.SIZE).double()
    layer, decoder = network.encoder.layers[0], network.decoder
    assert isinstance(layer, BidirectionalLayer)
    assert isinstance(decoder.attention, GeneralAttention)
    assert decoder.bridge.linear is not None
    weights = {
        **named("source", network.source_embedding),
        **named("target", network.target_embedding),
        **named("encoder", tiny.fused(layer.forward_layer)),
        **{f"{name}_reverse": weight for name, weight in named("encoder", tiny.fused(layer.backward_layer)).items()},
        **named("decoder", tiny.fused(decoder.layers[0])),
        **named("bridge", decoder.bridge.linear),
        **named("query", decoder.attention.key),
        **named("combine", decoder.combine),
        **named("output", network.output),
    }
    plain.load_state_dict(weights)
    return plain


def named(prefix: str, module: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": weight for name, weight in module.state_dict().items()}


@pytest.mark.parametrize("decoder", ["parallel", "input_feeding"])
def test_network_equals_the_plain_network(decoder: str) -> None:
    network = tiny.network(decoder=decoder, decoder_layers=1, tied_embeddings="none", bridge="mean").double()
    plain = plain_copy(network)
    ours, theirs = tiny.loss(network, tiny.batch(), label_smoothing=0.1), plain(tiny.batch(), 0.1)
    torch.testing.assert_close(ours, theirs)
    ours.backward()
    theirs.backward()
    for name, weight in plain_copy_of_gradients(network, plain):
        torch.testing.assert_close(weight[0], weight[1], msg=name)


def plain_copy_of_gradients(
    network: Seq2Seq, plain: PlainSeq2Seq
) -> list[tuple[str, tuple[torch.Tensor, torch.Tensor]]]:
    """Gradients of both networks, pair by pair."""
    for parameter in network.parameters():
        parameter.data.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    expected = dict(plain_copy(network).named_parameters())
    return [
        (name, (weight.grad, expected[name].data))
        for name, weight in plain.named_parameters()
        if weight.grad is not None
    ]


def test_products_are_counted() -> None:
    with Products() as products:
        torch.randn(2, 3) @ torch.randn(3, 4)
        torch.bmm(torch.randn(5, 2, 3), torch.randn(5, 3, 4))
        nn.Linear(3, 4)(torch.randn(2, 3))
    assert products.shapes == {(1, 2, 3, 4): 2, (5, 2, 3, 4): 1}
    assert products.operations() == 2 * 2 * 3 * 4 * 7
    assert ceiling(products.shapes, torch.float32, torch.device("cpu")) > 0


def test_products_of_fused_layers_are_counted() -> None:
    layer, inputs = nn.LSTM(3, 4), torch.randn(5, 2, 3)
    with Products() as fused:
        layer(inputs)[0].sum().backward()
    assert fused.shapes[1, 10, 3, 16] == 1
    assert fused.shapes[1, 2, 4, 16] == fused.shapes[1, 2, 16, 4] == 5
    assert fused.operations() == 3 * 2 * 10 * 16 * (3 + 4)


@tiny.needs_bf16
@pytest.mark.parametrize("decoder", ["parallel", "input_feeding"])
def test_parts(decoder: str) -> None:
    seconds = by_part(tiny.network(decoder=decoder), [tiny.batch()], torch.bfloat16, 0.1)
    assert set(seconds) == {
        "embeddings and encoder", "decoder with attention", "attention alone", "softmax and loss"
    }  # fmt: skip
    assert all(value > 0 for value in seconds.values())


def test_time_of_an_update_by_part(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(dump_config(tiny.config(tiny.write_corpus(tmp_path))))
    answer = warm.run_command(run_script, str(tmp_path / "tiny.yaml"), "--profile", "--updates", "2")
    assert answer.status == 0, answer.stderr
    assert b"norm and optimizer" in answer.stdout
