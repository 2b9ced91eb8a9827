import numpy as np
import torch

from nmt.search.beam import Beam
from nmt.search.constraints import LengthBounds, NoTags

V = 6


def beam(length: int, sentences: list[int], width: int = 2) -> Beam:
    rows = np.arange(len(sentences) * width)
    log_probabilities = np.zeros((len(sentences), width))
    return Beam(
        sentences=np.array(sentences), log_probabilities=log_probabilities, last=rows, length=length, origins=rows
    )


def allowed(scores: torch.Tensor) -> list[list[list[int]]]:
    return [[row.isfinite().nonzero().flatten().tolist() for row in sentence] for sentence in scores]


def test_length_bounds_are_each_sentence_s_own() -> None:
    bounds = LengthBounds(2, np.array([2, 9, 3]))
    everything, without_end = list(range(V)), list(range(1, V))
    expected = {
        1: [without_end, without_end],  # too short
        2: [everything, [0]],  # of sentences 2 and 0, the latter is full
        3: [[0], [0]],
        4: [[0], [0]],
    }
    for length, rows in expected.items():
        scores = torch.randn(2, 2, V)
        before = scores.clone()
        bounds.apply(scores, beam(length, [2, 0]))
        assert allowed(scores) == [[row, row] for row in rows]
        assert scores[scores.isfinite()].equal(before[scores.isfinite()])


def test_the_last_pieces_are_tags() -> None:
    scores = torch.randn(2, 2, V)
    before = scores.clone()
    NoTags(2).apply(scores, beam(3, [0, 1]))
    assert allowed(scores) == [[list(range(V - 2))] * 2] * 2
    assert scores[..., : V - 2].equal(before[..., : V - 2])
