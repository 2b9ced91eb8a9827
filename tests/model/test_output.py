"""The output layers against their formulas, in training and among the candidates of a search."""

import math
from dataclasses import replace
from typing import Any

import pytest
import tiny
import torch
from table_scorer import sentences
from torch import Tensor

from nmt.data.batch import pad
from nmt.model.candidates import Candidates, Shortlist
from nmt.model.classics.copy import CopyOutput
from nmt.model.output import OutputLayer, Readout
from nmt.model.seq2seq import OUTPUTS, Seq2Seq, real_targets
from nmt.search.loop import Search, decode
from nmt.search.options import SearchOptions
from nmt.search.scorer import ModelScorer
from nmt.types import BOS, EOS

KINDS = list(OUTPUTS)
ROWS, SIZE, D = 5, 9, 4


def problem(kind: str) -> tuple[OutputLayer, Readout, Tensor]:
    """A layer over a vocabulary of nine, and five positions that look at three source tokens each."""
    torch.manual_seed(3)
    layer = OUTPUTS[kind](D, SIZE).double()
    vectors = torch.randn(ROWS, D, dtype=torch.float64, requires_grad=True)
    attention = torch.randn(ROWS, 3, dtype=torch.float64).softmax(dim=-1).requires_grad_()
    columns = torch.tensor([[3, 5, 5], [8, 3, 4], [3, 3, 3], [4, 6, 7], [7, 5, 3]])
    return layer, Readout(vectors=vectors, attention=attention, columns=columns), torch.tensor([5, 3, 0, 8, 6])


def softmax(scores: Tensor) -> Tensor:
    return scores.exp() / scores.exp().sum()


def expected(layer: OutputLayer, x: Tensor, attention: Tensor, columns: list[int], kept: list[int]) -> Tensor:
    """P of the tokens `kept`, from the papers' equations; `columns` are places among them."""

    def plain(vector: Tensor) -> Tensor:
        return softmax((layer.weight @ vector + layer.bias)[kept])

    if isinstance(layer, CopyOutput):
        gate = 1 / (1 + torch.exp(-(layer.generate.weight @ x + layer.generate.bias)))
        copied = torch.zeros(len(kept), dtype=x.dtype)
        for weight, column in zip(attention, columns, strict=True):
            if column < len(kept):
                copied[column] += weight
        return gate * plain(x) + (1 - gate) * copied / copied.sum()
    return plain(x)


@pytest.mark.parametrize("kind", KINDS)
def test_formulas(kind: str) -> None:
    layer, readout, _ = problem(kind)
    assert readout.columns is not None
    found = layer.log_probabilities(readout, layer.log_softmax)
    torch.testing.assert_close(found.exp().sum(dim=-1), torch.ones(ROWS).double())
    rows = zip(readout.vectors, readout.attention, readout.columns.tolist(), strict=True)
    for row, (x, attention, columns) in zip(found, rows, strict=True):
        torch.testing.assert_close(row.exp(), expected(layer, x, attention, columns, list(range(SIZE))))


def test_without_a_source_token_to_copy_only_generated_tokens_are_probable() -> None:
    layer, readout, _ = problem("copy")
    nowhere = replace(readout, columns=torch.full((ROWS, 3), SIZE))
    found = layer.log_probabilities(nowhere, layer.log_softmax)
    assert isinstance(layer, CopyOutput)
    generated = layer.generate(readout.vectors).sigmoid() * layer.log_softmax(readout.vectors).exp()
    torch.testing.assert_close(found.exp(), generated)


def test_kinds_of_output_differ() -> None:
    batch = tiny.batch()
    losses = {round(tiny.loss(tiny.network(output=kind), batch).item(), 3) for kind in KINDS}
    assert len(losses) == len(KINDS)


@tiny.needs_bf16
def test_bfloat16_is_close() -> None:
    network, batch = tiny.network(output="copy"), tiny.batch()
    exact = tiny.loss(network, batch, label_smoothing=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        rough = tiny.loss(network, batch, label_smoothing=0.1)
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.02)
    rough.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


LINES = [[5, 6, 7, 8, EOS], [9, 1, EOS], [10, 11, 10, EOS]]
SOME = [[EOS, 5, 6, 19], [EOS, 9, 12], [EOS, 5, 10, 11, 12]]


@torch.inference_mode()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shortlisted", [False, True])
def test_search_sees_probabilities_among_the_candidates(kind: str, shortlisted: bool) -> None:
    network = tiny.network(output=kind)
    source, lengths = pad(LINES)
    own = SOME if shortlisted else [list(range(EOS, tiny.SIZE))] * 3
    tokens, counts = pad(own)
    candidates = Candidates(tokens=tokens.clamp_min(EOS), counts=counts) if shortlisted else Candidates.all(tiny.SIZE)
    scorer = ModelScorer(network)
    state = scorer.start(source, lengths, candidates).select(torch.tensor([0, 0, 1, 1, 2, 2]))
    state = state.select(torch.tensor([0, 1, 4, 5]), torch.tensor([0, 2]))  # two hypotheses of the first and the last
    tokens = torch.tensor([BOS, 4, 7, BOS])
    prediction, _ = scorer.step(tokens, state)
    step = network.step(tokens, state.decoder, state.memory)
    for row, sentence in enumerate([0, 0, 2, 2]):
        kept, ids = own[sentence], LINES[sentence]
        columns = [kept.index(token) if token in kept else len(kept) for token in ids]
        p = expected(network.output, step.vectors[row], step.attention[row, : len(ids)], columns, kept)
        torch.testing.assert_close(prediction.log_probabilities[row, : len(kept)].exp(), p)
        assert set(prediction.log_probabilities[row, len(kept) :].tolist()) <= {-math.inf}


@torch.inference_mode()
@pytest.mark.parametrize("kind", KINDS)
def test_teacher_forcing_equals_steps(kind: str) -> None:
    network, batch = tiny.network(output=kind, decoder="input_feeding").double(), tiny.batch()
    memory = network.encode(batch.source, batch.source_lengths)
    state, tokens, found = network.start(memory), torch.full((3,), BOS), []
    for t in range(batch.target.size(1)):
        step = network.step(tokens, state, memory)
        readout = Readout(vectors=step.vectors, attention=step.attention, columns=batch.source)
        found.append(network.output.log_probabilities(readout, network.output.log_softmax))
        state, tokens = step.state, batch.target[:, t]
    by_steps = torch.stack(found, dim=1)
    real = torch.cat([by_steps[row, :length] for row, length in enumerate(batch.target_lengths.tolist())])
    torch.testing.assert_close(network.predict(network(batch)), real, rtol=1e-5, atol=1e-6)
    assert len(real) == len(real_targets(batch))


def sharp(kind: str) -> Seq2Seq:
    network = tiny.network(5, output=kind, encoder_size=32, decoder_size=32, embedding_size=16).requires_grad_(False)
    network.output.weight.data *= 6
    return network


def test_translations_do_not_depend_on_the_rest_of_the_batch() -> None:
    scorer, options = ModelScorer(sharp("copy")), SearchOptions(beam=3, nbest=2)
    best = torch.randint(4, tiny.SIZE, (tiny.SIZE, 3), generator=torch.Generator().manual_seed(1)).numpy()
    shortlist = Shortlist(target_size=tiny.SIZE, frequent=best[0, :1], best=best).with_source_tokens(
        range(EOS, tiny.SIZE)
    )
    lines = [*LINES, [4, EOS], [EOS], [*range(4, 18), EOS]]
    for few in (None, shortlist):
        search: Search[Any] = Search(scorer=scorer, shortlist=few)
        together = decode(search, sentences(lines), options)
        alone = [decode(search, sentences([line]), options)[0] for line in lines]
        assert [[each.ids for each in found] for found in together] == [[each.ids for each in found] for found in alone]


def test_a_network_that_only_copies_translates_into_its_source() -> None:
    network = sharp("copy")
    assert isinstance(network.output, CopyOutput)
    network.output.generate.bias.fill_(-1e3)
    tokens = {token for line in LINES for token in line}
    for found in decode(Search(scorer=ModelScorer(network)), sentences(LINES), SearchOptions(beam=2)):
        assert set(found[0].ids) <= tokens
