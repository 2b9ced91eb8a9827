"""The best extensions of each sentence's hypotheses, out of scores that may be large and stand on any device."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# `torch.topk` on a CPU takes as long as twenty passes of numpy's argmax, which a CPU's vector unit runs at the speed of memory.
PASSES = 16

Ids = NDArray[np.int64]
Scores = NDArray[np.float32]


def best_extensions(scores: Tensor, ahead: NDArray[np.float64], count: int) -> tuple[Scores, Scores, Ids]:
    """What a step chooses from, relative to the log P of each sentence's best hypothesis.

    Args:
        scores: log P of the next pieces, (B, K, V'), EOS first. They are overwritten.
        ahead: log P of the hypotheses relative to the best of their sentence, (B, K).
        count: how many.

    Returns:
        The extensions with EOS, (B, K); the `count` best of the others, (B, count), best first, and where they stand in the
        sentence's (K, V'). Where there are fewer, −∞ that stand anywhere.
    """
    if scores.size(1) > 1:  # one hypothesis is its sentence's best
        scores += torch.from_numpy(ahead.astype(np.float32)).to(scores.device).unsqueeze(-1)
    ends = scores[:, :, 0].cpu().numpy().copy()
    scores[:, :, 0] = float("-inf")
    return ends, *best(scores.flatten(1), count)


def best(scores: Tensor, count: int) -> tuple[Scores, Ids]:
    """The `count` greatest of each row of scores (B, C), best first, and their columns. The scores are overwritten."""
    if scores.device.type == "cpu" and count <= PASSES:
        return _best_by_passes(scores.numpy(), count)
    values, columns = scores.topk(min(count, scores.size(1)))
    missing = ((0, 0), (0, count - values.size(1)))
    return (
        np.pad(values.cpu().numpy(), missing, constant_values=float("-inf")),
        np.pad(columns.cpu().numpy(), missing),
    )


def _best_by_passes(scores: Scores, count: int) -> tuple[Scores, Ids]:
    """Takes the best one of each row, `count` times."""
    B, C = scores.shape
    values, columns = np.empty((count, B), np.float32), np.empty((count, B), np.int64)
    flat, starts = scores.reshape(-1), np.arange(0, B * C, C)
    for value, column in zip(values, columns, strict=True):
        scores.argmax(axis=1, out=column)
        found = starts + column
        value[:] = flat[found]
        flat[found] = float("-inf")
    return values.T, columns.T
