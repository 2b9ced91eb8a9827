"""The one decoding loop: score, filter, advance, until every sentence is done."""

from typing import Any

import torch
from torch import Tensor

from nmt.errors import ModelError
from nmt.search.beam import Beam, advance
from nmt.search.filters import Filter, LengthBounds, Never
from nmt.search.finished import Finished, Hypothesis
from nmt.search.options import SearchOptions
from nmt.search.scorer import Scorer
from nmt.types import BOS, PAD, UNK

# Matrix products round a row differently when its batch has another shape, so log P of one hypothesis varies with the
# neighbours and the padding of its sentence: by 2e-6 on average and 1e-5 at most in 500 sentences of a trained model.
# That can turn a close decision around and with it a translation. Rounding scores does not help: it only moves the
# points where a hair decides. So each sentence remembers its closest decision, and one closer than this many nats, above
# the noise, has the sentence searched again alone, in the one shape that does not depend on others.
CLOSE = 2e-5


@torch.inference_mode()
def decode(scorer: Scorer[Any], source: Tensor, lengths: Tensor, options: SearchOptions) -> list[list[Hypothesis]]:
    """The n best translations of each sentence, best first, the same whatever else is in the batch.

    Args:
        scorer: a model or an ensemble.
        source: ids (B, S), each sentence ending in EOS, on the scorer's device.
        lengths: (B,), EOS counted.
        options: of the search.

    Raises:
        ModelError: the scorer's probabilities are not numbers.
    """
    results, margins = search(scorer, source[:, : int(lengths.max())], lengths, options)
    if len(results) > 1:
        for sentence in [index for index, margin in enumerate(margins) if margin < CLOSE]:
            alone = slice(sentence, sentence + 1)
            (results[sentence],), _ = search(scorer, source[alone, : int(lengths[sentence])], lengths[alone], options)
    return results


def search(
    scorer: Scorer[Any], source: Tensor, lengths: Tensor, options: SearchOptions
) -> tuple[list[list[Hypothesis]], list[float]]:
    """One batched search: as `decode`, with the smallest margin by which each sentence's search was decided."""
    limits = torch.tensor([options.max_length(length) for length in lengths.tolist()], device=source.device)
    filters: list[Filter] = [Never([PAD, UNK, BOS]), LengthBounds(options.min_length, limits)]
    finished = Finished(lengths.tolist(), options)
    margins = torch.full((source.size(0),), float("inf"), device=source.device)
    state = scorer.start(source, lengths)
    beam = Beam.start(source, options.attention)
    while len(beam.sentences):
        prediction, state = scorer.step(beam.last, state)
        B, K = beam.log_probabilities.shape
        scores = prediction.log_probabilities.view(B, K, -1)
        for rule in filters:
            rule.apply(scores, beam)
        step = advance(beam, scores, prediction.attention, options.beam)
        margins[beam.sentences] = torch.minimum(margins[beam.sentences], step.margins)
        finished.add(step.ended)
        stay = torch.tensor(finished.unsettled(step.beam), dtype=torch.int64, device=source.device)
        rows = (stay.unsqueeze(1) * K + step.parents[stay]).flatten()
        beam, state = step.beam.select(stay), state.select(rows, stay if len(stay) < B else None)
    if not all(finished.hypotheses):
        raise ModelError("the model's probabilities are not numbers: its training diverged; use another checkpoint")
    closest = [min(margin, finished.margin(sentence)) for sentence, margin in enumerate(margins.tolist())]
    return [finished.best(sentence) for sentence in range(len(closest))], closest
