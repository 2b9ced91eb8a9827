"""Random numbers that are a function of a key and a counter: Philox4x32-10 (Salmon et al. 2011).

Numbers can be computed in any order, and only where they are needed. nmt/native/sampling.h
computes the same numbers.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]  # numbers below 2^32; in 64 bits, products do not overflow
Key = tuple[int, int]

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_INCREMENTS = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_MASK = 0xFFFFFFFF


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[Words, Words]) -> tuple[Words, Words, Words, Words]:
    """Compute four random words for each counter and key. All arrays have the same shape, or can be broadcast."""
    mask, shift = np.uint64(_MASK), np.uint64(32)
    (c0, c1, c2, c3), (k0, k1) = counter, key
    m0, m1 = (np.uint64(number) for number in _MULTIPLIERS)
    w0, w1 = (np.uint64(number) for number in _INCREMENTS)
    for _ in range(_ROUNDS):
        first, second = c0 * m0, c2 * m1
        c0, c1, c2, c3 = (second >> shift) ^ c1 ^ k0, second & mask, (first >> shift) ^ c3 ^ k1, first & mask
        k0, k1 = (k0 + w0) & mask, (k1 + w1) & mask
    return c0, c1, c2, c3


def derive_key(seed: int, number: int, ids: Iterable[int]) -> Key:
    """Derive the key of a sample from the seed, the number of the sample and the ids of the sentence."""
    key = (seed & _MASK, number & _MASK)
    for position, token in enumerate(ids):
        c0, c1, c2, c3 = token, position, 0, 0
        k0, k1 = key
        for _ in range(_ROUNDS):  # Python's integers, because arrays of one number are slow
            first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
            c0, c1, c2, c3 = (second >> 32) ^ c1 ^ k0, second & _MASK, (first >> 32) ^ c3 ^ k1, first & _MASK
            k0, k1 = (k0 + _INCREMENTS[0]) & _MASK, (k1 + _INCREMENTS[1]) & _MASK
        key = (c0, c1)
    return key


def draw_uniform(keys: NDArray[np.uint64], step: int, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Draw a number between 0 and 1, both excluded, for each token at one step of a sample.

    Args:
        keys: the key of each sample, (N, 2).
        step: the number of tokens of the sample before the step.
        tokens: the tokens of each sample, (N, W).

    Returns:
        The numbers, (N, W).
    """
    block = tokens.astype(np.uint64) >> np.uint64(2)  # a counter yields the numbers of four tokens
    zero = np.zeros_like(block)
    words = philox((block, zero + np.uint64(step), zero, zero + np.uint64(1)), (keys[:, :1], keys[:, 1:]))
    chosen = np.choose(tokens & 3, words)
    numbers: NDArray[np.float64] = (chosen.astype(np.float64) + 0.5) * 2.0**-32
    return numbers
