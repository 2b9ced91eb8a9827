"""Philox, compared with the known answers of its authors (Random123)."""

import numpy as np
import pytest

from nmt.search.philox import Words, derive_key, draw_uniform, philox

ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[Words]:
    return [np.array([int(word, 16)], np.uint64) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), ANSWERS)
def test_known_answers(counter: str, key: str, expected: str) -> None:
    c0, c1, c2, c3 = words(counter)
    k0, k1 = words(key)
    assert philox((c0, c1, c2, c3), (k0, k1)) == tuple(words(expected))


def test_keys_depend_on_seed_number_and_ids() -> None:
    keys = [derive_key(1, 0, (5, 3)), derive_key(2, 0, (5, 3)), derive_key(1, 1, (5, 3)), derive_key(1, 0, (3, 5))]
    assert len(set(keys)) == 4
    [first], [second] = words("00000001"), words("00000000")
    c0, c1, *_ = philox((words("7")[0], words("0")[0], words("0")[0], words("0")[0]), (first[None], second[None]))
    assert derive_key(1, 0, (7,)) == (int(c0[0, 0]), int(c1[0, 0]))


def test_numbers_are_uniform_and_do_not_depend_on_the_other_tokens() -> None:
    tokens = np.arange(40_000)[None]
    numbers = draw_uniform(np.array([[1, 2]], np.uint64), 3, tokens)
    assert 0 < numbers.min() < 1e-3
    assert 1 - 1e-3 < numbers.max() < 1
    counts, _ = np.histogram(numbers, 100, (0, 1))
    assert ((counts - 400) ** 2 / 400).sum() < 100 + 5 * 200**0.5  # χ²: mean and deviation
    some = tokens[:, [5, 17, 39_999]]
    assert (draw_uniform(np.array([[1, 2]], np.uint64), 3, some) == numbers[:, [5, 17, 39_999]]).all()
    assert not (draw_uniform(np.array([[1, 2]], np.uint64), 4, tokens) == numbers).any()
