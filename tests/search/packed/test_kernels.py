"""The compiled loops, compared with numpy in float64 and in integers, and with torch where bits must be equal."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from int8 import needs_torch_int8
from numpy.typing import NDArray

from nmt.search.packed import compilation, kernels
from nmt.system.torch_private import multiply_int8, pack_int8

pytestmark = pytest.mark.skipif(not kernels.AVAILABLE, reason="Numba is not installed")
FLOAT32: dict[str, Any] = {"rtol": 2e-6, "atol": 1e-6}


def floats(*shape: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def small(*shape: int) -> NDArray[np.float32]:
    return (np.abs(floats(*shape)) / 1e4).astype(np.float32)


def numbers(*shape: int, seed: int = 1) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-127, 128, shape, dtype=np.int8)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def empty(*shape: int) -> NDArray[np.float32]:
    return np.full(shape, np.nan, np.float32)


@pytest.mark.parametrize("size", [1, 16, 37])
def test_lstm_equals_the_equations(size: int) -> None:
    gates, table, c, rows = (
        floats(3, 4 * size),
        floats(5, 4 * size, seed=2),
        floats(3, size, seed=3),
        np.array([4, 0, 4]),
    )
    # The candidate's gate and the cell are doubled.
    i, f, g, o = np.split((gates + table[rows]).astype(np.float64), 4, axis=1)
    expected = sigmoid(f) * c / 2 + sigmoid(i) * np.tanh(g / 2)
    h_next, c_next = empty(3, size), empty(3, size)
    kernels.lstm(gates, table, rows, c, h_next, c_next)
    np.testing.assert_allclose(c_next / 2, expected, **FLOAT32)
    np.testing.assert_allclose(h_next, sigmoid(o) * np.tanh(expected), **FLOAT32)


def test_gates_of_any_size_saturate() -> None:
    gates = np.array([[1e30, -1e30, 500, -500]], np.float32)
    h_next, c_next = empty(1, 1), empty(1, 1)
    kernels.lstm(
        gates, np.zeros((1, 4), np.float32), np.zeros(1, np.int64), np.ones((1, 1), np.float32), h_next, c_next
    )
    assert c_next == pytest.approx(2)
    assert h_next == pytest.approx(0)


def test_tanh_of_a_sum() -> None:
    x, y = 5 * floats(4, 19), 5 * floats(4, 19, seed=2)
    expected = np.tanh(x.astype(np.float64) + y)
    kernels.add_tanh(x, y)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-6)


@needs_torch_int8
@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([3, 32, 70]), st.integers(0, 999))
def test_products_equal_torch_exactly(sentences: int, beam: int, inputs: int, seed: int) -> None:
    outputs, random = 24, np.random.default_rng(seed)
    weight, bias = numbers(outputs, inputs, seed=seed), floats(outputs, seed=seed)
    scale = np.abs(floats(outputs, seed=seed + 1))
    # Half of them are where rounding turns, or next to it.
    x = random.uniform(-1, 1, (sentences * beam, inputs)).astype(np.float32)
    turning = ((random.integers(-127, 127, x.shape) + 0.5) / 127).astype(np.float32)
    x = np.where(random.random(x.shape) < 0.5, np.nextafter(turning, random.choice([-1, 0, 1], x.shape)), x)
    x = x.astype(np.float32)
    selected = np.stack([random.permutation(outputs)[:9] for _ in range(sentences)])
    counts = random.integers(0, 10, sentences)
    out = empty(sentences * beam, 9)
    kernels.multiply(x, np.float32(127), weight, scale * np.float32(1 / 127), bias, selected, counts, out)
    packed = pack_int8(torch.from_numpy(weight), torch.from_numpy(scale), torch.from_numpy(bias))
    torchs = multiply_int8(torch.from_numpy(x), packed).numpy()
    for row, found in enumerate(out):
        own = selected[row // beam, : counts[row // beam]]
        np.testing.assert_array_equal(found[: len(own)], torchs[row, own])
        assert (found[len(own) :] == -np.inf).all()


def test_sequence_equals_repeated_steps() -> None:
    S, H = 5, 6
    projected, weight, scale, bias = floats(S, 4 * H), numbers(4 * H, H), small(4 * H), floats(4 * H)
    h, c = np.zeros((1, H)), np.zeros((1, H))
    outputs = empty(S, H)
    kernels.lstm_sequence(projected, weight, scale, bias, np.arange(4 * H)[None], np.array([4 * H]), outputs)
    for step in range(S):
        gates = projected[step] + np.rint(127 * h) @ weight.astype(np.float64).T * scale + bias
        i, f, g, o = np.split(gates, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g / 2)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(outputs[step], h[0], rtol=0, atol=2e-3)  # a level more or less here and there
        h = outputs[step : step + 1].astype(np.float64)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 3))
def test_attention_equals_softmax_and_mean(lengths: list[int], beam: int) -> None:
    B, S, A, D = len(lengths), 11, 40, 24
    query, keys, values = np.tanh(floats(B * beam, A)), numbers(B, S, A), numbers(B, S, D, seed=2)
    key_scale, value_scale = small(B), np.abs(floats(B, seed=2))
    weights, context = empty(B * beam, S), empty(B * beam, D)
    kernels.attend(query, keys, key_scale, values, value_scale, np.array(lengths), weights, context)
    for row, (found, mean) in enumerate(zip(weights, context, strict=True)):
        b = row // beam
        scores = (
            keys[b, : lengths[b]].astype(np.int64) @ np.rint(2047 * query[row]).astype(np.int64) / 2047 * key_scale[b]
        )
        expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        np.testing.assert_allclose(found[: lengths[b]], expected, rtol=1e-5, atol=1e-6)
        assert (found[lengths[b] :] == 0).all()
        average = expected @ values[b, : lengths[b]].astype(np.float64) * value_scale[b]
        np.testing.assert_allclose(mean, average, rtol=1e-4, atol=1e-3)


def test_attention_of_a_sentence_has_the_same_bits_in_every_batch() -> None:
    query, keys, values = np.tanh(floats(6, 33)), numbers(3, 9, 33), numbers(3, 9, 17)
    scales, lengths = np.abs(floats(3)), np.array([9, 4, 6])
    weights, context = empty(6, 9), empty(6, 17)
    kernels.attend(query, keys, scales, values, scales, lengths, weights, context)
    alone, own = empty(1, 4), empty(1, 17)
    one = slice(1, 2)
    kernels.attend(
        query[3:4], keys[one, :4].copy(), scales[one], values[one, :4].copy(), scales[one], lengths[one], alone, own
    )
    np.testing.assert_array_equal(weights[3, :4], alone[0])
    np.testing.assert_array_equal(context[3], own[0])


def test_log_softmax_equals_float64() -> None:
    scores = 20 * floats(6, 150)
    scores[2:, 100:] = -np.inf
    exact = torch.from_numpy(scores).double().log_softmax(dim=-1).numpy()
    kernels.log_softmax(scores)
    np.testing.assert_allclose(scores, exact, rtol=0, atol=1e-5)
    assert (scores[2:, 100:] == -np.inf).all()


@pytest.mark.parametrize("width", [1, 2, 70])
def test_log_softmax_of_a_single_possible_token_is_certain(width: int) -> None:
    scores = np.full((2, width), -np.inf, np.float32)
    scores[0, 0] = -3
    kernels.log_softmax(scores)
    assert np.isnan(scores[1, 0])  # a row without a possible token is not a distribution, and search must notice
    assert scores[0].tolist() == [0] + [-np.inf] * (width - 1)


def test_forbidden_token_does_not_count_in_the_sum() -> None:
    scores = np.array([[1, -np.inf, 2, -np.inf]], np.float32)
    kernels.log_softmax(scores)
    np.testing.assert_allclose(np.exp(scores), [[1 / (1 + np.e), 0, np.e / (1 + np.e), 0]], rtol=1e-6)


def test_filling_a_row_does_not_change_its_log_softmax() -> None:
    short = 5 * floats(1, 83)
    for width in (84, 90, 200):
        long = np.full((2, width), -np.inf, np.float32)
        long[:, :83] = short
        alone = short.copy()
        kernels.log_softmax(long)
        kernels.log_softmax(alone)
        np.testing.assert_array_equal(long[1, :83], alone[0])


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 200), st.integers(1, 7), st.integers(0, 999))
def test_best_scores_equal_a_stable_sort(sentences: int, beam: int, columns: int, count: int, seed: int) -> None:
    # Few different values, so that many are equal; some are impossible.
    random = np.random.default_rng(seed)
    scores = random.integers(-5, 3, (sentences, beam, columns)).astype(np.float32)
    scores[scores == -5] = -np.inf
    ahead = random.integers(-2, 1, (sentences, beam)).astype(np.float32)
    ends, values, indices = empty(sentences, beam), empty(sentences, count), np.zeros((sentences, count), np.int64)
    kernels.select_extensions(scores, ahead, ends, values, indices)
    totals = scores + ahead[:, :, None]
    np.testing.assert_array_equal(ends, totals[:, :, 0])
    totals[:, :, 0] = -np.inf
    totals = totals.reshape(sentences, -1)
    expected = np.argsort(-totals, axis=1, kind="stable")[:, :count]
    best = np.take_along_axis(totals, expected, axis=1)
    found = best.shape[1]
    np.testing.assert_array_equal(values[:, :found], best)
    np.testing.assert_array_equal(np.where(best > -np.inf, indices[:, :found], expected), expected)
    assert (values[:, found:] == -np.inf).all()


def test_sentences_become_bytes() -> None:
    x, lengths = floats(3, 5, 18), np.array([5, 2, 1])
    x[2, 0] = 0
    out, scale = np.full((3, 5, 18), 99, np.int8), empty(3)
    kernels.to_bytes(x, lengths, out, scale)
    for sentence, length in enumerate(lengths):
        own = x[sentence, :length]
        assert (out[sentence, length:] == 0).all()
        np.testing.assert_allclose(out[sentence, :length] * scale[sentence], own, rtol=0, atol=0.51 * scale[sentence])
        assert scale[sentence] == pytest.approx(np.abs(own).max() / 127)


def test_all_loops_can_be_prepared() -> None:
    kernels.compile_loops()
    loops: tuple[Any, ...] = (
        kernels.lstm,
        kernels.lstm_sequence,
        kernels.multiply,
        kernels.attend,
        kernels.log_softmax,
        kernels.select_extensions,
        kernels.to_bytes,
    )
    assert all(loop.signatures for loop in loops)


def test_without_numba_functions_are_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "AVAILABLE", False)
    monkeypatch.setattr(compilation, "AVAILABLE", False)
    assert compilation.compiled("contract")(sigmoid) is sigmoid
    kernels.compile_loops()


def test_without_a_writable_cache_a_loop_is_compiled_in_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.caching import CacheImpl

    def refuse(*_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(CacheImpl, "__init__", refuse)

    @compilation.compiled()
    def double(x: int) -> int:
        return 2 * x

    assert double(4) == 8
    assert not double.stats.cache_path  # type: ignore[attr-defined]
