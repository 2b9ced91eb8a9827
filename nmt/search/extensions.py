"""Selecting the best extensions of a sentence's hypotheses from many scores, on any device."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.search.packed import kernels

# On a CPU torch.topk takes as long as twenty passes of numpy's argmax, which runs at the speed of memory.
MAX_PASSES = 16
NEVER = float("-inf")

Ids = NDArray[np.int64]
Scores = NDArray[np.float32]


def select_extensions(scores: Tensor, ahead: Scores, count: int) -> tuple[Scores, Scores, Ids]:
    """The extensions that a step chooses from, with log P relative to the best hypothesis of each sentence.

    Args:
        scores: log P of the next tokens, (B, K, W), EOS first. They are overwritten.
        ahead: log P of the hypotheses relative to the best of their sentence, (B, K).
        count: how many to return.

    Returns:
        Log P of the extensions with EOS, (B, K). Log P of the `count` best of the others, (B, count), best first, and
        their indices in the sentence's (K, W). If there are fewer, the rest is −∞ at arbitrary indices.
    """
    B, K = ahead.shape
    on_cpu = scores.device.type == "cpu" and count <= MAX_PASSES
    if on_cpu and kernels.AVAILABLE:
        ends = np.empty((B, K), np.float32)
        best = np.empty((B, count), np.float32)
        places = np.empty((B, count), np.int64)
        kernels.select_extensions(scores.numpy(), ahead, ends, best, places)
        return ends, best, places
    if K > 1:  # a single hypothesis is its sentence's best
        scores += torch.from_numpy(ahead).to(scores.device).view(B, K, 1)
    if on_cpu:
        totals = scores.numpy()
        ends = totals[:, :, 0].copy()
        totals[:, :, 0] = NEVER
        return ends, *_select_by_passes(totals.reshape(B, -1), count)
    ends = scores[:, :, 0].cpu().numpy().copy()
    scores[:, :, 0] = NEVER
    return ends, *_select_by_topk(scores.flatten(1), count)


def _select_by_passes(scores: Scores, count: int) -> tuple[Scores, Ids]:
    """Take the best one of each row (B, C), `count` times."""
    B, C = scores.shape
    values, columns = np.empty((count, B), np.float32), np.empty((count, B), np.int64)
    flat, starts = scores.reshape(-1), np.arange(0, B * C, C)
    for number in range(count):
        found = scores.argmax(axis=1)
        columns[number] = found
        found += starts
        values[number] = flat[found]
        flat[found] = NEVER
    return values.T, columns.T


def _select_by_topk(scores: Tensor, count: int) -> tuple[Scores, Ids]:
    values, columns = scores.topk(min(count, scores.size(1)))
    missing = ((0, 0), (0, count - values.size(1)))
    return (
        np.pad(values.cpu().numpy(), missing, constant_values=NEVER),
        np.pad(columns.cpu().numpy(), missing),
    )
