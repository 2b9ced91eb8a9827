"""Guards against translations with obvious faults: loops, and translations that are far too long or too short.

A translation with a fault is searched again with other options, and replaced if the second search has no such fault.
Text without letters, and text in characters that the model does not know, is not translated at all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nmt.search.options import Options, SearchOptions
from nmt.tokenizers.base import Tokenizer, Tokenizers
from nmt.translation.request import Segment
from nmt.translation.search import Found, SegmentSearch
from nmt.types import UNK

LOOP, LENGTH, OMISSION = "loop", "length", "omission"

_PERIODS = range(1, 41)  # the lengths of the repeated parts of loops, in tokens
_LOOP_CHARACTERS = 8  # the least length of a loop within a word
_REPEATED_TOKENS = 4  # with fewer equal tokens, a translation is not searched for repeated characters, to save time
_REPEATED_CHARACTERS = re.compile(r"(\S.{0,19}?)\1{2,}")
_SHORT, _SHORT_CHARACTERS = 0.2, 40  # a translation of a long source is too short if it has less than this share
_LONGER = 1.5  # a loop is a fault if it is this many times as long as a loop of the source
_LENGTH_FACTOR = 1.2  # the limit of the length in the second search of a translation that reached its limit
_COVERAGE = 0.3  # the coverage penalty of the second search for an omission
_ATTEMPTS = 3  # the maximum number of further searches of a segment
_BYTE = re.compile("<0x[0-9A-F]{2}>")


def needs_no_translation(text: str, ids: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Return whether a text stays as it is, because a model can only invent a translation.

    Such a text has no letters, or consists mostly of characters that the vocabulary lacks.

    Args:
        text: the text.
        ids: its tokens.
        tokenizer: the tokenizer of the source side.
    """
    if text.isascii():
        return not any(map(str.isalpha, text))
    if not any(map(str.isalpha, text)):
        return True
    tokens = tokenizer.tokens(ids)
    unknown = sum(id_ == UNK or bool(_BYTE.fullmatch(token)) for id_, token in zip(ids, tokens, strict=True))
    return 2 * unknown > len(ids)


def repair(
    search: SegmentSearch, segments: Sequence[Segment], found: Sequence[Sequence[Found]], tokenizers: Tokenizers
) -> tuple[list[Sequence[Found]], list[str | None], list[str | None]]:
    """Search segments again whose best translation has a fault.

    Args:
        search: the search.
        segments: the segments.
        found: the hypotheses of each segment.
        tokenizers: the tokenizers of the model.

    Returns:
        The hypotheses of each segment, the fault that each had, and the fault that is left. None means no fault.
    """
    results = list(found)
    before = [find_fault(segment, one[0], tokenizers) for segment, one in zip(segments, found, strict=True)]
    left = list(before)
    again = {index: segments[index] for index, fault in enumerate(before) if fault}
    for _ in range(_ATTEMPTS):
        last, again = again, {}
        for index, segment in last.items():
            if fault := left[index]:
                options = _choose_options(segment.options, results[index][0], fault, tokenizers.target)
                if options != segment.options:  # otherwise, the result would be the same
                    again[index] = replace(segment, options=options)
        if not again:
            break
        for index, hypotheses in zip(again, search.search(list(again.values())), strict=True):
            fault = find_fault(segments[index], hypotheses[0], tokenizers)
            if fault is None or before[index] != OMISSION:  # a second translation with a loop is at least another one
                results[index], left[index] = hypotheses, fault
    return results, before, left


def find_fault(segment: Segment, hypothesis: Found, tokenizers: Tokenizers) -> str | None:
    """Return the fault of a translation: LOOP, LENGTH (its limit was reached) or OMISSION (too short), or None."""
    if not segment.guarded or segment.mbr or not isinstance(segment.options, SearchOptions):
        return None
    ids, source_length = hypothesis.ids, len(segment.source)
    loop = find_loop(ids, tokenizers.target)
    if loop:
        of_source = find_loop(segment.ids, tokenizers.source)
        if of_source is None or len(loop.text) > _LONGER * len(of_source.text):
            return LOOP
    if len(ids) >= segment.options.max_length(source_length):
        return LENGTH
    if len(ids) < _SHORT * source_length:  # tokens of the two sides can differ in length, so characters decide
        source, target = tokenizers.source.decode(segment.ids), tokenizers.target.decode(ids)
        if len(source) > _SHORT_CHARACTERS and len(target) < _SHORT * len(source):
            return OMISSION
    return None


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A part of a text that is repeated in a row."""

    text: str
    """All repetitions."""
    period: int
    """The number of tokens of the part."""


def find_loop(ids: Sequence[int], tokenizer: Tokenizer) -> Loop | None:
    """Find a part that is repeated in a row, at least two and a half times.

    A loop within a word must have some length, because words such as "Ananas" also repeat themselves.
    """
    repeated = len(ids) - len(set(ids))
    for period in _PERIODS:
        fewest = max(2, 1.5 * period)
        if repeated < fewest:
            break  # after the first period of a loop, each of its tokens equals an earlier one
        start = period  # of the tokens that equal the token one period before
        for place in range(period, len(ids) + 1):
            if place < len(ids) and ids[place] == ids[place - period]:
                continue
            if place - start >= fewest:
                text = tokenizer.decode(ids[start - period : place]).strip()
                several_words = any(map(str.isalnum, text)) and not text.isalpha()
                if len(text) >= _LOOP_CHARACTERS or several_words:
                    return Loop(text=text, period=period)
            start = place + 1
    if repeated < _REPEATED_TOKENS:
        return None
    # The repetitions of a part can consist of different tokens.
    for match in _REPEATED_CHARACTERS.finditer(tokenizer.decode(ids)):
        if len(match[0]) >= _LOOP_CHARACTERS:
            return Loop(text=match[0], period=1)
    return None


def _choose_options(options: Options, hypothesis: Found, fault: str, target: Tokenizer) -> Options:
    """Return the options of the next search of a segment."""
    assert isinstance(options, SearchOptions)
    if fault == OMISSION:
        return replace(options, coverage_penalty=max(options.coverage_penalty, _COVERAGE))
    if fault == LENGTH:
        options = replace(options, max_length_factor=min(options.max_length_factor, _LENGTH_FACTOR))
    loop = find_loop(hypothesis.ids, target)
    sizes = [options.no_repeat_ngram_size, loop.period + 1 if loop else 2]
    return replace(options, no_repeat_ngram_size=min(size for size in sizes if size))
