"""The native loop of the decoder with input feeding, compared with the loop of torch in float64."""

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Generator, Tensor

from nmt.config.schema import ModelConfig
from nmt.model.autograd import native
from nmt.model.decoder import InputFeedingDecoder
from nmt.model.dropout import Randomness
from nmt.model.state import Memory

pytestmark = pytest.mark.skipif(native.load() is None, reason="the native library is not compiled")

architectures = st.fixed_dictionaries(
    {
        "decoder_layers": st.integers(1, 3),
        "decoder_size": st.sampled_from([16, 48, 80]),
        "embedding_size": st.integers(1, 20),
        "encoder_size": st.sampled_from([2, 16, 38]),
        "attention": st.sampled_from(["dot", "general"]),
        "bridge": st.sampled_from(["none", "final"]),
        "residual": st.booleans(),
        "dropout": st.sampled_from([0.0, 0.3]),
        "state_dropout": st.sampled_from([0.0, 0.3]),
        "layer_norm": st.booleans(),
    }
)


def make_config(**changes: Any) -> ModelConfig:
    settings = {"decoder": "input_feeding", "decoder_size": 32, "encoder_size": 24, "embedding_size": 7, **changes}
    if settings.get("attention") == "dot":
        settings["encoder_size"] = settings["decoder_size"]
    return ModelConfig(**settings)


def train(
    config: ModelConfig, shape: tuple[int, int, int], dtype: torch.dtype, *, guided: bool = True
) -> dict[str, Tensor]:
    """Return the outputs of a decoder, and the gradients of a function of them. `shape` is B, T and S.

    The weights, the inputs and the dropout masks are random, but equal in each call. With `guided`, the function
    depends on the attention weights, too.
    """
    (B, T, S), C, H = shape, config.encoder_size, config.decoder_size
    generator = Generator().manual_seed(1)
    decoder = InputFeedingDecoder(config)
    for parameter in decoder.parameters():
        std = parameter.size(1) ** -0.5 if parameter.dim() > 1 else 0.1
        torch.nn.init.normal_(parameter, std=std, generator=generator)
    decoder = decoder.to(dtype)
    embedded, values, summary, of_vectors, of_attention = (
        torch.randn(size, generator=generator).to(dtype)
        for size in ((B, T, config.embedding_size), (B, S, C), (B, C), (B, T, H), (B, T, S))
    )
    inputs = {"embedded": embedded, "values": values, "summary": summary}
    for tensor in inputs.values():
        tensor.requires_grad_()
    lengths = torch.randint(1, S + 1, (B, 1), generator=generator)
    memory = Memory(
        values=values, keys=decoder.attention.project(values), mask=torch.arange(S) < lengths, summary=summary
    )
    decoded = decoder(embedded, memory, Randomness(generator=generator))
    (decoded.vectors * of_vectors).sum().add((decoded.attention * of_attention).sum() * guided).backward()
    gradients = {name: tensor.grad for name, tensor in [*inputs.items(), *decoder.named_parameters()]}
    outputs = {"vectors": decoded.vectors.detach(), "attention": decoded.attention.detach()}
    return outputs | {name: gradient for name, gradient in gradients.items() if gradient is not None}


def check(config: ModelConfig, shape: tuple[int, int, int], *, guided: bool = True) -> None:
    found, expected = (train(config, shape, dtype, guided=guided) for dtype in (torch.float32, torch.float64))
    assert found.keys() == expected.keys()
    for name, reference in expected.items():
        error = (found[name] - reference).abs().max() / reference.abs().max().clamp_min(1e-3)
        assert error.item() < 1e-5, name


@settings(max_examples=40, deadline=None)
@given(architectures, st.tuples(st.integers(1, 14), st.integers(1, 6), st.integers(1, 18)), st.booleans())
def test_outputs_and_gradients(architecture: dict[str, Any], shape: tuple[int, int, int], guided: bool) -> None:
    check(make_config(**architecture), shape, guided=guided)


@pytest.mark.parametrize("variant", ["plain", "avx2", "avx512vnni", "neon"])
def test_variants(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_NATIVE", variant)
    check(make_config(decoder_size=144, decoder_layers=2, dropout=0.2, state_dropout=0.1, layer_norm=True), (20, 3, 9))


def test_threads_change_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    config, shape = make_config(decoder_layers=2, layer_norm=True), (13, 4, 9)
    alone = train(config, shape, torch.float32)
    # Only the rows of the loop are divided: torch itself keeps its number of threads.
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    together = train(config, shape, torch.float32)
    for name, tensor in alone.items():
        assert torch.equal(tensor, together[name]), name


def test_loop_is_native_where_the_library_knows_the_network() -> None:
    def is_native(**changes: Any) -> bool:
        return InputFeedingDecoder(make_config(**changes))._is_native(torch.zeros(1, 1, 1))

    assert is_native()
    assert is_native(attention="dot", decoder_layers=3, residual=True)
    assert is_native(layer_norm=True)
    others: list[dict[str, Any]] = [
        *({"attention": attention} for attention in ("additive", "multi_head")),
        *({"cell": cell} for cell in ("gru", "rnn", "layer_norm_lstm")),
        *({part: True} for part in ("coverage", "context_gate")),
        *({"decoder_transitions": 2}, {"decoder_size": 40}),
    ]
    for changes in others:
        assert not is_native(**changes), changes
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_native()


def test_loop_of_torch_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    config, shape = make_config(decoder_layers=2, dropout=0.2, state_dropout=0.2, layer_norm=True), (5, 4, 3)
    found = train(config, shape, torch.float32)
    monkeypatch.setattr(native, "load", lambda: None)
    for name, tensor in train(config, shape, torch.float32).items():
        torch.testing.assert_close(tensor, found[name], rtol=1e-4, atol=1e-5)
