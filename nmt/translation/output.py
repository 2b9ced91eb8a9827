"""The text of hypotheses."""

from collections.abc import Sequence

from nmt.tokenizers.base import Spans, Tokenizers
from nmt.tokenizers.case import write_capitals
from nmt.translation.request import Segment, Translation
from nmt.translation.search import Found
from nmt.translation.terms import find_uses


def write_text(tokenizers: Tokenizers, segment: Segment, ids: Sequence[int]) -> str:
    """Return the text of a hypothesis. `ids` are its tokens."""
    text = replace_line_breaks(tokenizers.target.decode(ids))
    return write_capitals(text, segment.capitals) if segment.capitals else text


def build_translation(
    tokenizers: Tokenizers,
    segment: Segment,
    found: Found,
    *,
    searched_again: str | None = None,
    fault: str | None = None,
    spaces: bool = True,
) -> Translation:
    """Build the translation of a segment from a hypothesis.

    Args:
        tokenizers: the tokenizers of the model.
        segment: the segment.
        found: the hypothesis.
        searched_again: the fault for which the segment was searched again, if any.
        fault: the fault that is left, if any.
        spaces: whether the target language writes spaces between words.
    """
    attention: list[list[float]] = []
    if found.attention is not None and segment.ids:
        attention = [row[: len(segment.ids)] for row in found.attention[:-1]]  # without EOS of source and target
    text = write_text(tokenizers, segment, found.ids)
    terms, capitals = segment.found_terms, bool(segment.capitals)
    return Translation(
        text=text,
        score=found.score,
        source_tokens=tokenizers.source.tokens(segment.ids),
        tokens=tokenizers.target.tokens(found.ids),
        token_log_probabilities=(found.token_log_probabilities or [])[:-1],
        alignment=[row.index(max(row)) for row in attention],
        attention=attention,
        spans=find_spans(tokenizers, segment, found.ids) if found.attention is not None else [],
        searched_again=(searched_again,) if searched_again else (),
        faults=(fault,) if fault else (),
        terms=find_uses(terms, text, spaces=spaces, capitals=capitals, inflected=bool(segment.read_terms)),
    )


def find_spans(tokenizers: Tokenizers, segment: Segment, ids: Sequence[int]) -> Spans:
    """Return the start and the end of the characters of each token in the text of a hypothesis."""
    spans = tokenizers.target.decode_spans(ids)
    if not segment.capitals:
        return spans
    text, places, place = replace_line_breaks(tokenizers.target.decode(ids)), dict[int, int](), 0
    total = len(write_capitals(text, segment.capitals))
    for start, end in spans:  # a letter can become two capitals
        places.setdefault(start, place)
        place = places[start] + len(write_capitals(text[start:end], segment.capitals))
        places[end] = place
    return [(min(places[start], total), min(places[end], total)) for start, end in spans]


def keep_text(tokenizers: Tokenizers, segment: Segment) -> Translation:
    """Build the translation of a segment that stays as it is."""
    source_tokens = tokenizers.source.tokens(segment.ids)
    return Translation(text=segment.verbatim or "", score=0.0, source_tokens=source_tokens, tokens=[], alignment=[])


def replace_line_breaks(text: str) -> str:
    """Replace each line break by a space. A translation can contain line breaks if the vocabulary has byte tokens."""
    return text.replace("\n", " ").replace("\r", " ")
