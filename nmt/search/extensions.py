"""A function that selects the best extensions of the hypotheses of each sentence, on any device."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.batch import Integers

# On a CPU, torch.topk takes as long as twenty calls of numpy's argmax. Only the speed of the memory limits argmax.
MAX_PASSES = 16
NEVER = float("-inf")

Scores = NDArray[np.float32]


def select_extensions(scores: Tensor, ahead: Scores, count: int) -> tuple[Scores, Scores, Integers]:
    """Select all extensions by EOS, and for each sentence the `count` best extensions by other tokens.

    Args:
        scores: log P of each candidate as the next token, (B, K, W), with EOS in column 0. The tensor is overwritten.
        ahead: log P of each hypothesis minus log P of the best hypothesis of the same sentence, (B, K).
        count: the number of extensions to select for each sentence. Extensions by EOS are not counted.

    Returns:
        Three arrays. As in `ahead`, log P of the best hypothesis of the sentence is subtracted from each log P.

        - log P of the extensions by EOS, (B, K)
        - log P of the best extensions by other tokens, best first, (B, count)
        - the index of each of these best extensions in the flattened (K, W) scores of the sentence, (B, count)

        If a sentence has fewer extensions, the remaining columns have log P = −∞ and arbitrary indices.
    """
    B, K = ahead.shape
    on_cpu = scores.device.type == "cpu" and count <= MAX_PASSES
    if K > 1:  # if K = 1, each hypothesis is the best of its sentence, and `ahead` is 0
        scores += torch.from_numpy(ahead).to(scores.device).view(B, K, 1)
    if on_cpu:
        totals = scores.numpy()
        ends = totals[:, :, 0].copy()
        totals[:, :, 0] = NEVER
        return ends, *_select_by_passes(totals.reshape(B, -1), count)
    ends = scores[:, :, 0].cpu().numpy().copy()
    scores[:, :, 0] = NEVER
    flat = scores.flatten(1)
    values, columns = flat.topk(min(count, flat.size(1)))
    missing = ((0, 0), (0, count - values.size(1)))
    return (
        ends,
        np.pad(values.cpu().numpy(), missing, constant_values=NEVER),
        np.pad(columns.cpu().numpy(), missing),
    )


def _select_by_passes(scores: Scores, count: int) -> tuple[Scores, Integers]:
    """Find the `count` largest scores of each row (B, columns) by repeated argmax. Return the scores and columns."""
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
