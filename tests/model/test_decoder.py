"""Every decoder: teacher forcing equals repeated steps."""

import dataclasses
from itertools import combinations, product
from typing import Any

import pytest
import tiny
import torch

from nmt.data.batch import Batch
from nmt.model.classics.conditional import ConditionalDecoder
from nmt.model.decoder import InputFeedingDecoder
from nmt.model.seq2seq import DECODERS, Seq2Seq
from nmt.types import BOS


def by_steps(network: Seq2Seq, batch: Batch) -> torch.Tensor:
    """Logits of the real target tokens, one step at a time."""
    memory = network.encode(batch.source, batch.source_lengths)
    state, tokens, logits = network.start(memory), torch.full((3,), BOS), []
    for t in range(batch.target.size(1)):
        step = network.step(tokens, state, memory)
        state, tokens = step.state, batch.target[:, t]
        logits.append(network.output(step.vectors))
    stacked = torch.stack(logits, dim=1)
    return torch.cat([stacked[row, :length] for row, length in enumerate(batch.target_lengths.tolist())])


@pytest.mark.parametrize(
    ("decoder", "cell", "attention", "layers"),
    [
        *product(DECODERS, ["lstm", "gru", "rnn"], ["general"], [1, 3]),
        *product(DECODERS, ["lstm"], ["dot", "additive", "multi_head", "multi_head_additive"], [2]),
    ],
)
def test_forward_equals_repeated_steps(decoder: str, cell: str, attention: str, layers: int) -> None:
    network = tiny.network(
        decoder=decoder, cell=cell, attention=attention, decoder_layers=layers, attention_heads=2
    ).double()
    batch = tiny.batch()
    torch.testing.assert_close(
        by_steps(network, batch), tiny.logits(network, batch), check_dtype=False, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("part", tiny.PARTS, ids=str)
@pytest.mark.parametrize("decoder", DECODERS)
def test_forward_equals_steps_for_all_parts(decoder: str, part: dict[str, Any]) -> None:
    network, batch = tiny.network(**{"decoder": decoder, "decoder_layers": 2, **part}).double(), tiny.batch()
    torch.testing.assert_close(
        by_steps(network, batch), tiny.logits(network, batch), check_dtype=False, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    "setting",
    [
        {"residual": False},
        {"layer_norm": True},
        {"bridge": "none"},
        {"bridge": "final"},
        {"attention": "additive"},
        {"context_gate": True},
    ],
)
def test_forward_equals_steps_under_each_setting(decoder: str, setting: dict[str, Any]) -> None:
    check_setting(decoder, setting)


@pytest.mark.parametrize("decoder", ["input_feeding", "conditional"])
def test_forward_equals_steps_with_coverage(decoder: str) -> None:
    check_setting(decoder, {"attention": "additive", "coverage": True})


def check_setting(decoder: str, setting: dict[str, Any]) -> None:
    network = tiny.network(decoder=decoder, decoder_layers=3, **setting).double()
    batch = tiny.batch()
    logits = tiny.logits(network, batch)
    torch.testing.assert_close(by_steps(network, batch), logits, check_dtype=False, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(tiny.logits(tiny.network(decoder=decoder, decoder_layers=3).double(), batch), logits)


COVERED = [
    {"decoder": decoder, "attention": "additive", "coverage": True} for decoder in ("input_feeding", "conditional")
]


@pytest.mark.parametrize("setting", [*({"decoder": decoder} for decoder in DECODERS), *COVERED])
def test_hypotheses_of_a_sentence_share_its_memory(setting: dict[str, Any]) -> None:
    network = tiny.network(**setting).double()
    batch = tiny.batch()
    memory = network.encode(batch.source, batch.source_lengths)
    tokens = torch.tensor([4, 5, 6, 7, 8, 9])  # two hypotheses for each of three sentences
    twice = torch.arange(3).repeat_interleave(2)
    shared = network.step(tokens, network.start(memory).select(twice), memory)
    apart = network.step(tokens, network.start(memory).select(twice), memory.select(twice))
    torch.testing.assert_close(shared.vectors, apart.vectors)
    torch.testing.assert_close(shared.attention, apart.attention)


@pytest.mark.parametrize("decoder", DECODERS)
def test_dropout_needs_randomness(decoder: str) -> None:
    network = tiny.network(decoder=decoder, decoder_layers=2, dropout=0.5)
    batch = tiny.batch()
    plain = tiny.logits(network, batch)
    torch.testing.assert_close(tiny.logits(network, batch), plain)
    dropped = tiny.logits(network, batch, tiny.randomness())
    assert not torch.allclose(dropped, plain)
    torch.testing.assert_close(tiny.logits(network, batch, tiny.randomness()), dropped)


@pytest.mark.parametrize(("decoder", "acts"), [("conditional", True), ("input_feeding", False), ("parallel", False)])
def test_dropout_with_one_layer(decoder: str, acts: bool) -> None:
    network, batch = tiny.network(decoder=decoder, decoder_layers=1, dropout=0.5), tiny.batch()
    assert torch.equal(tiny.logits(network, batch), tiny.logits(network, batch, tiny.randomness())) != acts


@tiny.needs_bf16
@pytest.mark.parametrize("setting", COVERED)
def test_coverage_is_summed_in_float32(setting: dict[str, Any]) -> None:
    """bfloat16 has no number between 2 and 2.016."""
    network, batch = tiny.network(**setting), tiny.batch()
    with torch.autocast("cpu", torch.bfloat16):
        memory = network.encode(batch.source, batch.source_lengths)
        state = network.start(memory)
        after = network.step(torch.full((3,), BOS), state, memory).state
    assert memory.values.dtype == torch.bfloat16
    for coverage in (state.attention, after.attention):
        assert coverage is not None
        assert coverage.dtype == torch.float32


@pytest.mark.parametrize("setting", COVERED)
def test_coverage_is_the_sum_of_the_weights_and_changes_them(setting: dict[str, Any]) -> None:
    network, batch = tiny.network(**setting), tiny.batch()
    memory = network.encode(batch.source, batch.source_lengths)
    state, tokens, total = network.start(memory), torch.full((3,), BOS), torch.zeros(memory.mask.shape)
    for t in range(3):
        step = network.step(tokens, state, memory)
        total = total + step.attention
        assert step.state.attention is not None
        torch.testing.assert_close(step.state.attention, total)
        state, tokens = step.state, batch.target[:, t]
    blind = dataclasses.replace(state, attention=torch.zeros_like(total))
    seeing, unseeing = (network.step(tokens, each, memory).attention for each in (state, blind))
    assert not torch.allclose(seeing, unseeing)


def test_dropout_on_the_context_between_two_transitions() -> None:
    network, batch = tiny.network(decoder="conditional", decoder_layers=1, dropout=0.5), tiny.batch()
    assert not torch.allclose(tiny.logits(network, batch, tiny.randomness()), tiny.logits(network, batch))


def test_input_feeding_changes_the_outputs() -> None:
    network = tiny.network(decoder="input_feeding")
    batch = tiny.batch()
    memory = network.encode(batch.source, batch.source_lengths)
    first = network.step(torch.full((3,), BOS), network.start(memory), memory)
    assert first.state.feed is not None
    forgotten = type(first.state)(layers=first.state.layers, feed=torch.zeros_like(first.state.feed))
    tokens = batch.target[:, 0]
    fed, unfed = network.step(tokens, first.state, memory), network.step(tokens, forgotten, memory)
    assert not torch.allclose(fed.vectors, unfed.vectors)


@pytest.mark.parametrize("cell", [torch.nn.GRUCell, torch.nn.LSTMCell])
def test_conditional_attends_between_two_cells(cell: type[torch.nn.GRUCell] | type[torch.nn.LSTMCell]) -> None:
    kind = {torch.nn.GRUCell: "gru", torch.nn.LSTMCell: "lstm"}[cell]
    network = tiny.network(decoder="conditional", cell=kind, decoder_layers=1, attention="dot").double()
    decoder, batch = network.decoder, tiny.batch()
    assert isinstance(decoder, ConditionalDecoder)
    memory = network.encode(batch.source, batch.source_lengths)
    cells = [cell(6, 8).double(), cell(8, 8).double()]
    for theirs, ours in zip(cells, (decoder.layers[0], decoder.second), strict=True):
        weights = tiny.fused(ours).state_dict()
        theirs.load_state_dict({name.removesuffix("_l0"): weight for name, weight in weights.items()})
    (state,) = network.start(memory).layers
    embedded, expected = torch.randn(3, 4, 6, dtype=torch.float64), []
    for x in embedded.unbind(dim=1):
        first = cells[0](x, state if kind == "lstm" else state[0])
        query = first[0] if kind == "lstm" else first
        scores = torch.einsum("bh,bsh->bs", query, memory.values).masked_fill(~memory.mask, float("-inf"))
        context = torch.einsum("bs,bsh->bh", scores.softmax(dim=-1), memory.values)
        second = cells[1](context, first)
        state = second if kind == "lstm" else (second,)
        expected.append(torch.tanh(decoder.combine(torch.cat([context, state[0]], dim=-1))))
    torch.testing.assert_close(decoder(embedded, memory).vectors, torch.stack(expected, dim=1))


def test_each_layer_has_its_own_dropout_mask() -> None:
    decoder = tiny.network(decoder="input_feeding", decoder_layers=4, dropout=0.5, decoder_size=40).decoder
    assert isinstance(decoder, InputFeedingDecoder)
    weights = decoder.unroll(torch.ones(3, 5, 6), torch.float32, tiny.randomness())
    first, *masks = weights.masks
    assert first is None
    assert len(masks) == 3
    for mask in masks:
        assert mask is not None
        assert mask.shape == (3, 40)
    assert all(not torch.equal(one, other) for one, other in combinations(masks, 2))  # type: ignore[arg-type]


def test_a_residual_connection_starts_at_the_second_layer() -> None:
    decoder = tiny.network(decoder_layers=2).decoder
    below, outputs = torch.ones(2, 8), torch.full((2, 8), 2.0)
    assert torch.equal(decoder.add_residual(0, below, outputs), outputs)
    assert torch.equal(decoder.add_residual(1, below, outputs), below + outputs)
    plain = tiny.network(decoder_layers=2, residual=False).decoder
    assert torch.equal(plain.add_residual(1, below, outputs), outputs)
