"""The packed network, compared with the network it was packed from and with itself in other batches."""

import itertools
from typing import Any

import hypothesis.strategies as st
import pytest
import tiny
import torch
from hypothesis import given, settings
from int8 import needs_int8
from table_scorer import sentences
from torch import Tensor

from nmt.config.schema import ModelConfig
from nmt.data.batch import pad
from nmt.errors import ConfigError, MachineError, ModelError
from nmt.model.candidates import Candidates
from nmt.model.seq2seq import Seq2Seq
from nmt.search.loop import Search, decode
from nmt.search.options import SearchOptions
from nmt.search.packed import decoder, engine, kernels
from nmt.search.packed.arithmetic import Float32, Int8
from nmt.search.packed.engine import PACKABLE, Engine, build_scorer, find_unpackable_part
from nmt.search.scorer import EnsembleScorer, ModelScorer, Scorer
from nmt.types import BOS, EOS


@pytest.fixture(params=[True, False], ids=["compiled", "torch"], autouse=True)
def _loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled loops and without."""
    monkeypatch.setattr(kernels, "AVAILABLE", kernels.AVAILABLE and request.param)


LINES = [[5, 6, 7, 8, EOS], [9, EOS], [*range(4, 20), 4, EOS], [10, 11, 12, EOS]]
ALL = Candidates.all(tiny.SIZE)
SOME = Candidates(
    tokens=torch.tensor([[3, 4, 9, 12, 19], [3, 4, 3, 3, 3], [3, 4, 9, 12, 3], [3, 5, 9, 12, 19]]),
    counts=torch.tensor([5, 2, 4, 5]),
)

KINDS = [
    {
        "cell": cell,
        "attention": attention,
        "decoder": decoder,
        "decoder_layers": layers,
        "encoder_layers": layers,
        **rest,
    }
    for cell, attention, decoder, (layers, rest) in itertools.product(
        ("lstm", "gru", "rnn"),
        ("dot", "general", "additive", "multi_head"),
        ("parallel", "input_feeding"),
        (
            (1, {}),
            (2, {"residual": True, "layer_norm": True, "bridge": "final", "tied_embeddings": "three_way"}),
            (2, {"bridge": "none", "tied_embeddings": "two_way", "residual": False}),
        ),
    )
]


def network(seed: int = 1, **settings: Any) -> Seq2Seq:
    """A network with sizes that fill vectors and weights larger than at the start of training, without an embedding
    scale.

    With larger embeddings random networks, above all plain RNNs, are so sensitive that int8 changes their output.
    """
    sizes = {"embedding_size": 16, "embedding_scale": 1.0, "encoder_size": 64, "decoder_size": 64, "attention_heads": 4}
    result = tiny.network(seed, **{**sizes, **settings}).requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parameter in result.parameters():
        parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return result


@torch.inference_mode()
def walk(
    scorer: Scorer[Any], lines: list[list[int]], tokens: Tensor, candidates: Candidates = ALL
) -> tuple[Tensor, Tensor]:
    """Log P (B, K, T, W) along the same tokens (K, T) for all lines, and attention of the longest line (K, T, S)."""
    source, lengths = pad(lines)
    B, (K, T) = len(lines), tokens.shape
    prediction, state = scorer.step(torch.full((B,), BOS), scorer.start(source, lengths, candidates))
    state = state.select(torch.arange(B).repeat_interleave(K))
    predictions = []
    for step in range(T):
        prediction, state = scorer.step(tokens[:, step].repeat(B), state)
        predictions.append((prediction.log_probabilities.clone(), prediction.attention.clone()))
    log_p, weights = (torch.stack(parts, dim=1) for parts in zip(*predictions, strict=True))
    longest = int(lengths.argmax())
    return log_p.view(B, K, T, -1), weights.view(B, K, T, -1)[longest, :, :, : source.size(1)]


TOKENS = torch.tensor([[4, 9, 12, 5], [7, 7, 19, 18], [4, 9, 12, 6]])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_float32_equals_the_model(kind: dict[str, Any]) -> None:
    model = network(**kind)
    for ours, models in zip(
        walk(build_scorer(model, "fp32"), LINES, TOKENS), walk(ModelScorer(model), LINES, TOKENS), strict=True
    ):
        torch.testing.assert_close(ours, models, rtol=0, atol=5e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-6), pytest.param("int8", 0.1, marks=needs_int8)])
@pytest.mark.parametrize("decoder", ["parallel", "input_feeding"])
def test_embeddings_have_their_scale(decoder: str, precision: str, tolerance: float) -> None:
    model = network(decoder=decoder, embedding_scale=4.0)
    ours, models = walk(build_scorer(model, precision), LINES, TOKENS)[0], walk(ModelScorer(model), LINES, TOKENS)[0]
    assert (models.exp() * (models - ours)).sum(dim=-1).max() < tolerance
    if precision == "fp32":
        torch.testing.assert_close(ours, models, rtol=0, atol=5e-5)
    unscaled, _ = walk(ModelScorer(network(decoder=decoder)), LINES, TOKENS)
    assert (ours - unscaled).abs().max() > 0.1


@needs_int8
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_int8_is_close_to_the_model_and_the_same_in_every_batch(kind: dict[str, Any]) -> None:
    # With other seeds, a random network may have attention that flips at the smallest change.
    model = network(seed=5, **kind)
    scorer = build_scorer(model, "int8")
    together, _ = walk(scorer, LINES, TOKENS)
    exact, _ = walk(ModelScorer(model), LINES, TOKENS)
    divergence = (exact.exp() * (exact - together)).sum(dim=-1)
    assert divergence.max() < 0.1
    for index, line in enumerate(LINES):
        alone, _ = walk(scorer, [line], TOKENS)
        torch.testing.assert_close(alone[0], together[index], rtol=0, atol=scorer.tolerance / 10)


@needs_int8
@pytest.mark.parametrize("attention", ["dot", "general", "additive", "multi_head"])
def test_padding_does_not_change_int8(attention: str) -> None:
    model = network(attention=attention, decoder_layers=2)
    for name, parameter in model.decoder.attention.named_parameters():
        if name.endswith("bias"):
            parameter.add_(3.0)  # at padding, keys and values would be much larger than elsewhere
    scorer = build_scorer(model, "int8")
    whole, _ = walk(scorer, LINES, TOKENS)
    for index, line in enumerate(LINES):
        alone, _ = walk(scorer, [line], TOKENS)
        assert torch.equal(alone[0], whole[index])


@needs_int8
@settings(max_examples=25)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(1, 3))
def test_int8_states_have_the_same_bits_in_every_batch(order: list[int], beam: int) -> None:
    scorer = build_scorer(network(decoder_layers=2), "int8")
    whole, _ = walk(scorer, LINES, TOKENS)
    some, _ = walk(scorer, [LINES[index] for index in order], TOKENS[:beam])
    # With as many columns as one vector holds, even the softmax adds up in one order.
    assert torch.equal(some, whole[order][:, :beam])


def test_bfloat16_is_close_to_the_model() -> None:
    model = network()
    difference = walk(build_scorer(model, "bf16"), LINES, TOKENS)[0] - walk(ModelScorer(model), LINES, TOKENS)[0]
    assert 0 < difference.abs().max() < 0.2


@pytest.mark.parametrize("precision", ["fp32", "bf16", pytest.param("int8", marks=needs_int8)])
def test_probabilities_are_normalized_over_the_candidates(precision: str) -> None:
    scorer = build_scorer(network(), precision)
    listed, _ = walk(scorer, LINES, TOKENS[:, :1], SOME)
    every, _ = walk(scorer, LINES, TOKENS[:, :1])
    for row, (tokens, count) in enumerate(zip(SOME.tokens, [5, 2, 4, 5], strict=True)):
        expected = every[row][..., tokens[:count] - EOS].log_softmax(dim=-1)
        torch.testing.assert_close(listed[row, ..., :count], expected, rtol=0, atol=1e-5)
        assert (listed[row, ..., count:] == float("-inf")).all()


@pytest.mark.parametrize("precision", ["fp32", pytest.param("int8", marks=needs_int8)])
@pytest.mark.parametrize("kind", [{}, {"attention": "multi_head", "cell": "gru", "decoder": "input_feeding"}])
def test_hypotheses_and_sentences_are_selected(precision: str, kind: dict[str, Any]) -> None:
    scorer = build_scorer(network(**kind), precision)
    with torch.inference_mode():
        _, state = scorer.step(torch.full((4,), BOS), scorer.start(*pad(LINES), SOME))
        whole, _ = scorer.step(torch.tensor([5, 6, 7, 8]), state)
        few, _ = scorer.step(torch.tensor([8, 6]), state.select(torch.tensor([3, 1]), torch.tensor([3, 1])))
    torch.testing.assert_close(few.log_probabilities, whole.log_probabilities[[3, 1]], rtol=0, atol=1e-5)
    torch.testing.assert_close(few.attention, whole.attention[[3, 1]], rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16", pytest.param("int8", marks=needs_int8)])
@pytest.mark.parametrize("sizes", [{}, {"encoder_size": 44, "decoder_size": 20}])
def test_translations_do_not_depend_on_the_batch(precision: str, sizes: dict[str, int]) -> None:
    scorer = build_scorer(network(**sizes), precision)
    options = SearchOptions(beam=3, nbest=2, max_length_factor=1)
    found = decode(Search(scorer=scorer), sentences(LINES), options)
    for line, hypotheses in zip(LINES, found, strict=True):
        (alone,) = decode(Search(scorer=scorer), sentences([line]), options)
        assert [hypothesis.ids for hypothesis in alone] == [hypothesis.ids for hypothesis in hypotheses]


def test_a_product_replaces_a_table_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    table = Engine(model, Float32())
    monkeypatch.setattr(decoder, "MAX_TABLE_BYTES", 0)
    product = Engine(model, Float32())
    assert type(table.decoder.embedded) is not type(product.decoder.embedded)
    torch.testing.assert_close(walk(table, LINES, TOKENS), walk(product, LINES, TOKENS), rtol=0, atol=1e-5)


def test_sizes_that_do_not_fill_vectors_have_a_larger_tolerance() -> None:
    assert Engine(network(), Int8()).tolerance < 1e-4
    assert Engine(network(decoder_size=20), Int8()).tolerance > 1e-2
    assert Engine(network(encoder_size=44), Int8()).tolerance > 1e-2
    # Without rounding to levels, a difference in the last bit does not grow.
    assert Engine(network(decoder_size=20), Float32()).tolerance < 1e-4


def test_rows_split_between_threads_have_a_larger_tolerance() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    assert Engine(network(), Int8()).tolerance > 1e-2
    assert Engine(network(), Float32()).tolerance < 1e-4
    torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["fp32", pytest.param("int8", marks=needs_int8)])
@pytest.mark.parametrize("part", ["encoder.layers.0.forward_layer.fused.weight_hh_l0", "output.bias"])
def test_nan_weights_are_refused(precision: str, part: str) -> None:
    model = network()
    dict(model.named_parameters())[part].view(-1)[3] = float("nan")
    with pytest.raises(ModelError, match="its training diverged; use another checkpoint"):
        build_scorer(model, precision)


def test_ensemble_of_a_packed_and_an_unpacked_model() -> None:
    model = network()
    members = [build_scorer(model, "fp32"), ModelScorer(model)]
    for ours, models in zip(walk(EnsembleScorer(members), LINES, TOKENS), walk(members[1], LINES, TOKENS), strict=True):
        torch.testing.assert_close(ours, models, rtol=0, atol=5e-5)


def test_auto_is_int8_only_if_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    expected = {True: Int8.tolerance, False: Float32.tolerance}
    for exact, tolerance in expected.items():
        monkeypatch.setattr(engine, "multiplies_int8_exactly", lambda exact=exact: exact)
        assert build_scorer(model, "auto").tolerance == tolerance


def test_inexact_int8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "multiplies_int8_exactly", lambda: False)
    with pytest.raises(MachineError, match="int8: this processor does not compute it exactly; choose"):
        build_scorer(network(), "int8")


def test_the_default_model_can_be_packed() -> None:
    assert find_unpackable_part(ModelConfig()) is None


@pytest.mark.parametrize(
    "part",
    [
        {"cell": "layer_norm_lstm"},
        {"encoder_stack": "gnmt"},
        {"encoder_transitions": 2},
        {"decoder_transitions": 3},
        {"decoder": "conditional"},
        {"attention": "multi_head_additive"},
        {"coverage": True},
        {"context_gate": True},
        {"output": "copy"},
    ],
    ids=str,
)
def test_parts_that_cannot_be_packed_are_named(part: dict[str, Any]) -> None:
    ((key, value),) = part.items()
    assert find_unpackable_part(ModelConfig(**part)) == f"model.{key}={value}"


def test_unpackable_network_is_used_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKABLE, "cell", ("rnn",))
    model = network()
    assert find_unpackable_part(model.config) == "model.cell=lstm"
    for precision in ("auto", "fp32"):
        assert isinstance(build_scorer(model, precision), ModelScorer)
    for precision in ("int8", "bf16"):
        with pytest.raises(ConfigError, match=f"precision {precision}: not for models with model.cell=lstm; choose"):
            build_scorer(model, precision)
    model.output.bias[3] = float("nan")
    with pytest.raises(ModelError, match="its training diverged"):
        build_scorer(model, "auto")
