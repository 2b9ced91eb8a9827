"""Inner loops of translation on a CPU, compiled by Numba where it is installed: `pip install "nmt[fast]"`.

A step of search takes about thirty torch operators. Each costs 1 to 2 µs of overhead and another pass over memory; a
compiled loop fuses several in one pass. Without Numba, the callers of these loops use torch operators instead.

All arrays are contiguous. Each row is computed by the same code, so its result does not depend on the other rows.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.int8]
Words = NDArray[np.int16]
Ids = NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., Any])


def _compiler() -> Any:
    """The decorator of Numba; None if it is not installed, or incompatible with this NumPy."""
    try:
        from numba import njit
    except ImportError:
        return None
    return njit


_njit = _compiler()
AVAILABLE = _njit is not None

_f = np.float32
_LOG2E = _f(1.44269504)
_LN2_HIGH, _LN2_LOW = _f(0.693359375), _f(-2.12194440e-4)  # their sum is ln 2; products with the first are exact
_TO_WHOLE = _f(3 * 2**22)  # adding and subtracting it rounds a number below 2²² to the nearest whole number
FINE = _f(2047)  # levels that cost no more than 127, since products are of 16 bits; sums of 8,000 terms stay below 2³¹
_BLOCK = 64  # elements that `select_extensions` skips at once if the largest of them is too small


def compiled(*liberties: str, **options: Any) -> Callable[[Function], Function]:
    """Compile a function at its first call, and cache it on this machine. Without Numba, return it unchanged.

    Args:
        liberties: what LLVM may do with floating-point numbers. `contract` fuses a · b + c into one operation;
            `reassoc` splits a sum into several partial sums, as vectors need.
        options: of Numba's `njit`.
    """

    def decorate(function: Function) -> Function:
        if _njit is None:
            return function
        # "numpy": division by zero raises no exception, which would prevent vectors.
        settings = {"error_model": "numpy", "fastmath": set(liberties), **options}
        try:
            kernel: Function = _njit(cache=True, **settings)(function)
        except RuntimeError:  # no folder for the cache is writable, so each process compiles it
            kernel = _njit(**settings)(function)
        return kernel

    return decorate


@compiled("contract", inline="always")
def _exp(x: Any) -> Any:
    """eˣ as 2ⁿ eʳ with a polynomial for |r| ≤ ln 2 / 2 (Moshier's Cephes, expf): 1 unit in the last place."""
    x = min(max(x, _f(-87)), _f(88))
    n = (x * _LOG2E + _TO_WHOLE) - _TO_WHOLE
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = _f(1.9875691500e-4) * r + _f(1.3981999507e-3)
    p = p * r + _f(8.3334519073e-3)
    p = p * r + _f(4.1665795894e-2)
    p = p * r + _f(1.6666665459e-1)
    p = p * r + _f(5.0000001201e-1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)  # 2ⁿ, from its bits
    return (p * (r * r) + r + _f(1)) * power


@compiled("contract", inline="always")
def _sigmoid(x: Any) -> Any:
    return _f(1) / (_f(1) + _exp(-x))


@compiled("contract", inline="always")
def _tanh(x: Any) -> Any:
    return _f(2) * _sigmoid(_f(2) * x) - _f(1)


@compiled("reassoc", "nnan", "nsz")
def _largest(row: Floats) -> Any:
    highest = _f(-np.inf)
    for v in range(len(row)):
        highest = max(highest, row[v])
    return highest


@compiled("reassoc", "nnan", "nsz")
def _smallest(row: Floats) -> Any:
    lowest = _f(np.inf)
    for v in range(len(row)):
        lowest = min(lowest, row[v])
    return lowest


@compiled("contract")
def _exps(row: Floats, out: Floats) -> None:
    """exp(x - max x) of each number x."""
    highest = _largest(row)
    for v in range(len(row)):
        out[v] = _exp(row[v] - highest)


@compiled("reassoc", "nsz")  # `reassoc` would undo the rounding in `_exp`, so sums have a separate loop
def _sum(row: Floats) -> Any:
    total = _f(0)
    for v in range(len(row)):
        total += row[v]
    return total


@compiled()
def _dot(x: Words, y: Bytes) -> Any:
    total = np.int32(0)
    for d in range(len(y)):
        total += np.int32(x[d]) * np.int32(y[d])
    return np.int32(total)  # Numba would promote it to 64 bits, which is twice as slow


@compiled("contract")
def _round(x: Floats, levels: Any, out: Words) -> None:
    """Round numbers between -1 and 1 to multiples of 1/levels, as torch does: 127 x + 128 is a fused operation there."""
    for d in range(len(x)):
        level = x[d] * levels + _f(128)
        out[d] = np.int16(np.int32((level + _TO_WHOLE) - _TO_WHOLE) - np.int32(128))


@compiled("contract")
def multiply(
    x: Floats, levels: Any, weight: Bytes, scale: Floats, bias: Floats, pieces: Ids, counts: Ids, out: Floats
) -> None:
    """W x + b with some rows of W for each sentence. With 127 levels it has the bits of torch's int8 product.

    Args:
        x: (B·K, D) between -1 and 1.
        levels: of x on each side of 0, float32.
        weight: (F, D).
        scale: of the rows of the weight, divided by the levels, (F,).
        bias: (F,).
        pieces: the rows of the weight for each sentence, (B, W).
        counts: how many rows each sentence has, (B,).
        out: (B·K, W) for the results, −∞ after the last row of a sentence.
    """
    B, D = len(pieces), x.shape[1]
    K = len(x) // B
    rounded = np.empty((K, D), np.int16)
    for b in range(B):
        own, count = out[b * K : b * K + K], counts[b]
        own[:, count:] = _f(-np.inf)
        for k in range(K):
            _round(x[b * K + k], levels, rounded[k])
        for j in range(count):
            f = pieces[b, j]
            for k in range(K):
                own[k, j] = _f(_dot(rounded[k], weight[f])) * scale[f] + bias[f]


@compiled("contract")
def lstm(gates: Floats, added: Floats, rows: Ids, c: Floats, h_next: Floats, c_next: Floats) -> None:
    """`lstm_` of nmt/search/packed/cells.py, after adding `added[rows]` to the gates, which are overwritten.

    Args:
        gates: (N, 4H).
        added: the other part of the gates, (V, 4H).
        rows: the row of `added` for each row of the gates, (N,).
        c: (N, H), doubled as in `lstm_`.
        h_next, c_next: (N, H) for the results.
    """
    N, H = c.shape
    for n in range(N):
        gate, other = gates[n], added[rows[n]]
        for j in range(4 * H):
            gate[j] = _sigmoid(gate[j] + other[j])
        i, f, g, o = gate[:H], gate[H : 2 * H], gate[2 * H : 3 * H], gate[3 * H :]
        # At most four arrays in a loop, because the compiler must prove that they do not overlap.
        before, after, output = c[n], c_next[n], h_next[n]
        for j in range(H):
            after[j] = f[j] * before[j] + _f(2) * (i[j] * (_f(2) * g[j] - _f(1)))
        for j in range(H):
            output[j] = o[j] * (_f(2) * _sigmoid(after[j]) - _f(1))


@compiled("contract")
def lstm_sequence(
    projected: Floats, weight: Bytes, scale: Floats, bias: Floats, pieces: Ids, counts: Ids, outputs: Floats
) -> None:
    """All steps of an LSTM over one sentence, from zero states.

    Args:
        projected: W x + b of each step, (S, 4H).
        weight, scale, bias, pieces, counts: of U (4H, H), as for `multiply` with 127 levels.
        outputs: (S, H), for h of each step.
    """
    S, H = outputs.shape
    gates, row = np.empty((1, 4 * H), np.float32), np.empty(1, np.int64)
    h, c = np.zeros((1, H), np.float32), np.zeros((1, H), np.float32)
    for t in range(S):
        row[0] = t
        multiply(h, _f(127), weight, scale, bias, pieces, counts, gates)
        h = outputs[t : t + 1]
        lstm(gates, projected, row, c, h, c)


@compiled("contract")
def add_tanh(x: Floats, y: Floats) -> None:
    """tanh(x + y) in place of x, both (N, H)."""
    for n in range(len(x)):
        one, other = x[n], y[n]
        for j in range(len(one)):
            one[j] = _tanh(one[j] + other[j])


@compiled("contract")
def attend(
    query: Floats,
    keys: Bytes,
    key_scale: Floats,
    values: Bytes,
    value_scale: Floats,
    lengths: Ids,
    weights: Floats,
    context: Floats,
) -> None:
    """Dot-product attention of K queries for each sentence. Products with keys are of whole numbers.

    Args:
        query: (B·K, A) between -1 and 1.
        keys: (B, S, A) with their scales (B,).
        values: (B, S, D) with their scales (B,).
        lengths: (B,) of the sentences.
        weights: (B·K, S) for the attention weights, zero at padding.
        context: (B·K, D) for the weighted mean of the values.
    """
    B, _, A = keys.shape
    K = len(query) // B
    rounded = np.empty(A, np.int16)
    for b in range(B):
        for n in range(b * K, b * K + K):
            _round(query[n], FINE, rounded)
            weight = weights[n]
            weight[:] = _f(0)
            for s in range(lengths[b]):
                weight[s] = _f(_dot(rounded, keys[b, s])) / FINE * key_scale[b]
            _softmax(weight[: lengths[b]])
            _average(weight, values[b], value_scale[b], lengths[b], context[n])


@compiled("contract")
def to_bytes(x: Floats, lengths: Ids, out: Bytes, scale: Floats) -> None:
    """Convert sentences (B, S, D) to whole numbers from -127 to 127, zero at padding, with a scale for each (B,)."""
    for b in range(len(x)):
        largest = _f(1e-30)
        for s in range(lengths[b]):
            largest = max(largest, _largest(x[b, s]), -_smallest(x[b, s]))
        scale[b] = largest / _f(127)
        levels = _f(127) / largest
        for s in range(x.shape[1]):
            row, number = x[b, s], out[b, s]
            if s < lengths[b]:
                for d in range(len(row)):
                    number[d] = np.int8(np.int32((row[d] * levels + _TO_WHOLE) - _TO_WHOLE))
            else:
                number[:] = 0


@compiled("contract")
def _softmax(row: Floats) -> None:
    """The softmax of one row, in place."""
    _exps(row, row)
    total = _sum(row)
    for s in range(len(row)):
        row[s] /= total


@compiled("contract")
def _average(weights: Floats, values: Bytes, scale: Any, length: int, out: Floats) -> None:
    out[:] = _f(0)
    for s in range(length):
        weight, value = weights[s] * scale, values[s]
        for d in range(len(out)):
            out[d] += weight * _f(value[d])


@compiled("contract")
def log_softmax(scores: Floats) -> None:
    """The log-softmax of each row of (N, W), in place. −∞ at the end of a row does not change the order of its sum."""
    powers = np.empty(scores.shape[1], np.float32)
    for n in range(len(scores)):
        end = scores.shape[1]
        while end > 1 and scores[n, end - 1] == -np.inf:
            end -= 1
        row, power = scores[n, :end], powers[:end]
        _exps(row, power)
        normalizer = _largest(row) + np.log(_sum(power))
        for v in range(len(row)):
            row[v] -= normalizer


@compiled("contract")
def select_extensions(scores: Floats, ahead: Floats, ends: Floats, values: Floats, places: Ids) -> None:
    """The best extensions of each sentence's hypotheses, as in nmt/search/extensions.py.

    Args:
        scores: (B, K, W), EOS first.
        ahead: the number to add to the scores of each hypothesis, (B, K).
        ends: (B, K) for the sums of EOS.
        values: (B, count) for the largest of the other sums, equal ones in their order; −∞ where there are fewer.
        places: (B, count) for their indices in the sentence's (K, W).
    """
    B, K, W = scores.shape
    last = values.shape[1] - 1
    for b in range(B):
        value, place = values[b], places[b]
        value[:] = _f(-np.inf)
        place[:] = 0
        for k in range(K):
            row, more = scores[b, k], ahead[b, k]
            ends[b, k] = row[0] + more
            for start in range(1, W, _BLOCK):
                end = min(start + _BLOCK, W)
                if not _largest(row[start:end]) + more > value[last]:
                    continue
                for c in range(start, end):
                    if row[c] + more > value[last]:
                        _insert(value, place, row[c] + more, k * W + c)


@compiled()
def _insert(values: Floats, places: Ids, value: Any, place: Any) -> None:
    """Insert a value into sorted values, dropping the last."""
    index = len(values) - 1
    while index > 0 and value > values[index - 1]:
        values[index], places[index] = values[index - 1], places[index - 1]
        index -= 1
    values[index], places[index] = value, place


def prepare() -> None:
    """Compile all loops, or load them from the cache: some seconds once, then 0.1 s in each process.

    Call it before forking, so that child processes share the result.
    """
    if not AVAILABLE:
        return
    wide, row, place, length = (
        np.zeros((1, 4), np.float32),
        np.zeros((1, 1), np.float32),
        np.zeros(1, np.int64),
        np.array([1]),
    )
    weight, numbers = np.zeros((4, 1), np.int8), np.ones(4, np.float32)
    pieces, counts = np.arange(4)[None], np.array([4])
    multiply(row, FINE, weight, numbers, numbers, pieces, counts, wide)
    lstm(wide, wide, place, row, row, row)
    lstm_sequence(wide, weight, numbers, numbers, pieces, counts, row)
    add_tanh(row, row)
    values = np.zeros((1, 1, 1), np.int8)
    to_bytes(row[None], length, values, numbers)
    attend(row, values, numbers, values, numbers, length, row, row)
    log_softmax(wide)
    select_extensions(wide[None], row, row, row, place[None])
