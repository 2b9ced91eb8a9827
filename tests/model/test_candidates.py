"""Candidates: the tokens that each sentence of a batch may use."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.batch import pad
from nmt.model.candidates import Candidates, Shortlist
from nmt.types import EOS

SOURCES, TARGETS = 9, 12

target_tokens = st.integers(EOS, TARGETS - 1)
tables = st.lists(st.lists(target_tokens, min_size=3, max_size=3), min_size=SOURCES, max_size=SOURCES)
shortlists = st.builds(
    lambda frequent, best: Shortlist(
        target_size=TARGETS, frequent=np.array(frequent, dtype=np.int64), best=np.array(best)
    ),
    st.lists(target_tokens, max_size=3, unique=True),
    tables,
)
sentences = st.lists(st.integers(1, SOURCES - 1), max_size=6).map(lambda ids: [*ids, EOS])


def allowed(candidates: Candidates, sentence: int) -> list[int]:
    assert candidates.counts is not None
    return candidates.tokens[sentence, : int(candidates.counts[sentence])].tolist()


@given(shortlist=shortlists, batch=st.lists(sentences, min_size=1, max_size=5))
def test_candidates_of_a_sentence_do_not_depend_on_its_batch(shortlist: Shortlist, batch: list[list[int]]) -> None:
    candidates = shortlist.candidates(*pad(batch))
    expected = [{EOS, *shortlist.frequent.tolist(), *shortlist.best[ids].ravel().tolist()} for ids in batch]
    assert [allowed(candidates, sentence) for sentence in range(len(batch))] == [sorted(own) for own in expected]
    assert candidates.tokens.size(1) == max(map(len, expected))
    for row, own in zip(candidates.tokens.tolist(), expected, strict=True):
        assert row[0] == EOS
        assert set(row[len(own) :]) <= {EOS}
    few = candidates.select(torch.tensor([len(batch) - 1]))
    assert allowed(few, 0) == sorted(expected[-1])


@given(shortlist=shortlists, batch=st.lists(sentences, min_size=1, max_size=5), hypotheses=st.integers(1, 3))
def test_scores_of_all_candidates_are_distributed_to_the_sentences(
    shortlist: Shortlist, batch: list[list[int]], hypotheses: int
) -> None:
    candidates = shortlist.candidates(*pad(batch))
    union = candidates.union()
    own = [allowed(candidates, sentence) for sentence in range(len(batch))]
    assert union.tokens.tolist() == sorted(set().union(*own))
    # As a score each token gets its own number, and a part that tells the row.
    rows = torch.arange(len(batch) * hypotheses).unsqueeze(1) / 100
    for one, order in ((union, range(len(batch))), (union.select(torch.tensor([len(batch) - 1])), [-1])):
        scores = one.distribute((union.tokens + rows)[: len(order) * hypotheses])
        for row, found in enumerate(scores):
            expected = [*own[order[row // hypotheses]]]
            torch.testing.assert_close(found[: len(expected)], torch.tensor(expected) + row / 100)
            assert set(found[len(expected) :].tolist()) <= {-torch.inf}


def test_the_whole_vocabulary_is_the_same_for_all() -> None:
    candidates = Candidates.all(7)
    assert candidates.tokens.tolist() == [[3, 4, 5, 6]]
    scores = torch.ones(6, 4)
    for one in (candidates, candidates.select(torch.tensor([1]))):
        assert one.union().tokens.tolist() == [3, 4, 5, 6]
        assert one.union().select(torch.tensor([0])).distribute(scores) is scores


def test_ids_in_the_padding_do_not_matter() -> None:
    best = np.arange(EOS, EOS + SOURCES)[:, None]
    shortlist = Shortlist(target_size=TARGETS, frequent=np.array([5]), best=best)
    source, lengths = pad([[4, 5, EOS], [EOS]])
    source[1, 1:] = 8
    assert allowed(shortlist.candidates(source, lengths), 1) == [EOS, 5, best[EOS, 0]]


@pytest.mark.parametrize(
    ("frequent", "best", "message"),
    [([EOS, TARGETS], [[EOS]], "tokens 3 to 12"), ([EOS], [[1]], "tokens 1 to 3"), ([[EOS]], [[EOS]], "dimensions")],
)
def test_invalid_candidates_are_refused(frequent: list[int], best: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shortlist(target_size=TARGETS, frequent=np.array(frequent), best=np.array(best))


@given(shortlist=shortlists, batch=st.lists(sentences, min_size=1, max_size=5))
def test_columns_of_source_tokens(shortlist: Shortlist, batch: list[list[int]]) -> None:
    source, lengths = pad(batch)
    for candidates in (shortlist.candidates(source, lengths), Candidates.all(TARGETS)):
        found, width = candidates.columns(source), candidates.tokens.size(1)
        for sentence, ids in enumerate(source.tolist()):
            own = allowed(candidates, sentence) if candidates.counts is not None else candidates.tokens[0].tolist()
            assert found[sentence].tolist() == [own.index(token) if token in own else width for token in ids]


@given(shortlist=shortlists, batch=st.lists(sentences, min_size=1, max_size=5))
def test_a_network_that_copies_may_use_source_tokens(shortlist: Shortlist, batch: list[list[int]]) -> None:
    before, after = (
        each.candidates(*pad(batch))
        for each in (shortlist, shortlist.with_source_tokens(range(EOS, len(shortlist.best))))
    )
    for sentence, ids in enumerate(batch):
        itself = {token for token in ids if token >= EOS}
        assert set(allowed(after, sentence)) == {*allowed(before, sentence), *itself}


def test_only_producible_tokens_are_copied() -> None:
    shortlist = Shortlist(target_size=8, frequent=np.array([EOS]), best=np.full((8, 1), EOS))
    assert shortlist.with_source_tokens(range(EOS, 6)).best[:, 1].tolist() == [EOS, EOS, EOS, EOS, 4, 5, EOS, EOS]
