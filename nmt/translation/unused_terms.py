"""Terms that a model reads but does not use. Their segments are searched again with constraints."""

from collections.abc import Sequence
from dataclasses import replace

from nmt.tokenizers.base import Tokenizers
from nmt.translation.output import write_text
from nmt.translation.request import Segment
from nmt.translation.search import Found, SegmentSearch
from nmt.translation.terms import find_uses


def force_unused_terms(
    search: SegmentSearch,
    segments: Sequence[Segment],
    found: Sequence[Sequence[Found]],
    tokenizers: Tokenizers,
    *,
    spaces: bool,
) -> list[Sequence[Found]]:
    """Search segments again whose best translation lacks terms that the model reads. Return all hypotheses.

    Args:
        search: the search.
        segments: the segments.
        found: the hypotheses of each segment.
        tokenizers: the tokenizers of the model.
        spaces: whether the target language writes spaces between words.
    """
    results, again = list(found), dict[int, Segment]()
    for index, segment in enumerate(segments):
        if segment.read_terms and found[index]:
            text = write_text(tokenizers, segment, found[index][0].ids)
            terms = [term for term, _ in segment.read_terms]
            uses = find_uses(terms, text, spaces=spaces, capitals=bool(segment.capitals), inflected=True)
            unused = [ids for use, (_, ids) in zip(uses, segment.read_terms, strict=True) if not use.used]
            if unused:
                again[index] = replace(segment, terms=(*segment.terms, *unused))
    for index, hypotheses in zip(again, search.search(list(again.values())) if again else (), strict=True):
        results[index] = hypotheses
    return results
