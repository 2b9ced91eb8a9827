"""Attentional vectors, compared with their formulas."""

import torch

from nmt.config.schema import ModelConfig
from nmt.model.classics.context_gate import GatedCombine
from nmt.model.combine import Combine

E, H, C = 3, 4, 6
CONFIG = ModelConfig(embedding_size=E, decoder_size=H, encoder_size=C)


def inputs() -> list[torch.Tensor]:
    """Of five positions."""
    torch.manual_seed(2)
    return [torch.randn(5, size, dtype=torch.float64) for size in (E, H, C)]


def test_vector_without_gate() -> None:
    embedded, hidden, context = inputs()
    combine = Combine(CONFIG).double()
    expected = [combine.weight @ torch.cat([c, h]) + combine.bias for c, h in zip(context, hidden, strict=True)]
    torch.testing.assert_close(combine.vectors(embedded, hidden, context), torch.tanh(torch.stack(expected)))


def test_the_gate_weighs_context_against_state() -> None:
    embedded, hidden, context = inputs()
    combine = GatedCombine(CONFIG).double()
    expected = []
    for e, h, c in zip(embedded, hidden, context, strict=True):
        z = 1 / (1 + torch.exp(-(combine.gate.weight @ torch.cat([e, h, c]) + combine.gate.bias)))
        said = combine.hidden.weight @ h + combine.hidden.bias
        expected.append(torch.tanh(z * (combine.context.weight @ c) + (1 - z) * said))
    torch.testing.assert_close(combine.vectors(embedded, hidden, context), torch.stack(expected))


def test_open_and_closed_gates() -> None:
    embedded, hidden, context = inputs()
    combine = GatedCombine(CONFIG).double().requires_grad_(False)
    combine.gate.bias.fill_(1e3)
    torch.testing.assert_close(
        combine.vectors(embedded, hidden, context), combine.vectors(embedded, torch.zeros_like(hidden), context)
    )
    combine.gate.bias.fill_(-1e3)
    torch.testing.assert_close(
        combine.vectors(embedded, hidden, context), combine.vectors(embedded, hidden, torch.zeros_like(context))
    )
