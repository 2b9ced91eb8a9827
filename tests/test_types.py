import tiny

from nmt.types import PAD, pad


def test_pad() -> None:
    ids, lengths = pad([[5, 3], [6, 7, 3]])
    assert ids.tolist() == [[5, 3, PAD], [6, 7, 3]]
    assert lengths.tolist() == [2, 3]


def test_a_batch_counts_its_target_pieces() -> None:
    assert tiny.batch().target_tokens == 10
    assert tiny.batch().sentences == 3


def test_a_batch_twice() -> None:
    batch = tiny.batch()
    twice = batch.twice()
    assert (twice.sentences, twice.target_tokens) == (2 * batch.sentences, 2 * batch.target_tokens)
    assert twice.halves()[1].source.tolist() == batch.source.tolist()
