import dataclasses

import tiny

from nmt.data.batch import pad
from nmt.types import PAD


def test_pad() -> None:
    ids, lengths = pad([[5, 3], [6, 7, 3]])
    assert ids.tolist() == [[5, 3, PAD], [6, 7, 3]]
    assert lengths.tolist() == [2, 3]


def test_a_batch_counts_its_target_tokens() -> None:
    assert tiny.batch().target_tokens == 10
    assert tiny.batch().sentences == 3


def test_memory_grows_with_the_padding_of_both_sides() -> None:
    assert tiny.batch().padded_size == 3 * 5 + 3 * 5


def test_halves_of_halves_keep_their_update() -> None:
    """The first half is the smaller one, and padding that only the other half needs is gone."""
    batch = dataclasses.replace(tiny.batch(), first=7, update_sentences=20)
    first, second = batch.halves()
    assert (first.sentences, second.sentences) == (1, 2)
    assert (first.first, second.first) == (7, 8)
    assert first.update_sentences == second.update_sentences == 20
    assert (first.target.size(1), second.source.size(1)) == (3, 4)
    assert [half.update_sentences for half in tiny.batch().halves()] == [3, 3]
