"""Each kind of attention, compared with loops over its formula."""

import math

import pytest
import torch
from torch import Tensor

from nmt.config.schema import ModelConfig
from nmt.model.attention import AdditiveAttention, Attention, GeneralAttention, MultiHeadAttention, masked_softmax
from nmt.model.classics.coverage import CoverageAttention
from nmt.model.classics.multi_head_additive import MultiHeadAdditiveAttention
from nmt.model.parts import ATTENTIONS
from nmt.model.state import Memory

B, Q, S, D = 2, 3, 5, 4
KINDS = list(ATTENTIONS)
CONFIG = ModelConfig(encoder_size=D, decoder_size=D, attention_heads=2)


def memory(attention: Attention, values: Tensor, lengths: list[int]) -> Memory:
    mask = torch.arange(values.size(1)) < torch.tensor(lengths).unsqueeze(1)
    return Memory(values=values, keys=attention.project(values), mask=mask, summary=values[:, 0])


def build(kind: str) -> Attention:
    torch.manual_seed(5)
    return ATTENTIONS[kind](CONFIG).double()


def score(attention: Attention, query: Tensor, value: Tensor) -> Tensor:
    """The published score of one query and one value."""
    if isinstance(attention, AdditiveAttention):
        joined = attention.query.weight @ query + attention.query.bias + attention.key.weight @ value
        return (attention.score.weight @ torch.tanh(joined)).squeeze()
    if isinstance(attention, GeneralAttention):
        return query @ attention.key.weight @ value
    return query @ value


@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
def test_formulas(kind: str) -> None:
    attention = build(kind)
    query, values = torch.randn(B, Q, D).double(), torch.randn(B, S, D).double()
    context, weights = attention(query, memory(attention, values, [5, 3]))
    for b, length in enumerate([5, 3]):
        for q in range(Q):
            scores = torch.stack([score(attention, query[b, q], values[b, s]) for s in range(length)])
            expected = scores.exp() / scores.exp().sum()
            torch.testing.assert_close(weights[b, q, :length], expected)
            torch.testing.assert_close(context[b, q], expected @ values[b, :length])


def test_multi_head_equals_torch() -> None:
    attention = build("multi_head")
    assert isinstance(attention, MultiHeadAttention)
    theirs = torch.nn.MultiheadAttention(D, 2, batch_first=True).double()
    parts = (attention.query, attention.key, attention.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(attention.output.state_dict())
    query, values = torch.randn(B, Q, D).double(), torch.randn(B, S, D).double()
    source = memory(attention, values, [5, 3])
    context, weights = attention(query, source)
    expected_context, expected_weights = theirs(query, values, values, key_padding_mask=~source.mask)
    torch.testing.assert_close(context, expected_context)
    torch.testing.assert_close(weights, expected_weights)


def test_multi_head_additive_is_additive_in_every_head() -> None:
    attention = build("multi_head_additive")
    assert isinstance(attention, MultiHeadAdditiveAttention)
    query, values, size = torch.randn(B, Q, D).double(), torch.randn(B, S, D).double(), D // 2
    context, weights = attention(query, memory(attention, values, [5, 3]))
    for b, length in enumerate([5, 3]):
        for q in range(Q):
            heads, looks = [], []
            for head, w in enumerate(attention.score.weight):
                own = slice(head * size, (head + 1) * size)
                asked, keys, seen = (
                    (tensor @ layer.weight.T + layer.bias)[..., own]
                    for layer, tensor in [
                        (attention.query, query[b, q]),
                        (attention.key, values[b, :length]),
                        (attention.value, values[b, :length]),
                    ]
                )
                scores = torch.stack([w @ torch.tanh(asked + key) for key in keys])
                looks.append(scores.exp() / scores.exp().sum())
                heads.append(looks[-1] @ seen)
            torch.testing.assert_close(weights[b, q, :length], (looks[0] + looks[1]) / 2)
            torch.testing.assert_close(context[b, q], attention.output(torch.cat(heads)))


@pytest.mark.parametrize("kind", KINDS)
def test_padding_gets_no_weight(kind: str) -> None:
    attention = build(kind)
    query, values = torch.randn(B, Q, D).double(), torch.randn(B, S, D).double()
    context, weights = attention(query, memory(attention, values, [5, 2]))
    changed = values.clone()
    changed[1, 2:] = 1e3
    other, other_weights = attention(query, memory(attention, changed, [5, 2]))
    torch.testing.assert_close(other, context)
    torch.testing.assert_close(other_weights, weights)
    assert (weights[1, :, 2:] == 0).all()


def test_coverage_enters_the_score() -> None:
    torch.manual_seed(5)
    attention = CoverageAttention(CONFIG).double()
    query, values, coverage = (torch.randn(shape).double() for shape in ((B, Q, D), (B, S, D), (B, Q, S)))
    _, weights = attention(query, memory(attention, values, [5, 3]), coverage)
    for b, length in enumerate([5, 3]):
        for q in range(Q):
            scores = []
            for s in range(length):
                joined = attention.query.weight @ query[b, q] + attention.query.bias
                joined = (
                    joined + attention.key.weight @ values[b, s] + attention.coverage.weight[:, 0] * coverage[b, q, s]
                )
                scores.append((attention.score.weight @ torch.tanh(joined)).squeeze())
            expected = torch.stack(scores).exp() / torch.stack(scores).exp().sum()
            torch.testing.assert_close(weights[b, q, :length], expected)


def test_masked_softmax_sums_to_one() -> None:
    weights = masked_softmax(torch.randn(1, 2, 4), torch.tensor([[True, True, False, False]]))
    assert weights.sum(-1)[0].tolist() == pytest.approx([1.0, 1.0])
    assert not math.isnan(weights.sum().item())
