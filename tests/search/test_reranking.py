"""Rerankers, compared with their formulas."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from nmt.search.options import SearchOptions
from nmt.search.reranking import CoveragePenalty, LengthNormalization, build_rerankers


@dataclass(frozen=True, kw_only=True)
class Found:
    """A finished hypothesis with given attention."""

    length: int = 1
    rows: tuple[tuple[float, ...], ...] = ()

    def tokens(self) -> list[int]:
        return [4] * (self.length - 1)

    def attention(self) -> Tensor:
        return torch.tensor(self.rows)


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 2.0])
def test_length_normalization(exponent: float) -> None:
    reranker = LengthNormalization(exponent)
    assert reranker.rescore(-6.0, Found(length=4)) == pytest.approx(-6 / 4**exponent)
    assert reranker.rescore(-6.0, Found(length=1)) == -6
    assert reranker.lower_bound(reranker.rescore(-6.0, Found(length=4)), 4) == pytest.approx(-6)
    assert reranker.tolerance(9) == 0
    assert not reranker.needs_attention


def test_coverage_penalty() -> None:
    reranker = CoveragePenalty(2.0)
    looked = Found(length=2, rows=((0.5, 0.2, 0.3), (0.7, 0.2, 0.1)))  # sums 1.2, 0.4, 0.4
    assert reranker.rescore(-1.0, looked) == pytest.approx(-1 + 2 * 2 * math.log(0.4))
    assert reranker.rescore(-1.0, Found(length=1, rows=((1.0, 0.0),))) == pytest.approx(
        -1 + 2 * math.log(2**-126), rel=1e-3
    )
    assert reranker.rescore(-1.0, Found(length=2, rows=((1.0, 0.0), (0.0, 1.0)))) == -1
    assert reranker.lower_bound(-3.0, 7) == -3
    assert reranker.tolerance(9) == 18
    assert reranker.needs_attention


def test_options_choose_the_rerankers() -> None:
    (only,) = build_rerankers(SearchOptions(length_penalty=0.5))
    assert isinstance(only, LengthNormalization)
    assert only.exponent == 0.5
    first, second = build_rerankers(SearchOptions(coverage_penalty=0.3))
    assert isinstance(first, LengthNormalization)  # the penalty is added to the normalized score
    assert isinstance(second, CoveragePenalty)
    assert second.weight == 0.3
