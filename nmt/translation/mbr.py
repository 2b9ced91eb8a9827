"""Minimum Bayes risk decoding. See `nmt.search.options.MbrOptions`.

The samples represent the translations that the model finds probable. A good translation is similar to most of them,
even if it is not the most probable one. The similarity to all samples of a sentence is computed at once, from the mean
counts of their n-grams (Vamvas & Sennrich 2024), which takes much less time than a comparison of all pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nmt.errors import MachineError
from nmt.translation.request import Segment
from nmt.translation.search import Found, SegmentSearch


@dataclass(frozen=True, kw_only=True)
class RankedHypothesis:
    """A hypothesis whose score is its similarity to the samples. See `nmt.translation.search.Found`."""

    ids: list[int]
    score: float
    attention: list[list[float]] | None
    token_log_probabilities: list[float] | None


def rank_by_risk(
    search: SegmentSearch,
    segments: Sequence[Segment],
    found: Sequence[Sequence[Found]],
    write: Callable[[Segment, Sequence[int]], str],
) -> list[Sequence[Found]]:
    """Draw samples, and choose among hypotheses and samples. Segments without `mbr` keep their hypotheses.

    Args:
        search: the search that draws the samples.
        segments: the segments.
        found: the hypotheses that a beam search found for each segment.
        write: returns the text of a hypothesis.

    Raises:
        MachineError: the package fastchrf is not installed.
    """
    places = [place for place, segment in enumerate(segments) if segment.mbr]
    sampled = [replace(segments[place], options=segments[place].mbr.sampling) for place in places]  # type: ignore[union-attr]
    results = list(found)
    for place, samples in zip(places, search.search(sampled), strict=True):
        results[place] = _rank(segments[place], found[place], samples, write)
    return results


def _rank(
    segment: Segment, found: Sequence[Found], samples: Sequence[Found], write: Callable[[Segment, Sequence[int]], str]
) -> list[Found]:
    """Return the hypotheses of a segment with the greatest similarity to the samples, the best first."""
    try:
        from fastchrf import aggregate_chrf
    except ImportError as error:
        raise MachineError("minimum Bayes risk needs the extra: pip install 'nmt[mbr]'") from error
    assert segment.mbr
    references = [write(segment, sample.ids) for sample in samples]
    candidates: dict[str, Found] = {}  # the first of several hypotheses with the same text is the most probable one
    for hypothesis in [*found, *samples]:
        candidates.setdefault(write(segment, hypothesis.ids), hypothesis)
    [similarities] = aggregate_chrf([list(candidates)], [references])
    ranked = [
        RankedHypothesis(
            ids=hypothesis.ids,
            score=similarity,
            attention=hypothesis.attention,
            token_log_probabilities=hypothesis.token_log_probabilities,
        )
        for hypothesis, similarity in zip(candidates.values(), similarities, strict=True)
    ]
    ranked.sort(key=lambda hypothesis: -hypothesis.score)
    return list(ranked[: segment.mbr.nbest])
