"""Sampling, which draws translations at random from the model's distribution.

Back-translation, for example, uses sampled translations (Edunov et al. 2018).

Ancestral sampling draws each token from P(token | previous tokens). The Gumbel-max trick draws from a distribution by
choosing the best of randomly perturbed scores (Gumbel 1954; Maddison et al. 2014, section 2). If the G_j are drawn from
the standard Gumbel distribution and T is the temperature, then

    argmax_j (log P_j + T · G_j)  has the distribution  P^(1/T) / Σ P^(1/T).

Sampling therefore uses the decoding loop of beam search. As in beam search, a sentence with a close decision is decoded
again alone (`decode`). One in tens of thousands of draws is such a decision. The usual alternative is to compare a
uniform random number with cumulative probabilities. Close decisions would then be far more frequent, because the
cumulative probabilities of thousands of improbable tokens are nearly equal.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.batch import Integers
from nmt.search.beam import Beam, BeamStep, Ended, Floats
from nmt.search.extensions import NEVER, Scores
from nmt.search.finished import Hypothesis
from nmt.search.loop import Search, decode
from nmt.search.options import SampleOptions
from nmt.search.philox import Key, derive_key, draw_uniform
from nmt.search.sentence import AnySentence


def sample(
    search: Search[AnySentence], sentences: Sequence[AnySentence], options: SampleOptions
) -> list[list[Hypothesis]]:
    """Draw `options.samples` translations of each sentence at random.

    A sample depends only on the seed, the index of the sample, the ids of the sentence and the model. A sentence
    therefore has the same samples in every batch. Its first sample does not depend on the number of samples.

    See `decode` for the other arguments and the errors.
    """
    N = options.samples
    repeated = [sentence for sentence in sentences for _ in range(N)]
    keys = [derive_key(options.seed, index % N, sentence.source) for index, sentence in enumerate(repeated)]
    decoded = decode(search, repeated, options.within, GumbelSampling(keys, options))
    drawn = [hypothesis for [hypothesis] in decoded]
    return [drawn[first : first + N] for first in range(0, len(drawn), N)]


class GumbelSampling:
    """The decoding strategy that extends each hypothesis by a random token. Each sentence has one hypothesis.

    Args:
        keys: the key of each sentence's random numbers.
        options: the options of sampling. This class reads the temperature and `top_k`.
    """

    needs_attention = False

    def __init__(self, keys: Sequence[Key], options: SampleOptions) -> None:
        self.keys, self.options = keys, options
        self._keys = np.array(keys, np.uint64).reshape(-1, 2)

    def restart(self, sentence: int) -> "GumbelSampling":
        return GumbelSampling(self.keys[sentence : sentence + 1], self.options)

    def extend(
        self, beam: Beam, scores: Tensor, candidates: Integers, attention: Tensor | None, *, margins: bool
    ) -> BeamStep:
        log_p: Scores = scores[:, 0].cpu().numpy()  # (B, W)
        own, rows = candidates[beam.sentences], np.arange(len(log_p))
        uniform = draw_uniform(self._keys[beam.sentences], beam.length, own)
        perturbed = log_p - self.options.temperature * np.log(-np.log(uniform))
        gaps = _forbid_all_but_best(perturbed, log_p, self.options.top_k)
        columns = perturbed.argmax(axis=1)
        if margins:
            # Compute the difference between the best and the second best. This overwrites `perturbed`, which is not
            # used below.
            best = perturbed[rows, columns]
            perturbed[rows, columns] = NEVER
            np.fmin(gaps, best - perturbed.max(axis=1), out=gaps)
        totals = beam.log_probabilities[:, 0] + log_p[rows, columns]
        ends = np.flatnonzero(columns == 0)
        ended = Ended(beam=beam, rows=ends, log_probabilities=totals[ends], attention=attention)
        totals[ends] = NEVER  # a hypothesis that has ended is not extended
        return BeamStep(
            beam=Beam(
                sentences=beam.sentences,
                log_probabilities=totals[:, None],
                last=own[rows, columns],
                length=beam.length + 1,
                before=beam,
                origins=rows,
                attention=attention,
            ),
            ended=ended if len(ends) else None,
            margins=gaps.astype(np.float32) if margins else None,
        )


def _forbid_all_but_best(perturbed: Floats, log_p: Scores, count: int | None) -> NDArray[np.float64]:
    """Allow only the `count` most probable candidates in each row. Set the others to −∞ in `perturbed` (B, W).

    For each row (B,), return the difference in log P between the least probable allowed candidate and the most probable
    forbidden candidate.
    """
    outside = log_p.shape[1] - (count or log_p.shape[1])
    if outside <= 0:
        return np.full(len(log_p), np.inf)
    ranked = np.partition(log_p, (outside - 1, outside), axis=1).astype(np.float64)
    first_out, last_in = ranked[:, outside - 1], ranked[:, outside]
    perturbed[log_p < last_in[:, None]] = NEVER
    gaps: Floats = last_in - first_out
    return gaps
