import itertools
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_scorer import TableScorer, TableShortlist, TableState, sentences, usable
from test_loop import Noisy, sharp_network
from torch import Tensor

from nmt.errors import ConfigError, ModelError
from nmt.search.finished import Hypothesis
from nmt.search.loop import Search, decode
from nmt.search.options import SampleOptions, SearchOptions
from nmt.search.sampling import sample
from nmt.search.scorer import EnsembleScorer, ModelScorer, Prediction
from nmt.types import EOS

SOURCE = [4, 5, EOS]
DRAWS = 6000

sources = st.lists(st.lists(st.integers(4, 19), max_size=6).map(lambda ids: [*ids, EOS]), min_size=1, max_size=9)
seeds = st.integers(0, 10_000)


def run(scorer: Any, lines: list[list[int]], shortlist: Any = None, **options: Any) -> list[list[Hypothesis]]:
    return sample(Search(scorer=scorer, shortlist=shortlist), sentences(lines), SampleOptions(**options))


def ids_of(results: list[list[Hypothesis]]) -> list[list[list[int]]]:
    return [[hypothesis.ids for hypothesis in drawn] for drawn in results]


def within(length: int, **settings: Any) -> SearchOptions:
    """At most `length` tokens."""
    return SearchOptions(beam=1, max_length_factor=0, max_length_extra=length, **settings)


def chances(
    scorer: TableScorer, source: list[int], length: int, temperature: float, top_k: int | None, tokens: list[int]
) -> dict[tuple[int, ...], float]:
    """How probable each hypothesis of up to `length` tokens is, at least one, from the definition."""

    def following(ids: tuple[int, ...]) -> dict[int, float]:
        allowed = [*tokens, EOS] if ids else tokens
        allowed = [EOS] if len(ids) == length else allowed
        before = scorer.log_probability(source, list(ids), tokens)
        scores = {token: scorer.log_probability(source, [*ids, token], tokens) - before for token in allowed}
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:top_k]
        weights = {token: math.exp(scores[token] / temperature) for token in best}
        return {token: weight / sum(weights.values()) for token, weight in weights.items()}

    result = {}
    for size in range(1, length + 1):
        for ids in itertools.product(tokens, repeat=size):
            steps = [following(ids[:place]).get(token, 0.0) for place, token in enumerate([*ids, EOS])]
            result[ids] = math.prod(steps)
    return result


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, None), (2.0, 3), (1.0, 2)])
@pytest.mark.parametrize("short", [False, True])
def test_samples_are_as_frequent_as_probable(temperature: float, top_k: int | None, short: bool) -> None:
    scorer, shortlist = TableScorer(8, seed=5, scale=1.0), TableShortlist(8, seed=2) if short else None
    tokens = shortlist.allowed(SOURCE) if shortlist else usable(8)
    expected = chances(scorer, SOURCE, 2, temperature, top_k, tokens)
    assert sum(expected.values()) == pytest.approx(1)
    options = {"samples": DRAWS, "temperature": temperature, "top_k": top_k, "within": within(2)}
    [drawn] = run(scorer, [SOURCE], shortlist, **options)
    counts = Counter(tuple(hypothesis.ids) for hypothesis in drawn)
    assert set(counts) <= {ids for ids, chance in expected.items() if chance}
    likely = {ids: DRAWS * chance for ids, chance in expected.items() if DRAWS * chance >= 5}
    squares = sum((counts[ids] - mean) ** 2 / mean for ids, mean in likely.items())
    assert squares < len(likely) + 5 * math.sqrt(2 * len(likely))  # χ²: mean and deviation


def test_score_is_the_probability_of_the_model() -> None:
    scorer = TableScorer(8, seed=2)
    options = {"samples": 20, "temperature": 1.5, "top_k": 4, "within": SearchOptions(beam=1, length_penalty=0.7)}
    for hypothesis in run(scorer, [SOURCE], **options)[0]:
        log_p = scorer.log_probability(SOURCE, [*hypothesis.ids, EOS])
        assert hypothesis.log_probability == pytest.approx(log_p, rel=1e-5)
        assert hypothesis.score == pytest.approx(log_p / (len(hypothesis.ids) + 1) ** 0.7, rel=1e-5)


@given(seed=seeds, lines=sources, options=st.sampled_from([{"temperature": 0.0}, {"top_k": 1, "temperature": 3.0}]))
@settings(max_examples=12)
def test_sampling_without_randomness_is_greedy_search(
    seed: int, lines: list[list[int]], options: dict[str, Any]
) -> None:
    scorer = TableScorer(20, seed)
    assert run(scorer, lines, **options) == decode(Search(scorer=scorer), sentences(lines), SearchOptions(beam=1))


@given(seed=seeds, lines=sources, top_k=st.sampled_from([None, 5]), samples=st.integers(1, 3), data=st.data())
@settings(max_examples=15)
def test_samples_do_not_depend_on_the_rest_of_the_batch(
    seed: int, lines: list[list[int]], top_k: int | None, samples: int, data: st.DataObject
) -> None:
    network = sharp_network(seed % 50)
    scorer = data.draw(st.sampled_from([ModelScorer(network), EnsembleScorer([ModelScorer(network)] * 2)]))
    shortlist = data.draw(st.none() | seeds.map(lambda seed: TableShortlist(20, seed)))
    options = {"seed": seed, "top_k": top_k}
    together = ids_of(run(scorer, lines, shortlist, samples=samples, **options))
    assert together == [ids_of(run(scorer, [source], shortlist, samples=samples, **options))[0] for source in lines]
    order = data.draw(st.permutations(range(len(lines))))
    turned = ids_of(run(scorer, [lines[index] for index in order], shortlist, samples=3, **options))
    assert [drawn[:samples] for drawn in turned] == [together[index] for index in order]


@pytest.mark.parametrize("top_k", [None, 3])
def test_close_draws_do_not_depend_on_rounding(top_k: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Noisy, "tolerance", 1.0)  # so rough that draws do turn around
    scorer = Noisy(8, seed=4, grid=1.0)
    lines = [[4 + index, *[5] * (index % 3), EOS] for index in range(100)]
    alone = [ids_of(run(scorer, [source], top_k=top_k))[0] for source in lines]
    assert ids_of(run(scorer, lines, top_k=top_k)) == alone
    assert ids_of(run(Unguarded(8, seed=4, grid=1.0), lines, top_k=top_k)) != alone


class Unguarded(Noisy):
    """As rough, but it says that it is exact."""

    tolerance = 0.0

    def step(self, tokens: Tensor, state: TableState) -> tuple[Prediction, TableState]:
        return Noisy(8, seed=4, grid=1.0).step(tokens, state)


def test_samples_depend_on_seed_number_and_sentence() -> None:
    scorer = TableScorer(20, seed=3, scale=0.5)
    first, again, other = (run(scorer, [SOURCE], samples=5, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len({tuple(hypothesis.ids) for hypothesis in first}) > 1
    assert run(scorer, [SOURCE, [6, EOS]], samples=5)[0] == first == run(scorer, [[7, EOS], SOURCE], samples=5)[1]


def test_attention_is_kept_on_request() -> None:
    scorer = TableScorer(8, seed=2)
    [[kept], [other]] = run(scorer, [SOURCE, [4, EOS]], within=SearchOptions(beam=1, attention=True))
    assert kept.attention is not None
    assert kept.attention.shape == (len(kept.ids) + 1, len(SOURCE))
    assert other.attention is not None
    assert run(scorer, [SOURCE])[0][0].attention is None


def test_nan_probabilities_are_a_model_error() -> None:
    scorer = TableScorer(8, seed=2)
    scorer.logits.fill_(float("nan"))
    with pytest.raises(ModelError, match="not numbers"):
        run(scorer, [SOURCE, SOURCE])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples: must be from 1 to 10,000, not 0"),
        ({"temperature": -0.5}, "temperature: must be from 0 to 1,000, not -0.5"),
        ({"temperature": float("nan")}, "temperature: must be from 0 to 1,000"),
        ({"top_k": 0}, "top_k: must be from 1 to 2,147,483,647, not 0"),
        (
            {"seed": -1, "within": SearchOptions()},
            "seed: must be from 0 to 2,147,483,647, not -1\nwithin: .* must be 1, not 5",
        ),
    ],
)
def test_impossible_options_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SampleOptions(**settings)
