"""The native search, compared with the Python search over the network itself, and with itself in other groups."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from int8_emulation import EmulatedScorer
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

from nmt.errors import ModelError
from nmt.model.candidates import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.native import library
from nmt.native.engine import Engine, NativeHypothesis
from nmt.native.library import FLOAT32, INT8
from nmt.search.constraints import Constraint, ForbiddenTokens
from nmt.search.finished import Hypothesis
from nmt.search.loop import Search, decode
from nmt.search.options import SampleOptions, SearchOptions
from nmt.search.sampling import sample
from nmt.search.scorer import ModelScorer
from nmt.search.sentence import Guide, Sentence, TermIds

pytestmark = pytest.mark.skipif(library.load() is None, reason="the native library is not compiled")

TOLERANCE = 1e-5


def search_in_python(
    networks: Sequence[Seq2Seq],
    sentences: Sequence[Sentence],
    options: SearchOptions,
    shortlist: Shortlist | None = None,
    constraints: Sequence[Constraint[Sentence]] = (),
) -> list[list[Hypothesis]]:
    return decode(make_search(networks, shortlist, constraints), sentences, options)


def check_equal(ours: list[list[NativeHypothesis]], expected: list[list[Hypothesis]]) -> None:
    """Check that the hypotheses are equal, except for the order of hypotheses with equal scores."""
    assert len(ours) == len(expected)
    for own, other in zip(ours, expected, strict=True):
        assert [one.score for one in own] == pytest.approx([one.score for one in other], abs=TOLERANCE, rel=TOLERANCE)
        for rank, (one, two) in enumerate(zip(own, other, strict=True)):
            if one.ids != two.ids:
                # The other hypothesis of the tie can be missing if it would be the next in the list.
                ties = [other[index].score for index in (rank - 1, rank + 1) if 0 <= index < len(other)]
                assert rank == len(other) - 1 or any(abs(two.score - tie) < 10 * TOLERANCE for tie in ties)
                continue
            assert one.log_probability == pytest.approx(two.log_probability, abs=TOLERANCE, rel=TOLERANCE)
            if two.attention is not None:
                assert one.attention is not None
                for row, expected_row in zip(one.attention, two.attention.tolist(), strict=True):
                    assert row == pytest.approx(expected_row, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.sampled_from([8, 61, 130]),
    architecture=architectures,
    search=searches,
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    shortlist=st.sampled_from([0, 0, 1, 6]),
    members=st.sampled_from([1, 1, 1, 2]),
    data=st.data(),
)
def test_float32_equals_the_python_search(
    seed: int,
    size: int,
    architecture: dict[str, Any],
    search: dict[str, Any],
    lengths: list[int],
    shortlist: int,
    members: int,
    data: st.DataObject,
) -> None:
    networks = [build(seed + member, size, architecture) for member in range(members)]
    lists = make_shortlist(seed, size, shortlist) if shortlist else None
    options = SearchOptions(**search, nbest=data.draw(st.integers(1, search["beam"])))
    sentences = make_sentences(seed, size, lengths)
    engine = Engine([packed(network, FLOAT32, lists) for network in networks])
    check_equal(engine.search(sentences, options), search_in_python(networks, sentences, options, lists))


@pytest.mark.parametrize("precision", PRECISIONS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    architecture=architectures,
    search=searches,
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    shortlist=st.sampled_from([0, 5]),
    group=st.integers(1, 32),
    threads=st.integers(1, 3),
    random=st.randoms(use_true_random=False),
)
def test_a_translation_does_not_depend_on_the_group_the_order_or_the_threads(
    precision: int,
    seed: int,
    architecture: dict[str, Any],
    search: dict[str, Any],
    lengths: list[int],
    shortlist: int,
    group: int,
    threads: int,
    random: Any,
) -> None:
    network = build(seed, 40, architecture)
    model = packed(network, precision, make_shortlist(seed, 40, shortlist) if shortlist else None)
    engine = Engine([model])
    options = SearchOptions(**search, nbest=search["beam"])
    sentences = make_sentences(seed, 40, lengths)
    together = Engine([model], group=group).search(sentences, options)
    order = list(range(len(sentences)))
    random.shuffle(order)
    with ThreadPoolExecutor(threads) as pool:
        parts = [order[first::threads] for first in range(threads)]
        found = pool.map(lambda part: engine.search([sentences[index] for index in part], options), parts)
        for part, shuffled in zip(parts, found, strict=True):
            assert shuffled == [together[index] for index in part]
    index = order[0]
    assert engine.search([sentences[index]], options) == [together[index]]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shortlist", [False, True])
def test_forbidden_tokens_never_appear(precision: int, shortlist: bool) -> None:
    network = make_network(3, 30)
    lists = make_shortlist(3, 30, 9) if shortlist else None
    sentences, options = make_sentences(3, 30, [3, 8, 1]), SearchOptions(beam=4, nbest=4)
    forbidden = [4, 5, 7, 11, 12, 29]
    found = Engine([packed(network, precision, lists)], forbidden=forbidden).search(sentences, options)
    assert not {token for own in found for hypothesis in own for token in hypothesis.ids} & {*forbidden}
    if precision == FLOAT32:
        check_equal(found, search_in_python([network], sentences, options, lists, [ForbiddenTokens(forbidden)]))


@pytest.mark.parametrize("precision", PRECISIONS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 4),
    beam=st.sampled_from([1, 4]),
    samples=st.sampled_from([0, 3]),
    shortlist=st.sampled_from([0, 5]),
)
def test_n_grams_do_not_repeat(precision: int, seed: int, size: int, beam: int, samples: int, shortlist: int) -> None:
    engine = Engine([packed(make_network(seed, 20), precision, make_shortlist(seed, 20, 3) if shortlist else None)])
    search = SearchOptions(beam=1 if samples else beam, no_repeat_ngram_size=size)
    options = SampleOptions(samples=samples, within=search) if samples else search
    for own in engine.search(make_sentences(seed, 20, [9, 4, 1]), options):
        for hypothesis in own:
            ids = hypothesis.ids
            grams = [tuple(ids[first : first + size]) for first in range(len(ids) - size + 1)]
            assert len(grams) == len(set(grams))


@pytest.mark.parametrize("embedding_size", [6, 20])
def test_an_ensemble_uses_the_shortlist_of_its_first_network(embedding_size: int) -> None:
    networks = [make_network(seed, 130, embedding_size=embedding_size, decoder_size=12) for seed in (3, 4)]
    lists, sentences, options = (
        make_shortlist(3, 130, 9),
        make_sentences(3, 130, [3, 8, 1]),
        SearchOptions(beam=3, nbest=3),
    )
    engine = Engine([packed(networks[0], FLOAT32, lists), packed(networks[1], FLOAT32)])
    check_equal(engine.search(sentences, options), search_in_python(networks, sentences, options, lists))
    reverse = [packed(networks[1], INT8), packed(networks[0], INT8, lists)]
    whole = Engine(reverse, shortlist=False).search(sentences, options)
    assert whole == Engine(reverse).search(sentences, options)  # the first one has none


def make_guide(seed: int, size: int, states: int) -> Guide:
    """A guide of random arcs."""
    generator = np.random.default_rng(seed)
    guide = []
    for state in range(states):
        tokens = sorted({*generator.integers(4, size, 4).tolist()})
        guide.append(tuple((token, int(generator.integers(state + 1, states + 1))) for token in tokens))
    return tuple(guide)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    search=searches,
    shortlist=st.sampled_from([0, 4]),
    prefixes=st.lists(st.lists(st.integers(4, 29), max_size=7), min_size=1, max_size=4),
    states=st.lists(st.integers(0, 4), min_size=4, max_size=4),
)
def test_a_translation_begins_with_its_prefix_and_follows_its_guide(
    seed: int, search: dict[str, Any], shortlist: int, prefixes: list[list[int]], states: list[int]
) -> None:
    network = make_network(seed, 30)
    lists = make_shortlist(seed, 30, shortlist) if shortlist else None
    options = SearchOptions(**search, nbest=search["beam"])
    sources = make_sentences(seed, 30, [*range(len(prefixes))])
    guides = [make_guide(seed + number, 30, count) for number, count in zip(range(len(prefixes)), states, strict=False)]
    records = [
        replace(source, prefix=tuple(prefix), guide=guide)
        for source, prefix, guide in zip(sources, prefixes, guides, strict=True)
    ]
    engine = Engine([packed(network, FLOAT32, lists)])
    found = engine.search(records, options)
    check_equal(found, decode(Search(scorer=ModelScorer(network), shortlist=lists), records, options))
    for own, record in zip(found, records, strict=True):
        for hypothesis in own:
            first = len(record.prefix)
            assert hypothesis.ids[:first] == [*record.prefix]
            state = 0
            for token in hypothesis.ids[first:]:
                state = dict(record.guide[state])[token] if state < len(record.guide) else state
            assert state == len(record.guide)
    assert [engine.search([record], options)[0] for record in records] == found


forms = st.lists(st.integers(4, 29), min_size=1, max_size=3).map(tuple)
terms = st.lists(
    st.builds(
        TermIds,
        forms=st.lists(forms, min_size=1, max_size=3).map(tuple),
        initial=st.sampled_from([0, 0, 1]),
        positions=st.lists(st.integers(0, 1), max_size=2, unique=True).map(tuple),
    ),
    max_size=3,
).map(tuple)


def contains(ids: Sequence[int], term: TermIds) -> bool:
    return any(
        tuple(ids[first : first + len(form)]) == form
        for form in term.forms
        for first in range(len(ids) - len(form) + 1)
    )


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    search=searches,
    shortlist=st.sampled_from([0, 4]),
    all_terms=st.lists(terms, min_size=1, max_size=4),
    prefix=st.lists(st.integers(4, 29), max_size=2),
    edges=st.one_of(
        st.just(b""), st.binary(min_size=30, max_size=30).map(lambda data: bytes(byte % 16 for byte in data))
    ),
)
def test_terms_are_in_the_translation(
    seed: int,
    search: dict[str, Any],
    shortlist: int,
    all_terms: list[tuple[TermIds, ...]],
    prefix: list[int],
    edges: bytes,
) -> None:
    network = make_network(seed, 30, layer_norm=True)
    lists = make_shortlist(seed, 30, shortlist) if shortlist else None
    options = SearchOptions(**search, nbest=search["beam"])
    sources = make_sentences(seed, 30, [1 + number for number in range(len(all_terms))])
    records = [replace(source, prefix=tuple(prefix), terms=own) for source, own in zip(sources, all_terms, strict=True)]
    engine = Engine([packed(network, FLOAT32, lists)], edges=lambda: edges)
    found = engine.search(records, options)
    python = Search[Sentence](scorer=ModelScorer(network), shortlist=lists, edges=edges)
    check_equal(found, decode(python, records, options))
    for own, record in zip(found, records, strict=True):
        if not edges and not any(term.initial for term in record.terms):
            assert all(contains(hypothesis.ids, term) for hypothesis in own for term in record.terms)
        assert engine.search([record], options) == [own]


def test_two_terms_in_both_searches() -> None:
    network, sources = make_network(3, 30), make_sentences(3, 30, [3, 5])
    own = [(TermIds(forms=((7, 8), (9,)), positions=(1,)), TermIds(forms=((7, 12),), positions=(2,))), ()]
    options = SearchOptions(beam=2, nbest=2)
    records = [replace(source, terms=terms) for source, terms in zip(sources, own, strict=True)]
    found = Engine([packed(network, FLOAT32)]).search(records, options)
    check_equal(found, decode(Search(scorer=ModelScorer(network)), records, options))
    assert all(contains(hypothesis.ids, term) for hypothesis in found[0] for term in own[0])
    assert found[1] == Engine([packed(network, FLOAT32)]).search(sources[1:], options)[0]


@pytest.mark.parametrize(
    "term",
    [
        TermIds(forms=()),
        TermIds(forms=((),)),
        TermIds(forms=((3,),)),
        TermIds(forms=((30,),)),
        TermIds(forms=((5,),), initial=2),
        TermIds(forms=((5,),), positions=(2,)),
    ],
)
def test_a_wrong_term_is_refused(term: TermIds) -> None:
    with pytest.raises(ValueError, match="refuses"):
        Engine([packed(make_network(3, 30), INT8)]).search([Sentence(source=(5, 3), terms=(term,))], SearchOptions())


@pytest.mark.parametrize("guide", [((),), (((4, 0),),), (((3, 1),),), (((30, 1),),), (((5, 1), (4, 1)),)])
def test_a_wrong_guide_is_refused(guide: Guide) -> None:
    with pytest.raises(ValueError, match="refuses"):
        Engine([packed(make_network(3, 30), INT8)]).search([Sentence(source=(5, 3), guide=guide)], SearchOptions())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shortlist", [False, True])
def test_a_translation_begins_with_its_prefix(precision: int, shortlist: bool) -> None:
    network = make_network(3, 30)
    engine = Engine([packed(network, precision, make_shortlist(3, 30, 2) if shortlist else None)])
    prefixes = [(9, 8, 9), (), (12,)]
    sources = make_sentences(3, 30, [3, 8, 1])
    sentences = [replace(source, prefix=prefix) for source, prefix in zip(sources, prefixes, strict=True)]
    for prefix, own in zip(prefixes, engine.search(sentences, SearchOptions(beam=3, nbest=2)), strict=True):
        assert own
        for hypothesis in own:
            assert tuple(hypothesis.ids[: len(prefix)]) == prefix


def test_equal_hypotheses_are_returned_once() -> None:
    network = make_network(3, 30)
    sentences, options = make_sentences(3, 30, [3, 8, 1]), SearchOptions(beam=6, nbest=3, min_length=0)

    def identify(sentence: Sentence, ids: list[int]) -> int:
        assert sentence in sentences
        return len(ids)

    search = Search[Sentence](scorer=ModelScorer(network), identify=identify)
    expected = decode(search, sentences, options)
    found = Engine([packed(network, FLOAT32)]).search(sentences, options, identify=identify)
    check_equal(found, expected)
    assert all(len({len(hypothesis.ids) for hypothesis in own}) == len(own) for own in found)


def test_an_error_in_identify_reaches_the_caller() -> None:
    engine = Engine([packed(make_network(3, 30), INT8)])

    def fail(sentence: Sentence, ids: list[int]) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.search([Sentence(source=(5, 6, 3))], SearchOptions(beam=2, nbest=2), identify=fail)


@pytest.mark.parametrize("ids", [(30, 3), (-1, 3), ()])
def test_ids_out_of_the_vocabulary_are_refused(ids: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="refuses"):
        Engine([packed(make_network(3, 30), INT8)]).search([Sentence(source=ids)], SearchOptions())


def test_a_shortlist_without_candidates_gives_an_empty_translation() -> None:
    network = make_network(3, 30)
    lists = Shortlist(target_size=30, frequent=np.array([3]), best=np.full((30, 1), 3))
    sentences, options = [Sentence(source=(5, 6, 3))], SearchOptions(min_length=2, no_repeat_ngram_size=3)
    found = Engine([packed(network, FLOAT32, lists)]).search(sentences, options)
    assert [one.ids for one in found[0]] == [[]]
    check_equal(found, search_in_python([network], sentences, options, lists))


def test_no_sentences() -> None:
    assert Engine([packed(make_network(3, 30), INT8)]).search(list[Sentence](), SearchOptions()) == []


def test_a_probability_that_is_not_a_number() -> None:
    network = make_network(3, 30)
    network.output.bias.fill_(3e38)
    network.output.weight.fill_(3e38)
    with pytest.raises(ModelError, match="not numbers"):
        Engine([packed(network, FLOAT32)]).search([Sentence(source=(5, 3))], SearchOptions())


def test_a_weight_that_is_not_a_number() -> None:
    network = make_network(3, 30)
    network.output.bias[7] = float("nan")
    with pytest.raises(ModelError, match="not numbers"):
        packed(network, INT8)


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_long_sentences(precision: int) -> None:
    network = make_network(3, 30, encoder_size=32, decoder_size=32)
    sentences = make_sentences(3, 30, [500, 499, 0])
    engine, options = Engine([packed(network, precision)]), SearchOptions(beam=2, min_length=400)
    found = engine.search(sentences, options)
    assert [len(own[0].ids) >= 400 for own in found] == [True] * 3
    if precision == FLOAT32:
        check_equal(found, search_in_python([network], sentences, options))


VARIATIONS: list[tuple[int, dict[str, Any]]] = [
    (1, {"embedding_size": 40}),
    (2, {"layer_norm": True, "bridge": "final", "embedding_size": 12}),
    (2, {"bridge": "none", "tied_embeddings": "none", "residual": False}),
]
KINDS: list[dict[str, Any]] = [
    {
        "cell": cell,
        "attention": attention,
        "decoder": decoder,
        "encoder_layers": layers,
        "decoder_layers": layers,
        **rest,
    }
    for cell, attention, decoder, (layers, rest) in itertools.product(
        ("lstm", "gru", "rnn"), ("dot", "general", "additive", "multi_head"), ("parallel", "input_feeding"), VARIATIONS
    )
]


def test_int8_equals_an_emulation() -> None:
    # The emulation computes in float64. A number that is nearly between two levels can then get the other level.
    options, equal = SearchOptions(beam=3, nbest=2, max_length_extra=3), 0
    for kind in KINDS:
        sizes = {"embedding_size": 12, "encoder_size": 34, "decoder_size": 34, "attention_heads": 2}
        network = make_network(3, 40, 0.1, **{**sizes, "embedding_scale": 1.0, **kind})
        search, sentences = Search[Sentence](scorer=EmulatedScorer(network)), make_sentences(4, 40, [1, 4, 7])
        found = Engine([packed(network, INT8)]).search(sentences, options)
        expected = [decode(search, [sentence], options)[0] for sentence in sentences]
        pairs = [pair for one, two in zip(found, expected, strict=True) for pair in zip(one, two, strict=True)]
        differences = [abs(one.score - two.score) for one, two in pairs]
        assert max(differences) < 5e-3, kind
        equal += max(differences) < 1e-6 and all(one.ids == two.ids for one, two in pairs)
    assert equal >= 0.9 * len(KINDS)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    architecture=architectures,
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    shortlist=st.sampled_from([0, 4]),
    samples=st.integers(1, 4),
    temperature=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    top_k=st.sampled_from([None, 1, 3, 1000]),
    search=searches,
)
def test_samples_equal_those_of_the_python_search(
    seed: int,
    architecture: dict[str, Any],
    lengths: list[int],
    shortlist: int,
    samples: int,
    temperature: float,
    top_k: int | None,
    search: dict[str, Any],
) -> None:
    network = build(seed, 40, architecture)
    lists = make_shortlist(seed, 40, shortlist) if shortlist else None
    options = SampleOptions(
        samples=samples, seed=seed, temperature=temperature, top_k=top_k, within=SearchOptions(**{**search, "beam": 1})
    )
    sentences = make_sentences(seed, 40, lengths)
    found = Engine([packed(network, FLOAT32, lists)]).search(sentences, options)
    python = Search[Sentence](scorer=ModelScorer(network), shortlist=lists)
    expected = sample(python, sentences, options)
    pairs = [pair for own, other in zip(found, expected, strict=True) for pair in zip(own, other, strict=True)]
    equal = [(one, two) for one, two in pairs if one.ids == two.ids]
    assert len(equal) >= len(pairs) - 1  # a close draw
    for one, two in equal:
        assert one.score == pytest.approx(two.score, abs=TOLERANCE, rel=TOLERANCE)
        assert one.log_probability == pytest.approx(two.log_probability, abs=TOLERANCE, rel=TOLERANCE)
