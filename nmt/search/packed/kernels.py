"""The inner loops of translation on a CPU. Numba compiles them if it is installed: `pip install "nmt[fast]"`.

A step of search calls about thirty torch operators. Each call has an overhead of 1 to 2 µs and reads its inputs from
memory again. A compiled loop replaces several operators by one pass over the data. Without Numba, the callers of these
functions use torch operators instead.

All arrays must be contiguous. The same code computes every row, so the result for a row does not depend on other rows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.data.batch import Integers
from nmt.search.packed.compilation import AVAILABLE as AVAILABLE
from nmt.search.packed.compilation import compiled

Floats = NDArray[np.float32]
Bytes = NDArray[np.int8]
Shorts = NDArray[np.int16]

_f = np.float32
_LOG2E = _f(1.44269504)
_LN2_HIGH, _LN2_LOW = _f(0.693359375), _f(-2.12194440e-4)  # the sum is ln 2; products with _LN2_HIGH are exact
_TO_WHOLE = _f(3 * 2**22)  # adding and then subtracting this number rounds x to the nearest integer if |x| < 2²²
# The number of levels on each side of 0 for activations in 16 bits. Sums of 8,000 products with int8 stay below 2³¹.
FINE_LEVELS = _f(2047)
_BLOCK = 64  # the number of elements that `select_extensions` skips at once if the largest of them is too small


@compiled("contract", inline="always")
def _exp(x: Any) -> Any:
    """Compute eˣ as 2ⁿ eʳ with |r| ≤ ln 2 / 2. A polynomial computes eʳ, as in `expf` of Moshier's Cephes library.

    The error is at most 1 unit in the last place.
    """
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
    """Compute exp(x - m) for each number x of a row, where m is the largest number of the row."""
    highest = _largest(row)
    for v in range(len(row)):
        out[v] = _exp(row[v] - highest)


@compiled("reassoc", "nsz")  # separate from the loop with `_exp`, because `reassoc` would undo the rounding in `_exp`
def _sum(row: Floats) -> Any:
    total = _f(0)
    for v in range(len(row)):
        total += row[v]
    return total


@compiled()
def _dot(x: Shorts, y: Bytes) -> Any:
    total = np.int32(0)
    for d in range(len(y)):
        total += np.int32(x[d]) * np.int32(y[d])
    return np.int32(total)  # otherwise Numba promotes the sum to 64 bits, which is twice as slow


@compiled("contract")
def _round(x: Floats, levels: Any, out: Shorts) -> None:
    """Round `levels` · x to integers, for x between -1 and 1.

    With 127 levels, torch's int8 product rounds in the same way: it computes 127 x + 128 as one fused operation.
    """
    for d in range(len(x)):
        level = x[d] * levels + _f(128)
        out[d] = np.int16(np.int32((level + _TO_WHOLE) - _TO_WHOLE) - np.int32(128))


@compiled("contract")
def multiply(
    x: Floats, levels: Any, weight: Bytes, scale: Floats, bias: Floats, rows: Integers, counts: Integers, out: Floats
) -> None:
    """Compute W x + b for each row x. Each sentence uses a selection of the F rows of W.

    With 127 levels, torch's int8 product gives identical results.

    Args:
        x: the inputs, between -1 and 1, (B·K, D).
        levels: the number of levels on each side of 0 to which x is rounded, float32.
        weight: the integer levels of W, (F, D).
        scale: the scale of each row of W, divided by `levels`, (F,).
        bias: b, (F,).
        rows: the indices of the selected rows of W for each sentence, padded, (B, W).
        counts: the number of selected rows for each sentence, without padding, (B,).
        out: receives the results, (B·K, W). Columns at padding receive −∞.
    """
    B, D = len(rows), x.shape[1]
    K = len(x) // B
    rounded = np.empty((K, D), np.int16)
    for b in range(B):
        own, count = out[b * K : b * K + K], counts[b]
        own[:, count:] = _f(-np.inf)
        for k in range(K):
            _round(x[b * K + k], levels, rounded[k])
        for j in range(count):
            f = rows[b, j]
            for k in range(K):
                own[k, j] = _f(_dot(rounded[k], weight[f])) * scale[f] + bias[f]


@compiled("contract")
def lstm(gates: Floats, added: Floats, rows: Integers, c: Floats, h_next: Floats, c_next: Floats) -> None:
    """Compute `lstm_` of nmt/search/packed/cells.py for the gates `gates + added[rows]`.

    Args:
        gates: the first summand of the gates, (N, 4H). This array is overwritten.
        added: a table in which each row of size 4H can be the second summand.
        rows: the index of the table's row that is added to each row of `gates`, (N,).
        c: the cell states, doubled as in `lstm_`, (N, H).
        h_next, c_next: receive the next states, (N, H).
    """
    N, H = c.shape
    for n in range(N):
        gate, other = gates[n], added[rows[n]]
        for j in range(4 * H):
            gate[j] = _sigmoid(gate[j] + other[j])
        i, f, g, o = gate[:H], gate[H : 2 * H], gate[2 * H : 3 * H], gate[3 * H :]
        # Each loop uses at most four arrays, because the compiler must prove that the arrays do not overlap.
        before, after, output = c[n], c_next[n], h_next[n]
        for j in range(H):
            after[j] = f[j] * before[j] + _f(2) * (i[j] * (_f(2) * g[j] - _f(1)))
        for j in range(H):
            output[j] = o[j] * (_f(2) * _sigmoid(after[j]) - _f(1))


@compiled("contract")
def lstm_sequence(
    projected: Floats, weight: Bytes, scale: Floats, bias: Floats, rows: Integers, counts: Integers, outputs: Floats
) -> None:
    """Compute all steps of an LSTM over one sentence, starting from zero states.

    Args:
        projected: W x + b of each step, (S, 4H).
        weight, scale, bias, rows, counts: the arguments with which `multiply` computes U h + b, with 127 levels.
        outputs: receives h of each step, (S, H).
    """
    S, H = outputs.shape
    gates, row = np.empty((1, 4 * H), np.float32), np.empty(1, np.int64)
    h, c = np.zeros((1, H), np.float32), np.zeros((1, H), np.float32)
    for t in range(S):
        row[0] = t
        multiply(h, _f(127), weight, scale, bias, rows, counts, gates)
        h = outputs[t : t + 1]
        lstm(gates, projected, row, c, h, c)


@compiled("contract")
def add_tanh(x: Floats, y: Floats) -> None:
    """Compute tanh(x + y) in place of x. Both are (N, H)."""
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
    lengths: Integers,
    weights: Floats,
    context: Floats,
) -> None:
    """Compute dot attention for K queries of each sentence. Queries and keys are multiplied as integers.

    Args:
        query: the queries, between -1 and 1, (B·K, A).
        keys, key_scale: the keys of each sentence, (B, S, A), and the scale of the keys, (B,).
        values, value_scale: the values of each sentence, (B, S, D), and the scale of the values, (B,).
        lengths: the length of each sentence, (B,).
        weights: receives the attention weights, zero at padding, (B·K, S).
        context: receives the weighted mean of the values, (B·K, D).
    """
    B, _, A = keys.shape
    K = len(query) // B
    rounded = np.empty(A, np.int16)
    for b in range(B):
        for n in range(b * K, b * K + K):
            _round(query[n], FINE_LEVELS, rounded)
            weight = weights[n]
            weight[:] = _f(0)
            for s in range(lengths[b]):
                weight[s] = _f(_dot(rounded, keys[b, s])) / FINE_LEVELS * key_scale[b]
            _softmax(weight[: lengths[b]])
            _average(weight, values[b], value_scale[b], lengths[b], context[n])


@compiled("contract")
def to_bytes(x: Floats, lengths: Integers, out: Bytes, scale: Floats) -> None:
    """Round the matrix (S, D) of each sentence to integers from -127 to 127.

    Args:
        x: the matrices, (B, S, D).
        lengths: the length of each sentence, (B,).
        out: receives the integers, zero at padding, (B, S, D).
        scale: receives the scale of each sentence, (B,).
    """
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
    """Compute the softmax of one row in place."""
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
    """Compute the log-softmax of each row of scores (N, W) in place.

    The sum leaves out any −∞ at the end of a row. The result therefore does not depend on the number of columns.
    """
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
def select_extensions(scores: Floats, ahead: Floats, ends: Floats, values: Floats, indices: Integers) -> None:
    """Select the best extensions of each sentence's hypotheses. See `select_extensions` in nmt/search/extensions.py.

    Args:
        scores: the scores of the candidates, (B, K, W), with EOS in column 0.
        ahead: the number to add to all scores of each hypothesis, (B, K).
        ends: receives the sums for EOS, (B, K).
        values: receives the largest sums for other tokens, in descending order, (B, count). Equal sums are ordered by
            index. If there are fewer than `count` sums, the remaining values are −∞.
        indices: receives the index of each value in the flattened (K, W) scores of the sentence, (B, count).
    """
    B, K, W = scores.shape
    last = values.shape[1] - 1
    for b in range(B):
        value, index = values[b], indices[b]
        value[:] = _f(-np.inf)
        index[:] = 0
        for k in range(K):
            row, more = scores[b, k], ahead[b, k]
            ends[b, k] = row[0] + more
            for start in range(1, W, _BLOCK):
                end = min(start + _BLOCK, W)
                if not _largest(row[start:end]) + more > value[last]:
                    continue
                for c in range(start, end):
                    if row[c] + more > value[last]:
                        _insert(value, index, row[c] + more, k * W + c)


@compiled()
def _insert(values: Floats, indices: Integers, value: Any, index: Any) -> None:
    """Insert a value into a list of values in descending order, and drop the last value of the list."""
    rank = len(values) - 1
    while rank > 0 and value > values[rank - 1]:
        values[rank], indices[rank] = values[rank - 1], indices[rank - 1]
        rank -= 1
    values[rank], indices[rank] = value, index


def compile_loops() -> None:
    """Compile all loops, or load compiled loops from the cache.

    Compilation takes some seconds, once per machine. Loading takes 0.1 s per process. Call this function before a fork,
    so that child processes share the compiled loops.
    """
    if not AVAILABLE:
        return
    wide, row, index, length = (
        np.zeros((1, 4), np.float32),
        np.zeros((1, 1), np.float32),
        np.zeros(1, np.int64),
        np.array([1]),
    )
    weight, numbers = np.zeros((4, 1), np.int8), np.ones(4, np.float32)
    rows, counts = np.arange(4)[None], np.array([4])
    multiply(row, FINE_LEVELS, weight, numbers, numbers, rows, counts, wide)
    lstm(wide, wide, index, row, row, row)
    lstm_sequence(wide, weight, numbers, numbers, rows, counts, row)
    add_tanh(row, row)
    values = np.zeros((1, 1, 1), np.int8)
    to_bytes(row[None], length, values, numbers)
    attend(row, values, numbers, values, numbers, length, row, row)
    log_softmax(wide)
    select_extensions(wide[None], row, row, row, index[None])
