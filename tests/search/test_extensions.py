import numpy as np
import pytest
import torch

from nmt.search import extensions as best
from nmt.search.extensions import NEVER, select_extensions


@pytest.mark.parametrize("passes", [0, best.MAX_PASSES])
@pytest.mark.parametrize("hypotheses", [1, 3])
@pytest.mark.parametrize("sentences", [1, 4])
def test_best_extensions_without_finished_hypotheses(
    sentences: int, hypotheses: int, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best, "MAX_PASSES", passes)
    scores = torch.randn(sentences, hypotheses, 50, generator=torch.Generator().manual_seed(1))
    ahead = np.tile(-0.3 * np.arange(hypotheses, dtype=np.float32), (sentences, 1))
    totals = scores.numpy() + ahead[:, :, None]
    ends, others, indices = select_extensions(scores.clone(), ahead, 6)
    assert ends == pytest.approx(totals[:, :, 0])
    totals[:, :, 0] = NEVER
    assert others == pytest.approx(-np.sort(-totals.reshape(sentences, -1))[:, :6])
    assert others == pytest.approx(np.take_along_axis(totals.reshape(sentences, -1), indices, axis=1))


@pytest.mark.parametrize("passes", [0, best.MAX_PASSES])
def test_missing_extensions_are_impossible(passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best, "MAX_PASSES", passes)
    _, others, indices = select_extensions(torch.tensor([[[-1.0, -2.0, -1.5]]]), np.zeros((1, 1), np.float32), 5)
    assert others.tolist() == [[-1.5, -2.0, NEVER, NEVER, NEVER]]
    assert indices[0, :2].tolist() == [2, 1]
    assert set(indices[0].tolist()) <= {0, 1, 2}
