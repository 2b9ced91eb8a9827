"""Finished hypotheses by hand: the n best, when a sentence is done, and the margin of its result."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.search.beam import Beam, BeamStep, Ended
from nmt.search.finished import Finished
from nmt.search.options import SearchOptions
from nmt.search.reranking import Scored, build_rerankers


def walk(*tokens: int, log_probability: float = 0.0, attention: Tensor | None = None) -> Beam:
    """A beam of one sentence with one hypothesis."""
    beam = Beam.start(1)
    for token in tokens:
        beam = Beam(
            sentences=np.array([0]),
            log_probabilities=np.array([[log_probability]]),
            last=np.array([token]),
            length=beam.length + 1,
            before=beam,
            origins=np.array([0]),
            attention=attention,
        )
    return beam


def end(beam: Beam, log_probability: float, live: Beam, attention: Tensor | None = None) -> BeamStep:
    """A step in which the only hypothesis of a beam ends, and another one lives on."""
    ended = Ended(beam=beam, rows=np.array([0]), log_probabilities=np.array([log_probability]), attention=attention)
    return BeamStep(beam=live, ended=ended, margins=None)


def finished(length: int = 3, **settings: Any) -> Finished:
    options = SearchOptions(**settings)
    return Finished([length], options, build_rerankers(options))


def live(log_probability: float) -> Beam:
    return walk(4, 5, log_probability=log_probability)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_live_hypothesis_can_win_up_to_the_maximum_length(alpha: float) -> None:
    found = finished(beam=2, exact=True, length_penalty=alpha, max_length_factor=0, max_length_extra=7)
    found.add(end(walk(4, 6), -3.0, live(-1.0)))  # 3 tokens with EOS
    bar = -3.0 / 3**alpha * 8**alpha  # at most 7 tokens, and EOS
    assert found.select_remaining(live(bar + 1e-3)) is None
    remaining = found.select_remaining(live(bar - 1e-3))
    assert remaining is not None
    assert remaining.tolist() == []


def test_hypothesis_that_ends_at_the_maximum_length_can_win() -> None:
    found = finished(beam=2, exact=True, max_length_factor=0, max_length_extra=2)
    found.add(end(walk(4), -2.0, live(-1.0)))  # 2 tokens with EOS, score -1
    assert found.select_remaining(live(-2.5)) is None  # of 2 tokens; with EOS it may score -2.5 / 3
    found.add(end(live(-2.5), -2.6, walk(4, 5, 6, log_probability=-math.inf)))
    assert [hypothesis.ids for hypothesis in found.best(0)] == [[4, 5]]


def test_sentence_is_done_after_beam_finished_hypotheses() -> None:
    for exact in (False, True):
        found = finished(beam=2, nbest=1, exact=exact)
        found.add(end(walk(4), -8.0, live(-1.0)))
        assert found.select_remaining(live(-1.0)) is None
        found.add(end(walk(5), -9.0, live(-1.0)))
        assert (found.select_remaining(live(-1.0)) is None) == exact
        assert found.is_complete()
    assert not finished().is_complete()


def test_a_sentence_that_is_done_takes_no_more_hypotheses_and_no_margins() -> None:
    found = finished(beam=1)
    found.add(end(walk(4), -2.0, live(-1.0)))
    late = end(walk(5), -0.1, live(-1.0))
    found.add(BeamStep(beam=late.beam, ended=late.ended, margins=np.array([1e-9], np.float32)))
    assert [hypothesis.ids for hypothesis in found.best(0)] == [[4]]
    assert found.margin(0) == math.inf


def test_equal_scores_are_ordered_by_ids() -> None:
    found = finished(beam=4, nbest=3)
    for tokens in ([6, 4], [4, 7], [5, 5]):
        found.add(end(walk(*tokens), -3.0, live(-1.0)))
    assert [hypothesis.ids for hypothesis in found.best(0)] == [[4, 7], [5, 5], [6, 4]]
    assert found.margin(0) == 0


def test_margin_is_the_minimum_over_steps_and_scores() -> None:
    found = finished(beam=4, nbest=2, length_penalty=0)
    for log_probability, margin in ((-1.0, 0.7), (-1.5, 0.4), (-1.8, math.nan), (-1.9, 0.9)):
        step = end(walk(4), log_probability, live(-0.5))
        found.add(BeamStep(beam=step.beam, ended=step.ended, margins=np.array([margin], np.float32)))
    assert found.margin(0) == pytest.approx(0.3)  # between the second and the third, which is left out
    found = finished(beam=4, nbest=1, length_penalty=0)
    for log_probability, margin in ((-1.0, 0.7), (-1.5, 0.4)):
        step = end(walk(4), log_probability, live(-0.5))
        found.add(BeamStep(beam=step.beam, ended=step.ended, margins=np.array([margin], np.float32)))
    assert found.margin(0) == pytest.approx(0.4)


def test_scores_with_a_coverage_penalty_are_close_within_a_larger_tolerance() -> None:
    attention = torch.full((1, 3), 1 / 3)
    found = finished(beam=2, coverage_penalty=2.0, length_penalty=0)
    for tokens, log_probability in (([4], -1.0), ([5], -1.7)):
        step = end(walk(*tokens, attention=attention), log_probability, live(-0.5), attention)
        found.add(step)
    assert found.margin(0) == pytest.approx(0.7 / (1 + 2.0 * 3))  # each of 3 logarithms varies as log P does


def test_of_hypotheses_with_the_same_text_the_best_is_returned() -> None:
    options = SearchOptions(beam=3, nbest=2, length_penalty=0)
    found = Finished([3], options, build_rerankers(options), identify=lambda _, ids: sum(ids))
    for tokens, log_probability in (([4, 6], -1.0), ([5, 5], -1.2), ([6, 4], -0.8)):
        found.add(end(walk(*tokens), log_probability, live(-0.5)))
        assert found.select_remaining(live(-0.5)) is None  # three have finished, but the list is not full
    found.add(end(walk(7), -1.5, live(-0.5)))
    assert [hypothesis.ids for hypothesis in found.best(0)] == [[6, 4], [7]]
    assert found.margin(0) == pytest.approx(0.2)
    assert found.select_remaining(live(-0.5)) is not None


class PreferShort:
    """A reranker that a test hands over: a penalty for each token."""

    needs_attention = False

    def rescore(self, score: float, hypothesis: Scored) -> float:
        return score - 10 * len(hypothesis.tokens())

    def lower_bound(self, score: float, length: int) -> float:
        return -math.inf

    def tolerance(self, source_length: int) -> float:
        return 0.0


def test_rerankers_are_applied_in_their_order() -> None:
    options = SearchOptions(beam=3, nbest=2)
    found = Finished([3], options, [*build_rerankers(options), PreferShort()])
    found.add(end(walk(4, 5, 6), -0.4, live(-1.0)))
    found.add(end(walk(7), -6.0, live(-1.0)))
    best = found.best(0)
    assert [hypothesis.ids for hypothesis in best] == [[7], [4, 5, 6]]
    assert [hypothesis.score for hypothesis in best] == pytest.approx([-6 / 2 - 10, -0.4 / 4 - 30])
    assert found.select_remaining(live(-1e6)) is None  # whose bound is unknown


def test_attention_is_cut_to_the_source() -> None:
    attention = torch.tensor([[0.5, 0.3, 0.2, 0.0, 0.0]])
    found = finished(length=3, beam=1, attention=True)
    found.add(end(walk(4, attention=attention), -1.0, live(-1.0), attention))
    (hypothesis,) = found.best(0)
    assert hypothesis.attention is not None
    assert hypothesis.attention.tolist() == [pytest.approx([0.5, 0.3, 0.2])] * 2
