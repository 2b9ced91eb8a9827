"""Log P of given translations in the native library, compared with the Python code and with the search."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from native_tools import (
    PRECISIONS,
    architectures,
    build,
    make_network,
    make_search,
    make_sentences,
    make_shortlist,
    packed,
    searches,
)

from nmt.native import library
from nmt.native.engine import Engine
from nmt.native.library import FLOAT32
from nmt.search.forced import score_targets
from nmt.search.options import SampleOptions, SearchOptions
from nmt.search.sentence import Sentence

pytestmark = pytest.mark.skipif(library.load() is None, reason="the native library is not compiled")

SIZE = 50


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    architecture=architectures,
    lengths=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=6),
    shortlist=st.sampled_from([0, 1, 6]),
    members=st.sampled_from([1, 1, 2]),
)
def test_scores_equal_those_of_python(
    seed: int, architecture: dict[str, Any], lengths: list[tuple[int, int]], shortlist: int, members: int
) -> None:
    networks = [build(seed + member, SIZE, architecture) for member in range(members)]
    lists = make_shortlist(seed, SIZE, shortlist) if shortlist else None
    sentences = make_sentences(seed, SIZE, [source for source, _ in lengths])
    targets = [other.source[:-1] for other in make_sentences(seed + 1, SIZE, [target for _, target in lengths])]
    engine = Engine([packed(network, FLOAT32, lists) for network in networks])
    found = engine.score(sentences, targets)
    expected = score_targets(make_search(networks, lists), sentences, targets)
    for own, other in zip(found, expected, strict=True):
        assert own == pytest.approx(other, abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    architecture=architectures,
    search=searches,
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=8),
    shortlist=st.sampled_from([0, 5]),
    group=st.integers(1, 16),
)
def test_scores_equal_those_of_the_search(
    precision: int,
    seed: int,
    architecture: dict[str, Any],
    search: dict[str, Any],
    lengths: list[int],
    shortlist: int,
    group: int,
) -> None:
    lists = make_shortlist(seed, SIZE, shortlist) if shortlist else None
    network = packed(build(seed, SIZE, architecture), precision, lists)
    options = SearchOptions(**search, nbest=search["beam"])
    sentences = make_sentences(seed, SIZE, lengths)
    pairs = [
        (source, one)
        for source, found in zip(sentences, Engine([network]).search(sentences, options), strict=True)
        for one in found
    ]
    engine = Engine([network], group=group)
    scores = engine.score([source for source, _ in pairs], [one.ids for _, one in pairs])
    for (_, one), own in zip(pairs, scores, strict=True):
        assert sum(one.token_log_probabilities) == pytest.approx(one.log_probability, abs=1e-5, rel=1e-6)
        assert own == pytest.approx(one.token_log_probabilities, abs=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_samples_have_log_probabilities_of_their_tokens(precision: int) -> None:
    engine = Engine([packed(make_network(1, SIZE), precision)])
    sentences = make_sentences(1, SIZE, [7, 3, 0])
    for source, samples in zip(sentences, engine.search(sentences, SampleOptions(samples=4)), strict=True):
        for sample, own in zip(samples, engine.score([source] * 4, [sample.ids for sample in samples]), strict=True):
            assert own == pytest.approx(sample.token_log_probabilities, abs=1e-5)
            assert sum(own) == pytest.approx(sample.log_probability, abs=1e-5)


@pytest.mark.parametrize("shortlist", [0, 5])
def test_tokens_that_no_search_produces_are_impossible(shortlist: int) -> None:
    lists = make_shortlist(1, SIZE, shortlist) if shortlist else None
    engine = Engine([packed(make_network(1, SIZE), FLOAT32, lists)])
    [found] = engine.score([Sentence(source=(7, 8, 3))], [(5, 1, 9)])
    assert [value == -float("inf") for value in found] == [False, True, False, False]
    with pytest.raises(ValueError, match="refuses"):
        engine.score([Sentence(source=(7, 8, 3))], [(SIZE,)])
