import math

import pytest
import torch
from torch import Tensor

from nmt.search.beam import Beam, advance
from nmt.types import BOS, EOS

NEVER = float("-inf")
V = 8


def log_probabilities(*rows: dict[int, float]) -> Tensor:
    """(1, K, V) of probabilities by piece, zero where none is given."""
    table = torch.zeros(1, len(rows), V)
    for row, probabilities in enumerate(rows):
        for piece, probability in probabilities.items():
            table[0, row, piece] = probability
    return table.log()


def beam_of(*hypotheses: tuple[list[int], float]) -> Beam:
    """A beam of one sentence from pieces and their probabilities."""
    return Beam(
        sentences=torch.tensor([0]),
        pieces=torch.tensor([[[BOS, *pieces] for pieces, _ in hypotheses]]),
        log_probabilities=torch.tensor([[math.log(p) for _, p in hypotheses]], dtype=torch.float64),
        attention=None,
    )


def probabilities(beam: Beam) -> list[float]:
    return beam.log_probabilities[0].exp().tolist()


def test_the_first_step_makes_one_hypothesis_into_many() -> None:
    beam = Beam.start(torch.zeros(2, 3, dtype=torch.int64), attention=False)
    assert (beam.length, beam.last.tolist()) == (0, [BOS, BOS])
    scores = torch.cat([log_probabilities({4: 0.5, 5: 0.3, 6: 0.2}), log_probabilities({4: 0.1, 5: 0.6, 6: 0.3})])
    step = advance(beam, scores, torch.zeros(2, 3), width=2)
    assert step.beam.pieces.tolist() == [[[BOS, 4], [BOS, 5]], [[BOS, 5], [BOS, 6]]]
    assert step.parents.tolist() == [[0, 0], [0, 0]]
    assert step.beam.last.tolist() == [4, 5, 5, 6]
    assert step.margins.tolist() == pytest.approx([math.log(0.3 / 0.2), math.log(0.3 / 0.1)])


def test_the_best_extensions_of_all_hypotheses_live_on() -> None:
    beam = beam_of(([4], 0.6), ([5], 0.4))
    scores = log_probabilities({4: 0.4, 5: 0.3, 6: 0.3}, {4: 0.05, 6: 0.95})  # 0.24 0.18 0.18; 0.02 0.38
    step = advance(beam, scores, torch.zeros(2, 3), width=2)
    assert step.beam.pieces.tolist() == [[[BOS, 5, 6], [BOS, 4, 4]]]
    assert probabilities(step.beam) == pytest.approx([0.38, 0.24])
    assert step.parents.tolist() == [[1, 0]]
    assert step.ended.sentences == []
    assert step.margins.item() == pytest.approx(math.log(0.24 / 0.18), rel=1e-5)


def test_only_ends_among_the_best_are_taken_and_others_fill_the_beam() -> None:
    beam = beam_of(([4], 0.6), ([5], 0.4))
    scores = log_probabilities({EOS: 0.7, 4: 0.2, 5: 0.1}, {EOS: 0.2, 6: 0.8})  # 0.42 0.12 0.06; 0.08 0.32
    step = advance(beam, scores, torch.zeros(2, 3), width=2)
    assert step.ended.pieces == [[4]]  # and not [5], whose 0.08 is behind two others
    assert step.ended.log_probabilities == pytest.approx([math.log(0.42)])
    assert step.beam.pieces.tolist() == [[[BOS, 5, 6], [BOS, 4, 4]]]
    assert probabilities(step.beam) == pytest.approx([0.32, 0.12])
    # An end was cut between 0.32 and 0.12, the live ones between 0.12 and 0.06; both decided.
    assert step.margins.item() == pytest.approx(math.log(0.12 / 0.06), rel=1e-5)


def test_a_ban_on_everything_but_the_end_ends_all() -> None:
    beam = beam_of(([4], 0.6), ([5], 0.4))
    step = advance(beam, log_probabilities({EOS: 0.1}, {EOS: 0.2}), torch.zeros(2, 3), width=2)
    assert step.ended.pieces == [[5], [4]]
    assert step.beam.log_probabilities.tolist() == [[NEVER, NEVER]]
    assert step.margins.item() == math.inf


def test_a_small_vocabulary_makes_a_small_beam() -> None:
    beam = Beam.start(torch.zeros(1, 1, dtype=torch.int64), attention=False)
    step = advance(beam, torch.randn(1, 1, 5).log_softmax(dim=-1), torch.zeros(1, 1), width=9)
    assert step.beam.pieces[0, :, 1].sort().values.tolist() == [0, 1, 2, 4]  # all but EOS
    assert step.ended.pieces == [[]]
    assert step.margins.item() == math.inf


def test_close_hypotheses_are_told_apart_however_long_they_are() -> None:
    beam = beam_of(([4], 1.0), ([5], 1.0))
    beam = Beam(
        sentences=beam.sentences,
        pieces=beam.pieces,
        log_probabilities=torch.tensor([[-5000.0, -5000.00001]], dtype=torch.float64),  # float32 cannot tell them apart
        attention=None,
    )
    step = advance(beam, log_probabilities({4: 0.5, 5: 0.2}, {6: 0.5, 7: 0.2}), torch.zeros(2, 3), width=1)
    assert step.beam.pieces.tolist() == [[[BOS, 4, 4]]]
    assert step.margins.item() == pytest.approx(1e-5, rel=0.1)


def test_attention_follows_its_hypothesis() -> None:
    start = Beam.start(torch.zeros(1, 3, dtype=torch.int64), attention=True)
    first = advance(start, log_probabilities({4: 0.6, 5: 0.4}), torch.tensor([[1.0, 0, 0]]), width=2)
    weights = torch.tensor([[0, 0.5, 0.5], [0, 0, 1.0]])
    second = advance(first.beam, log_probabilities({4: 0.2, EOS: 0.1}, {6: 0.6, EOS: 0.4}), weights, width=2)
    assert second.beam.attention is not None
    assert second.ended.attention is not None
    assert second.beam.pieces[0, 0].tolist() == [BOS, 5, 6]
    assert second.beam.attention[0, 0].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert second.beam.attention[0, 1].tolist() == [[1, 0, 0], [0, 0.5, 0.5]]
    assert second.ended.pieces == [[5]]
    assert second.ended.attention[0].tolist() == [[1, 0, 0], [0, 0, 1]]


def test_sentences_leave() -> None:
    beam = Beam.start(torch.zeros(3, 2, dtype=torch.int64), attention=True).select(torch.tensor([2, 0]))
    assert beam.sentences.tolist() == [2, 0]
    assert beam.attention is not None
    assert [len(tensor) for tensor in (beam.pieces, beam.log_probabilities, beam.attention)] == [2, 2, 2]
