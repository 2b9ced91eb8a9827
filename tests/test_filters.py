import torch

from nmt.search.beam import Beam
from nmt.search.filters import LengthBounds, Never
from nmt.types import EOS

V = 6


def beam(length: int, sentences: list[int], width: int = 2) -> Beam:
    return Beam(
        sentences=torch.tensor(sentences),
        pieces=torch.full((len(sentences), width, 1 + length), 5),
        log_probabilities=torch.zeros(len(sentences), width, dtype=torch.float64),
        attention=None,
    )


def allowed(scores: torch.Tensor) -> list[list[list[int]]]:
    return [[row.isfinite().nonzero().flatten().tolist() for row in sentence] for sentence in scores]


def test_never_bans_pieces_and_leaves_the_rest() -> None:
    scores = torch.randn(2, 3, V)
    before = scores.clone()
    Never([0, 2]).apply(scores, beam(1, [0, 1], 3))
    assert allowed(scores) == [[[1, 3, 4, 5]] * 3] * 2
    assert scores[..., [1, 3, 4, 5]].equal(before[..., [1, 3, 4, 5]])


def test_length_bounds_are_each_sentence_s_own() -> None:
    bounds = LengthBounds(2, torch.tensor([2, 9, 3]))
    everything, without_end = list(range(V)), [piece for piece in range(V) if piece != EOS]
    expected = {
        1: [without_end, without_end],  # too short
        2: [everything, [EOS]],  # of sentences 2 and 0, the latter is full
        3: [[EOS], [EOS]],
        4: [[EOS], [EOS]],
    }
    for length, rows in expected.items():
        scores = torch.randn(2, 2, V)
        before = scores.clone()
        bounds.apply(scores, beam(length, [2, 0]))
        assert allowed(scores) == [[row, row] for row in rows]
        assert scores[scores.isfinite()].equal(before[scores.isfinite()])
