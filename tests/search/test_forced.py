"""Log P of given translations, compared with teacher forcing and with the search."""

import pytest
import tiny
import torch
from table_scorer import sentences

from nmt.search.forced import score_targets
from nmt.search.loop import Search, decode
from nmt.search.options import SearchOptions
from nmt.search.scorer import EnsembleScorer, ModelScorer
from nmt.search.sentence import Sentence
from nmt.types import EOS, UNK

SOURCES = [[5, 6, 7, 8, 3], [9, 3], [10, 11, 12, 3]]


@torch.inference_mode()
def test_scores_equal_teacher_forcing() -> None:
    network, batch = tiny.network(1), tiny.batch()
    rows = tiny.logits(network, batch)[:, EOS:].log_softmax(dim=-1).split(batch.target_lengths.tolist())
    lengths = zip(batch.source.tolist(), batch.source_lengths.tolist(), strict=True)
    sources = sentences([ids[:length] for ids, length in lengths])
    targets = [
        ids[: length - 1] for ids, length in zip(batch.target.tolist(), batch.target_lengths.tolist(), strict=True)
    ]
    found = score_targets(Search(scorer=ModelScorer(network)), sources, targets)
    for own, logs, ids in zip(found, rows, targets, strict=True):
        expected = [float(row[token - EOS]) for row, token in zip(logs, [*ids, EOS], strict=True)]
        assert own == pytest.approx(expected, abs=1e-5)


def test_scores_equal_those_of_the_search() -> None:
    scorer = EnsembleScorer([ModelScorer(tiny.network(1)), ModelScorer(tiny.network(2, cell="gru"))])
    search = Search[Sentence](scorer=scorer)
    for source, found in zip(
        sentences(SOURCES), decode(search, sentences(SOURCES), SearchOptions(beam=4, nbest=4)), strict=True
    ):
        scores = score_targets(search, [source] * 4, [one.ids for one in found])
        assert [sum(own) for own in scores] == pytest.approx([one.log_probability for one in found], abs=1e-5)


def test_unknown_tokens_are_impossible() -> None:
    search = Search[Sentence](scorer=ModelScorer(tiny.network(1)))
    [own] = score_targets(search, sentences(SOURCES[:1]), [[5, UNK, 6]])
    assert [value == -torch.inf for value in own] == [False, True, False, False]
