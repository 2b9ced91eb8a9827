"""One step of the beam search, with margins worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.search.beam import Beam, BeamStep, extend_beam
from nmt.search.extensions import NEVER
from nmt.types import BOS, EOS

CANDIDATES = np.tile([EOS, 4, 5, 6, 7], (9, 1))  # a row for each of at most nine sentences


def log_probabilities(*rows: dict[int, float]) -> Tensor:
    """Log P (1, K, W) from probabilities by token, zero where none is given."""
    return torch.tensor([[[row.get(token, 0.0) for token in CANDIDATES[0].tolist()] for row in rows]]).log()


def beam_of(*hypotheses: tuple[list[int], float]) -> Beam:
    """A beam of one sentence from the tokens of its hypotheses and their log P."""
    K, beam = len(hypotheses), Beam.start(1)
    for last in zip(*(tokens for tokens, _ in hypotheses), strict=True):
        beam = Beam(
            sentences=np.array([0]),
            log_probabilities=np.array([[log_p for _, log_p in hypotheses]]),
            last=np.array(last),
            length=beam.length + 1,
            before=beam,
            origins=np.arange(K) % len(beam.last),
        )
    return beam


def step_of(beam: Beam, scores: Tensor, width: int = 2, attention: Tensor | None = None) -> BeamStep:
    with np.errstate(invalid="ignore"):
        return extend_beam(beam, scores, CANDIDATES, width, attention, margins=True)


def tokens(beam: Beam) -> list[list[int]]:
    return [beam.tokens(row) for row in range(len(beam.last))]


def probabilities(beam: Beam) -> list[float]:
    result: list[float] = np.exp(beam.log_probabilities[0]).tolist()
    return result


def ended(step: BeamStep) -> dict[tuple[int, ...], float]:
    """Tokens of the hypotheses that ended, and their probabilities."""
    if step.ended is None:
        return {}
    rows, log_ps = step.ended.rows.tolist(), step.ended.log_probabilities.tolist()
    return {tuple(step.ended.beam.tokens(row)): math.exp(log_p) for row, log_p in zip(rows, log_ps, strict=True)}


LIKELY = beam_of(([4], math.log(0.6)), ([5], math.log(0.4)))


def test_first_step_extends_one_hypothesis() -> None:
    beam = Beam.start(2)
    assert (beam.length, beam.last.tolist()) == (0, [BOS, BOS])
    scores = torch.cat([log_probabilities({4: 0.5, 5: 0.3, 6: 0.2}), log_probabilities({4: 0.1, 5: 0.6, 6: 0.3})])
    step = step_of(beam, scores)
    assert tokens(step.beam) == [[4], [5], [5], [6]]
    assert step.beam.origins.tolist() == [0, 0, 1, 1]
    assert (step.beam.length, step.beam.last.tolist()) == (1, [4, 5, 5, 6])
    assert step.margins == pytest.approx([math.log(0.3 / 0.2), math.log(0.3 / 0.1)])


def test_best_extensions_of_all_hypotheses_are_kept() -> None:
    scores = log_probabilities({4: 0.4, 5: 0.3, 6: 0.3}, {4: 0.05, 6: 0.95})  # 0.24 0.18 0.18; 0.02 0.38
    step = step_of(LIKELY, scores)
    assert tokens(step.beam) == [[5, 6], [4, 4]]
    assert probabilities(step.beam) == pytest.approx([0.38, 0.24])
    assert step.beam.origins.tolist() == [1, 0]
    assert ended(step) == {}
    assert step.margins == pytest.approx([math.log(0.24 / 0.18)])


def test_only_the_best_ends_are_finished_hypotheses() -> None:
    scores = log_probabilities({EOS: 0.7, 4: 0.2, 5: 0.1}, {EOS: 0.2, 6: 0.8})  # 0.42 0.12 0.06; 0.08 0.32
    step = step_of(LIKELY, scores)
    assert ended(step) == {(4,): pytest.approx(0.42)}  # and not [5]: two others are better than its 0.08
    assert tokens(step.beam) == [[5, 6], [4, 4]]
    assert probabilities(step.beam) == pytest.approx([0.32, 0.12])


@pytest.mark.parametrize(
    ("first", "second", "ends", "margin"),
    [
        # Of 0.42 0.32 | 0.12 0.08 0.06, where 0.32 and 0.12 live on.
        ({EOS: 0.7, 4: 0.2, 5: 0.1}, {EOS: 0.2, 6: 0.8}, 1, 0.12 / 0.06),
        # Of 0.36 0.24 | 0.18 0.18: one of the latter has EOS.
        ({EOS: 0.3, 4: 0.4, 5: 0.3}, {6: 0.9}, 0, 0.24 / 0.18),
        # Of 0.36 0.24 | 0.18 0.06: the end nearly came.
        ({EOS: 0.3, 4: 0.4, 5: 0.1}, {6: 0.9}, 0, 0.24 / 0.18),
        # Of 0.36 0.3 | 0.27 0.03: the end was nearly cut.
        ({EOS: 0.5, 4: 0.45, 5: 0.05}, {6: 0.9}, 1, 0.3 / 0.27),
        # Of 0.3 0.28 | 0.06 0.04 0.03, where 0.06 and 0.04 live on.
        ({EOS: 0.5, 4: 0.1, 5: 0.05}, {EOS: 0.7, 6: 0.1}, 2, 0.04 / 0.03),
        # Of 0.3 0.24 | 0.16 0.06 0.03: an end was nearly cut.
        ({EOS: 0.5, 4: 0.1, 5: 0.05}, {EOS: 0.6, 6: 0.4}, 2, 0.24 / 0.16),
        # Of 0.3 0.28 | 0.24 0.06 0.03: one end is taken, and another barely missed.
        ({EOS: 0.5, 4: 0.1, 5: 0.05}, {EOS: 0.6, 6: 0.7}, 1, 0.28 / 0.24),
        # Of 0.42 0.12 | 0.118 0.06: 0.12 and 0.118 might change places, but both live on.
        ({EOS: 0.7, 4: 0.2, 5: 0.1}, {6: 0.295}, 1, 0.118 / 0.06),
    ],
)
def test_the_margin_is_that_of_the_closest_decision(
    first: dict[int, float], second: dict[int, float], ends: int, margin: float
) -> None:
    step = step_of(LIKELY, log_probabilities(first, second))
    assert len(ended(step)) == ends
    assert step.margins == pytest.approx([math.log(margin)], rel=1e-5)


def test_hypothesis_ends_if_only_eos_is_allowed() -> None:
    step = step_of(LIKELY, log_probabilities({EOS: 0.1}, {EOS: 0.2}))
    assert ended(step) == {(5,): pytest.approx(0.08), (4,): pytest.approx(0.06)}
    assert step.beam.log_probabilities.tolist() == [[NEVER, NEVER]]
    assert step.margins is not None
    assert not step.margins[0] < math.inf


@pytest.mark.parametrize("width", [9, 30])
def test_missing_extensions_are_impossible(width: int) -> None:
    step = step_of(Beam.start(1), torch.randn(1, 1, 5).log_softmax(dim=-1), width)
    assert sorted(step.beam.last[:4]) == [4, 5, 6, 7]  # all but EOS
    assert step.beam.log_probabilities.shape == (1, width)
    assert np.isfinite(step.beam.log_probabilities).tolist() == [[True] * 4 + [False] * (width - 4)]
    assert list(ended(step)) == [()]
    assert step.margins is not None
    assert not step.margins[0] < math.inf


def test_close_hypotheses_are_distinguished_at_any_length() -> None:
    beam = beam_of(([4], -5000.0), ([5], -5000.00001))  # float32 cannot tell them apart
    step = step_of(beam, log_probabilities({4: 0.5, 5: 0.2}, {6: 0.5, 7: 0.2}), width=1)
    assert tokens(step.beam) == [[4, 4]]
    assert step.margins == pytest.approx([1e-5], rel=0.1)


def test_a_beam_has_moved_unless_each_hypothesis_extends_the_one_in_its_row() -> None:
    swapped = log_probabilities({4: 0.1}, {5: 0.9})
    assert not step_of(LIKELY, log_probabilities({4: 0.9}, {5: 0.9})).beam.moved
    assert step_of(LIKELY, swapped).beam.moved
    assert step_of(Beam.start(1), log_probabilities({4: 0.5, 5: 0.5})).beam.moved  # one row becomes two
    assert not step_of(Beam.start(1), log_probabilities({4: 0.5, 5: 0.5}), width=1).beam.moved


def test_attention_follows_its_hypothesis() -> None:
    weights = torch.tensor([[1.0, 0, 0]])
    first = step_of(Beam.start(1), log_probabilities({4: 0.6, 5: 0.4}), attention=weights)
    weights = torch.tensor([[0, 0.5, 0.5], [0, 0, 1.0]])
    second = step_of(first.beam, log_probabilities({4: 0.2, EOS: 0.1}, {6: 0.6, EOS: 0.4}), attention=weights)
    assert second.beam.tokens(0) == [5, 6]
    assert torch.stack(second.beam.weights(0)).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert torch.stack(second.beam.weights(1)).tolist() == [[1, 0, 0], [0, 0.5, 0.5]]
    assert second.ended is not None
    assert second.ended.rows.tolist() == [1]
    assert second.ended.attention is weights


def test_hypotheses_are_read_after_sentences_are_removed() -> None:
    scores = torch.cat([log_probabilities({4 + row: 0.5, 5 + row: 0.3}) for row in range(3)])
    beam = step_of(Beam.start(3), scores).beam.select(np.array([2, 0]))
    assert beam.sentences.tolist() == [2, 0]
    assert beam.moved
    assert tokens(beam) == [[6], [7], [4], [5]]
    scores = torch.cat([log_probabilities({4: 0.5}, {5: 0.9}), log_probabilities({6: 0.9}, {7: 0.5})])
    assert tokens(step_of(beam, scores).beam) == [[7, 5], [6, 4], [4, 6], [5, 7]]
