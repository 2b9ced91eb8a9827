import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from table_scorer import (
    TableScorer,
    TableShortlist,
    TableState,
    enumerate_all,
    sentences,
    simple_beam_search,
    usable,
)
from torch import Tensor

from nmt.config.schema import ModelConfig
from nmt.errors import ConfigError, ModelError
from nmt.model.candidates import Candidates
from nmt.model.seq2seq import Seq2Seq
from nmt.search import extensions, finished
from nmt.search.constraints import ForbiddenTokens
from nmt.search.finished import Hypothesis
from nmt.search.loop import BeamSearch, Search, decode, decode_batch
from nmt.search.options import SearchOptions
from nmt.search.scorer import ModelScorer, Prediction, Scorer
from nmt.types import BOS, EOS, PAD

SIZE = 7  # three usable tokens
SOURCE = [4, 5, EOS]

sources = st.lists(st.lists(st.integers(4, 19), max_size=6).map(lambda ids: [*ids, EOS]), min_size=1, max_size=9)
seeds = st.integers(0, 10_000)


def ids_of(results: list[list[Hypothesis]]) -> list[list[list[int]]]:
    return [[hypothesis.ids for hypothesis in found] for found in results]


def run(
    scorer: Scorer[Any], lines: list[list[int]], options: SearchOptions, shortlist: Any = None
) -> list[list[Hypothesis]]:
    return decode(Search(scorer=scorer, shortlist=shortlist), sentences(lines), options)


def everything(length: int, **settings: Any) -> SearchOptions:
    """A beam as large as all hypotheses of at most `length` tokens."""
    count = sum(len(usable(SIZE)) ** each for each in range(length + 1))
    return SearchOptions(beam=count, nbest=count // 3, max_length_factor=0, max_length_extra=length, **settings)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 1.5])
@pytest.mark.parametrize("least", [0, 1, 3])
@pytest.mark.parametrize("exact", [False, True])
def test_beam_of_all_prefixes_equals_enumeration(alpha: float, least: int, exact: bool) -> None:
    scorer = TableScorer(SIZE, seed=3)
    options = everything(4, length_penalty=alpha, min_length=least, exact=exact)
    (found,) = run(scorer, [SOURCE], options)
    expected = enumerate_all(scorer, SOURCE, options)[: options.nbest]
    assert [hypothesis.ids for hypothesis in found] == [ids for _, ids in expected]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for score, _ in expected], rel=1e-5)


class AttendingScorer(TableScorer):
    """A scorer with attention to every source token."""

    def step(self, tokens: Tensor, state: TableState) -> tuple[Prediction, TableState]:
        prediction, state = super().step(tokens, state)
        return dataclasses.replace(prediction, attention=0.9 * prediction.attention + 0.1 / state.width), state


def uncovered(ids: list[int], width: int) -> float:
    """Σ_s log min(Σ_t a_ts, 1) over the attention of `AttendingScorer` along a hypothesis."""
    looked = [token % width for token in [BOS, *ids]]
    return sum(math.log(min(0.9 * looked.count(s) + 0.1 / width * len(looked), 1.0)) for s in range(width))


@pytest.mark.parametrize("weight", [0.1, 3.0])
@pytest.mark.parametrize("exact", [False, True])
def test_the_coverage_penalty_ranks_finished_hypotheses(weight: float, exact: bool) -> None:
    scorer = AttendingScorer(SIZE, seed=3)
    options = everything(4, exact=exact)
    plain = enumerate_all(scorer, SOURCE, options)
    expected = sorted(((score + weight * uncovered(ids, 3), ids) for score, ids in plain), reverse=True)
    options = dataclasses.replace(options, coverage_penalty=weight)
    (found,) = run(scorer, [SOURCE], options)
    assert [hypothesis.ids for hypothesis in found] == [ids for _, ids in expected[: options.nbest]]
    assert [hypothesis.ids for hypothesis in found] != [ids for _, ids in plain[: options.nbest]]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for score, _ in expected][: len(found)])
    assert found[0].attention is None  # only on request


def test_token_without_attention_has_a_finite_penalty() -> None:
    options = SearchOptions(coverage_penalty=1.0, max_length_factor=0, max_length_extra=1)  # two looks at three tokens
    (found,) = run(TableScorer(SIZE, seed=3), [SOURCE], options)
    assert -300 < found[0].score < -80


def test_coverage_penalty_ignores_padding() -> None:
    lines, options = [[4, EOS], [4, 5, 6, 7, EOS]], SearchOptions(beam=3, coverage_penalty=0.5)
    network = ModelScorer(sharp_network(1))
    alone = [run(network, [line], options)[0][0].score for line in lines]
    assert [found[0].score for found in run(network, lines, options)] == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("exact", [False, True])
def test_shortlist_restricts_and_normalizes_each_sentence(exact: bool) -> None:
    scorer, shortlist = TableScorer(9, seed=3), TableShortlist(9, seed=1)
    lines = [[4 + index, EOS] for index in range(7)]
    options = SearchOptions(beam=200, nbest=9, max_length_factor=0, max_length_extra=3, exact=exact)
    for source, found in zip(lines, run(scorer, lines, options, shortlist), strict=True):
        expected = enumerate_all(scorer, source, options, shortlist.allowed(source))[: options.nbest]
        assert [hypothesis.ids for hypothesis in found] == [ids for _, ids in expected]
        assert [hypothesis.score for hypothesis in found] == pytest.approx([score for score, _ in expected], rel=1e-5)


@given(seed=seeds, lines=sources)
@settings(max_examples=20)
def test_greedy_search_takes_the_most_probable_token(seed: int, lines: list[list[int]]) -> None:
    scorer = TableScorer(20, seed)
    results = ids_of(run(scorer, lines, SearchOptions(beam=1)))
    for source, [ids] in zip(lines, results, strict=True):
        rollout: list[int] = []
        while len(rollout) < 2 * len(source) + 10:
            choices = [*usable(20), EOS] if rollout else usable(20)
            best = max(choices, key=lambda token: scorer.log_probability(source, [*rollout, token]))
            if best == EOS:
                break
            rollout.append(best)
        assert ids == rollout


@given(
    seed=seeds,
    lines=sources,
    beam=st.integers(1, 6),
    alpha=st.sampled_from([0.0, 0.7, 1.0]),
    exact=st.booleans(),
    end=st.sampled_from([-3.0, 0.0, 2.0]),
    data=st.data(),
)
@settings(max_examples=40)
def test_batched_search_equals_a_simple_search_of_each_sentence(
    seed: int, lines: list[list[int]], beam: int, alpha: float, exact: bool, end: float, data: st.DataObject
) -> None:
    nbest = data.draw(st.integers(1, beam))
    options = SearchOptions(
        beam=beam, nbest=nbest, length_penalty=alpha, exact=exact, max_length_factor=1.5, max_length_extra=1
    )
    scorer = TableScorer(8, seed, end=end)
    shortlist = data.draw(st.none() | seeds.map(lambda seed: TableShortlist(8, seed)))
    results = run(scorer, lines, options, shortlist)
    allowed = [shortlist.allowed(source) if shortlist else usable(8) for source in lines]
    assert ids_of(results) == [
        simple_beam_search(scorer, source, options, own) for source, own in zip(lines, allowed, strict=True)
    ]
    for source, own, found in zip(lines, allowed, results, strict=True):
        scores = [hypothesis.score for hypothesis in found]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(hypothesis.ids) for hypothesis in found}) == len(found)
        for hypothesis in found:
            log_p = scorer.log_probability(source, [*hypothesis.ids, EOS], own)
            assert hypothesis.log_probability == pytest.approx(log_p, rel=1e-5, abs=1e-5)
            assert hypothesis.score == pytest.approx(log_p / (len(hypothesis.ids) + 1) ** alpha, rel=1e-5, abs=1e-5)


def test_tags_are_never_produced() -> None:
    scorer = TableScorer(8, seed=3)
    lines = [[4 + index, EOS] for index in range(7)]
    options = SearchOptions(beam=4, nbest=4)
    usual, without = (
        decode(Search(scorer=scorer, constraints=[ForbiddenTokens(ids)]), sentences(lines), options)
        for ids in ([], [6, 7])
    )
    tokens = [{token for found in results for each in found for token in each.ids} for results in (usual, without)]
    assert tokens == [{4, 5, 6, 7}, {4, 5}]


def test_hypothesis_ends_at_the_maximum_length() -> None:
    scorer = TableScorer(8, seed=1, end=-30)
    lines = [[4, EOS], [4, 5, 6, 7, EOS], [EOS]]
    options = SearchOptions(beam=3, max_length_factor=2, max_length_extra=1)
    assert [len(found[0].ids) for found in run(scorer, lines, options)] == [5, 11, 3]


def sharp_network(seed: int, **settings: Any) -> Seq2Seq:
    """A small network with random weights whose predictions are about as sharp as a trained one's."""
    config = ModelConfig(embedding_size=32, encoder_size=64, decoder_size=64, **settings)
    network = Seq2Seq(config, source_size=20, target_size=20, generator=torch.Generator().manual_seed(seed))
    network.output.bias.data[EOS] = 1.0
    network.output.weight.data *= 6
    return network.requires_grad_(False)


@given(seed=st.integers(0, 50), lines=sources, beam=st.sampled_from([1, 4]), data=st.data())
@settings(max_examples=25)
def test_translations_do_not_depend_on_the_rest_of_the_batch(
    seed: int, lines: list[list[int]], beam: int, data: st.DataObject
) -> None:
    scorer = ModelScorer(sharp_network(seed))
    shortlist = data.draw(st.none() | seeds.map(lambda seed: TableShortlist(20, seed)))
    options = SearchOptions(beam=beam, nbest=beam, coverage_penalty=data.draw(st.sampled_from([0.0, 0.4])))
    together = ids_of(run(scorer, lines, options, shortlist))
    assert together == [ids_of(run(scorer, [source], options, shortlist))[0] for source in lines]
    order = data.draw(st.permutations(range(len(lines))))
    turned = ids_of(run(scorer, [lines[index] for index in order], options, shortlist))
    assert turned == [together[index] for index in order]


class Noisy(TableScorer):
    """Rounds differently for batches of different shapes, as matrix products do, and much more."""

    def step(self, tokens: Tensor, state: TableState) -> tuple[Prediction, TableState]:
        prediction, state = super().step(tokens, state)
        noise = torch.rand(prediction.log_probabilities.shape, generator=torch.Generator().manual_seed(len(tokens)))
        noisy = prediction.log_probabilities + (noise - 0.5) * self.tolerance / 20
        return dataclasses.replace(prediction, log_probabilities=noisy), state


@pytest.mark.parametrize("beam", [1, 3])
def test_close_decisions_do_not_depend_on_rounding(beam: int) -> None:
    scorer = Noisy(8, seed=4, grid=1.0)  # on so coarse a grid many scores are equal
    lines = [[4 + index, EOS] for index in range(7)] * 3
    options = SearchOptions(beam=beam, nbest=beam)
    alone = [ids_of(run(scorer, [source], options))[0] for source in lines]
    assert ids_of(run(scorer, lines, options)) == alone
    found = decode_batch(Search(scorer=scorer), sentences(lines), options, BeamSearch(beam))
    unguarded = ids_of([found.best(sentence) for sentence in range(len(lines))])
    assert unguarded != alone
    for sentence, (these, single) in enumerate(zip(unguarded, alone, strict=True)):
        assert these == single or found.margin(sentence) < scorer.tolerance


def test_a_sentence_that_is_searched_again_has_its_own_candidates() -> None:
    scorer, shortlist = Noisy(8, seed=4, grid=1.0), TableShortlist(8, seed=1)
    run(scorer, [[4 + index, EOS] for index in range(7)], SearchOptions(beam=3), shortlist)
    assert shortlist.asked[0] == 7
    assert len(shortlist.asked) > 1
    assert set(shortlist.asked[1:]) == {1}


def test_a_sentence_that_is_searched_again_has_no_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[list[int]], list[int]]] = []
    start = TableScorer.start

    def record(scorer: TableScorer, source: Tensor, lengths: Tensor, candidates: Candidates) -> TableState:
        started.append((source.tolist(), lengths.tolist()))
        return start(scorer, source, lengths, candidates)

    monkeypatch.setattr(TableScorer, "start", record)
    monkeypatch.setattr(TableScorer, "tolerance", math.inf)
    lines = [[4, EOS], [4, 5, 6, EOS], [EOS]]
    run(TableScorer(8, seed=1), lines, SearchOptions(beam=2))
    assert started[0] == ([[4, EOS, PAD, PAD], [4, 5, 6, EOS], [EOS, PAD, PAD, PAD]], [2, 4, 1])
    assert started[1:] == [([line], [len(line)]) for line in lines]


def test_a_single_sentence_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TableScorer, "tolerance", math.inf)
    shortlist = TableShortlist(8, seed=1)
    run(TableScorer(8, seed=1), [SOURCE], SearchOptions(beam=2), shortlist)
    assert shortlist.asked == [1]


def test_tolerance_is_that_of_the_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [[4 + index, EOS] for index in range(7)]

    def searches(tolerance: float) -> int:
        shortlist = TableShortlist(8, seed=1)
        monkeypatch.setattr(TableScorer, "tolerance", tolerance)
        run(TableScorer(8, seed=1), lines, SearchOptions(beam=3), shortlist)
        return len(shortlist.asked)

    assert searches(0.0) == 1 < searches(0.1) < searches(math.inf) == 8


def test_finished_sentences_in_a_batch_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = TableScorer(8, seed=2, end=-5)
    lines = [[4 + index, *[5] * (index % 14), EOS] for index in range(40)]
    options = SearchOptions(beam=3, nbest=3, max_length_factor=1, max_length_extra=0, attention=True)
    results, rows = [], []
    for part in (0, 1 / 8, 1):  # they leave at once, when there are some, when all are done
        monkeypatch.setattr(finished, "LEAVING_FRACTION", part)
        before = scorer.rows_scored
        results.append([list(map(repr, found)) for found in run(scorer, lines, options)])
        rows.append(scorer.rows_scored - before)
    assert results[0] == results[1] == results[2]
    assert rows[0] < rows[1] < rows[2]


def test_number_of_passes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = TableScorer(8, seed=2)
    lines = [[4 + index, EOS] for index in range(7)]
    for beam in (3, 20):
        options = SearchOptions(beam=beam, nbest=3)
        narrow, wide = (
            monkeypatch.setattr(extensions, "MAX_PASSES", most) or run(scorer, lines, options) for most in (99, 0)
        )
        assert narrow == wide


def test_search_ends_when_no_live_hypothesis_can_win() -> None:
    """With α = 0 log P is the score, so the first finished hypothesis ends it if all live ones have a lower log P."""
    scorer = TableScorer(8, seed=1, end=20)
    run(scorer, [SOURCE], SearchOptions(beam=4, length_penalty=0, min_length=0))
    assert scorer.rows_scored == 1


def test_exact_search_is_never_worse() -> None:
    lines = [[4 + index, EOS] for index in range(7)]
    better = 0
    for seed in range(5):
        usual, exact = (TableScorer(8, seed) for _ in range(2))
        results = run(usual, lines, SearchOptions(beam=2)), run(exact, lines, SearchOptions(beam=2, exact=True))
        assert exact.rows_scored > usual.rows_scored
        for [first], [second] in zip(*results, strict=True):
            assert second.score >= first.score - 1e-9
            better += second.score > first.score + 1e-9
    assert better


def test_more_length_penalty_prefers_longer_hypotheses() -> None:
    lines = [[4 + index, EOS] for index in range(7)]

    def tokens(alpha: float) -> int:
        options = everything(4, length_penalty=alpha)
        return sum(len(found[0].ids) for found in run(TableScorer(SIZE, seed=1), lines, options))

    assert tokens(0) < tokens(1) <= tokens(3)


def test_attention_is_kept_on_request_and_cut_to_the_sentence() -> None:
    scorer = TableScorer(8, seed=2)
    lines = [[4, EOS], [4, 5, 6, 7, EOS], [5, EOS], [4, 6, 6, 7, EOS]]
    for source, found in zip(lines, run(scorer, lines, SearchOptions(beam=3, nbest=3, attention=True)), strict=True):
        for hypothesis in found:
            assert hypothesis.attention is not None
            assert hypothesis.attention.shape == (len(hypothesis.ids) + 1, len(source))
            if len(source) == 5:  # the table's attention looks at the previous token's number
                looked = [token % 5 for token in [BOS, *hypothesis.ids]]
                assert hypothesis.attention.argmax(dim=1).tolist() == looked
    assert run(scorer, lines, SearchOptions())[0][0].attention is None


def test_nan_probabilities_are_a_model_error() -> None:
    scorer = TableScorer(8, seed=2)
    scorer.logits.fill_(float("nan"))
    with pytest.raises(ModelError, match="not numbers"):
        run(scorer, [SOURCE, SOURCE], SearchOptions())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 0}, "beam: must be from 1 to 1,000, not 0"),
        ({"beam": 2, "nbest": 3}, "nbest: must be at most the beam, 2, not 3; enlarge the beam"),
        ({"length_penalty": -0.1}, "length_penalty: must be from 0 to 10, not -0.1"),
        ({"coverage_penalty": -1.0}, "coverage_penalty: must be from 0 to 1,000"),
        ({"length_penalty": float("nan")}, "length_penalty: must be from 0 to 10, not nan"),
        ({"length_penalty": 400.0}, "length_penalty: must be from 0 to 10, not 400"),
        ({"max_length_factor": 1e308}, "max_length_factor: must be from 0 to 1,000"),
        ({"max_length_factor": float("inf")}, "max_length_factor"),
        ({"min_length": -1, "beam": -1}, "beam: .*\nnbest: .*\nmin_length: |beam: .*\nmin_length: "),
    ],
)
def test_impossible_options_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SearchOptions(**settings)
