"""Forced scoring: log P of given translations. The decoder receives the tokens of a translation one after another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nmt.data.batch import pad
from nmt.model.candidates import Candidates
from nmt.search.loop import Search
from nmt.search.sentence import AnySentence
from nmt.types import BOS, EOS


@torch.inference_mode()
def score_targets(
    search: Search[AnySentence], sentences: Sequence[AnySentence], targets: Sequence[Sequence[int]]
) -> list[list[float]]:
    """Compute log P of each token of given translations.

    The probabilities are those of a search with the same shortlist. The tokens of a translation are candidates, even if
    the shortlist does not contain them. Other constraints of the search are ignored.

    Args:
        search: the scorer and the shortlist.
        sentences: the source sentences.
        targets: the ids of the translation of each sentence, without EOS.

    Returns:
        For each sentence, log P of each token of its translation and of EOS. Tokens that no search can produce (PAD,
        UNK and BOS) have log P = −∞.
    """
    scorer: Any = search.scorer
    source, lengths = (ids.to(scorer.device) for ids in pad([[*sentence.source] for sentence in sentences]))
    if search.shortlist:
        candidates = search.shortlist.candidates(source, lengths, also=targets)
    else:
        candidates = Candidates.all(scorer.target_size, scorer.device)
    expected, target_lengths = (ids.to(scorer.device) for ids in pad([[*ids, EOS] for ids in targets]))  # (B, T)
    columns = candidates.columns(expected)  # W for tokens that are no candidates
    previous = torch.full_like(expected[:, 0], BOS)
    state, steps = scorer.start(source, lengths, candidates), []
    for tokens, column in zip(expected.unbind(dim=1), columns.unbind(dim=1), strict=True):
        prediction, state = scorer.step(previous, state)
        scores = prediction.log_probabilities  # (B, W)
        found = column.clamp_max(scores.size(1) - 1).unsqueeze(1)
        log_p = scores.gather(1, found).squeeze(1)
        steps.append(log_p.masked_fill(column == scores.size(1), -torch.inf))
        previous = tokens
    rows = torch.stack(steps, dim=1).cpu().numpy().astype(np.float64)
    return [row[:length].tolist() for row, length in zip(rows, target_lengths.tolist(), strict=True)]
