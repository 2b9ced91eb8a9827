"""Constraints alone and in a search, with rules per sentence and a state per hypothesis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from table_scorer import TableScorer, TableShortlist, sentences

from nmt.model.candidates import Candidates
from nmt.search.beam import Beam
from nmt.search.constraints import ForbiddenColumns, ForbiddenTokens, LengthRule
from nmt.search.extensions import NEVER
from nmt.search.loop import Search, decode
from nmt.search.options import SearchOptions
from nmt.search.sentence import Sentence
from nmt.types import EOS

V = 6


def beam(length: int, sentences: list[int], width: int = 2) -> Beam:
    rows = np.arange(len(sentences) * width)
    log_probabilities = np.zeros((len(sentences), width))
    return Beam(
        sentences=np.array(sentences), log_probabilities=log_probabilities, last=rows, length=length, origins=rows
    )


def allowed(scores: torch.Tensor) -> list[list[list[int]]]:
    return [[row.isfinite().nonzero().flatten().tolist() for row in sentence] for sentence in scores]


def test_eos_is_possible_if_it_is_the_only_candidate() -> None:
    bounds = LengthRule(2, np.array([5, 5]), np.array([True, False]))
    scores = torch.randn(2, 2, V)
    bounds.apply(scores, beam(0, [1, 0]))
    assert allowed(scores) == [[list(range(1, V))] * 2, [list(range(V))] * 2]


def test_length_bounds_of_each_sentence() -> None:
    bounds = LengthRule(2, np.array([2, 9, 3]))
    everything, without_end = list(range(V)), list(range(1, V))
    expected = {
        1: [without_end, without_end],  # too short
        2: [everything, [0]],  # of sentences 2 and 0, the latter is full
        3: [[0], [0]],
        4: [[0], [0]],
    }
    for length, rows in expected.items():
        scores = torch.randn(2, 2, V)
        before = scores.clone()
        bounds.apply(scores, beam(length, [2, 0]))
        assert allowed(scores) == [[row, row] for row in rows]
        assert scores[scores.isfinite()].equal(before[scores.isfinite()])


def test_forbidden_tokens_have_no_probability_for_any_candidates() -> None:
    constraint = ForbiddenTokens([5, 7])
    lines = sentences([[4, EOS], [5, EOS], [6, EOS]])
    whole = constraint.start(lines, Candidates.all(EOS + V))
    assert whole is not None
    scores = torch.randn(2, 2, V)  # of tokens 3 to 8
    before = scores.clone()
    whole.apply(scores, beam(3, [0, 1]))
    assert allowed(scores) == [[[0, 1, 3, 5]] * 2] * 2
    assert scores[scores.isfinite()].equal(before[scores.isfinite()])

    tokens = torch.tensor([[EOS, 4, 5, 7], [EOS, 4, 6, 8], [EOS, 7, EOS, EOS]])
    own = constraint.start(lines, Candidates(tokens=tokens, counts=torch.tensor([4, 4, 2])))
    assert own is not None
    scores = torch.randn(2, 2, 4)
    own.apply(scores, beam(3, [2, 0]))  # sentence 1 has left
    assert allowed(scores) == [[[0, 2, 3]] * 2, [[0, 1]] * 2]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("shortlist", [None, TableShortlist(8, seed=1)], ids=["whole", "shortlist"])
def test_n_grams_do_not_repeat_unless_nothing_else_is_possible(size: int, shortlist: Any) -> None:
    scorer, batch = TableScorer(8, seed=3, end=-2.0), sentences([[4 + index, EOS] for index in range(4)])
    options = SearchOptions(beam=3, nbest=3, no_repeat_ngram_size=size, max_length_factor=0)
    for found in decode(Search(scorer=scorer, shortlist=shortlist), batch, options):
        assert found
        for hypothesis in found:
            ids = hypothesis.ids
            grams = [tuple(ids[first : first + size]) for first in range(len(ids) - size + 1)]
            assert len(grams) == len(set(grams))
    longest = replace(options, no_repeat_ngram_size=1, min_length=10)  # longer than the vocabulary
    assert all(len(found[0].ids) == 10 for found in decode(Search(scorer=scorer), batch, longest))


def test_unused_constraint_has_no_rule() -> None:
    lines = sentences([[4, EOS]])
    assert ForbiddenTokens([]).start(lines, Candidates.all(9)) is None
    assert (
        ForbiddenTokens([7]).start(lines, Candidates(tokens=torch.tensor([[EOS, 4]]), counts=torch.tensor([2]))) is None
    )


@dataclass(frozen=True, kw_only=True)
class Asking(Sentence):
    """A sentence that asks something of its translation."""

    avoid: tuple[int, ...] = ()
    prefix: tuple[int, ...] = ()


class ForbidAvoided:
    """The constraint that a translation has none of the tokens that its sentence asks to avoid."""

    def start(self, sentences: Sequence[Asking], candidates: Candidates) -> ForbiddenColumns:
        rows = candidates.tokens.expand(len(sentences), -1)
        columns = [
            torch.isin(row, torch.tensor(sentence.avoid, dtype=torch.int64))
            for sentence, row in zip(sentences, rows, strict=True)
        ]
        return ForbiddenColumns(torch.stack(columns))


@pytest.mark.parametrize("shortlist", [None, TableShortlist(8, seed=1)], ids=["whole", "shortlist"])
def test_constraint_of_each_sentence_in_a_batch(shortlist: Any) -> None:
    scorer, options = TableScorer(8, seed=3), SearchOptions(beam=4, nbest=4, max_length_factor=1)
    batch = [Asking(source=(4 + index % 7, EOS), avoid=(5, 6)[index % 3 :]) for index in range(9)]

    def run(batch: list[Asking]) -> list[list[list[int]]]:
        search = Search(scorer=scorer, constraints=[ForbidAvoided()], shortlist=shortlist)
        found = decode(search, batch, options)
        return [[hypothesis.ids for hypothesis in each] for each in found]

    together = run(batch)
    for sentence, found in zip(batch, together, strict=True):
        assert run([sentence]) == [found]
        assert found
        assert not set(sentence.avoid) & {token for ids in found for token in ids}
    used = [{token for ids in found for token in ids} for found in together]
    assert any({5, 6} & tokens for tokens in used)


class ForcePrefix:
    """A constraint with a state for each hypothesis: how many tokens of the prefix it has produced."""

    def start(self, sentences: Sequence[Asking], candidates: Candidates) -> "PrefixRule":
        return PrefixRule([sentence.prefix for sentence in sentences])


class PrefixRule:
    def __init__(self, prefixes: list[tuple[int, ...]]) -> None:
        self.prefixes = prefixes
        self.done = np.zeros(len(prefixes), dtype=np.int64)

    def apply(self, scores: torch.Tensor, beam: Beam) -> None:
        if beam.length:
            self.done = self.done[beam.origins] + 1
        width = beam.log_probabilities.shape[1]
        for row, done in enumerate(self.done):
            prefix = self.prefixes[beam.sentences[row // width]]
            if done < len(prefix):
                column = prefix[done] - EOS
                kept = scores[row // width, row % width, column].clone()
                scores[row // width, row % width] = NEVER
                scores[row // width, row % width, column] = kept


def test_a_rule_can_follow_each_hypothesis() -> None:
    scorer, options = TableScorer(8, seed=3), SearchOptions(beam=3, nbest=3)
    batch = [Asking(source=(4 + index, *[5] * index, EOS), prefix=(7, 4, 6)[:index]) for index in range(4)]
    results = decode(Search(scorer=scorer, constraints=[ForcePrefix()]), batch, options)
    for sentence, found in zip(batch, results, strict=True):
        for hypothesis in found:
            assert hypothesis.ids[: len(sentence.prefix)] == [*sentence.prefix]
