"""The alignment of words by attention.

A word of the translation is aligned to the source word of which it has the largest share: its attention to this source
word, divided by the attention of all words to it. Without this division, words that many others look at, such as the
end of the sentence, would be aligned too often. docs/lab/alignment.md compares this with other ways.
"""

import itertools
import operator
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from nmt.metrics.languages import WITHOUT_SPACES, language_code
from nmt.tokenizers.base import Spans
from nmt.translation.request import Request, Translation
from nmt.translation.segments import Segmenter

Weights = Sequence[Sequence[float]]
"""A row for each part of a translation, with a number for each part of its source."""

_WORD = re.compile(r"\S+")
_INNER = re.compile(r"\w(?:.*\w)?")  # a word without the punctuation marks around it
_TINY = 1e-6
_UNCOVERED = 0.1  # a source word that is aligned to no word is aligned to a word with at least this attention to it


def add_word_alignment(
    request: Request, translations: Sequence[Translation], segmenter: Segmenter, language: str
) -> list[Translation]:
    """Return translations of a plain request, whose options ask for attention, with `word_alignment`.

    Args:
        request: the request.
        translations: its translations.
        segmenter: the segmenter that split the request.
        language: the target language.
    """
    source_spans = segmenter.locate(request)
    sources = list_words(request.text, source_spans, segmenter.language)
    results = []
    for translation in translations:
        targets = list_words(translation.text, translation.spans, language)
        links = align_words(translation.attention, source_spans, translation.spans, sources, targets)
        results.append(replace(translation, word_alignment=links))
    return results


def find_words(text: str, token_spans: Spans | None = None) -> Spans:
    """Return the start and the end of each word of a text. Words are separated by spaces.

    Punctuation marks around a word are left out, unless there is nothing else. If `token_spans` are given, as for
    languages that are written without spaces, each token that is not empty is a word.
    """
    if token_spans is not None:
        return [span for span in token_spans if span[0] < span[1]]
    words = Spans()
    for match in _WORD.finditer(text):
        inner = _INNER.search(match[0])
        first, last = inner.span() if inner else (0, len(match[0]))
        words.append((match.start() + first, match.start() + last))
    return words


def list_words(text: str, token_spans: Spans, language: str) -> Spans:
    """Return the words of a text in a language. In a language written without spaces, its tokens are its words."""
    return find_words(text, token_spans if language_code(language) in WITHOUT_SPACES else None)


def align_words(attention: Weights, source_spans: Spans, spans: Spans, sources: Spans, targets: Spans) -> Spans:
    """Return pairs of a source word and a word of the translation, as positions, in the order of the source words.

    Args:
        attention: a row for each token of the translation, with the weight of each source token.
        source_spans: the characters of each source token.
        spans: the characters of each token of the translation.
        sources: the characters of each source word, in order.
        targets: the characters of each word of the translation, in order.
    """
    weights = sum_weights(attention, source_spans, spans, sources, targets)
    links = set[tuple[int, int]]()
    for target, row in enumerate(share_weights(weights)):
        if any(row):
            links.add((row.index(max(row)), target))
    covered = {source for source, _ in links}
    for source, column in enumerate(zip(*weights, strict=True)):
        if source not in covered and max(column) >= _UNCOVERED:
            links.add((source, column.index(max(column))))
    return sorted(links)


def sum_weights(
    attention: Weights, source_spans: Spans, spans: Spans, sources: Sequence[tuple[int, ...]],
    targets: Sequence[tuple[int, ...]],
) -> list[list[float]]:  # fmt: skip
    """Return the attention of each target unit to each source unit: the mean over the tokens of the target unit.

    A unit is a tuple that begins with the start and the end of its characters. Units are in order and do not overlap.
    See `align_words` for the other arguments. Units without tokens have no attention.
    """
    columns = _find_tokens(source_spans, sources)
    single = [tokens[0][0] if tokens else 0 for tokens in columns]
    others = [place for place, tokens in enumerate(columns) if len(tokens) != 1 or tokens[0][1] != 1]
    weights = []
    for tokens in _find_tokens(spans, targets):
        rows = [attention[token] for token, _ in tokens if token < len(attention)]  # text that is kept has no rows
        if not rows:
            weights.append([0.0] * len(sources))
            continue
        row = rows[0]
        if len(rows) > 1:
            total = sum(share for _, share in tokens)
            scales = [share / total for _, share in tokens]
            row = [sum(map(operator.mul, scales, column)) for column in zip(*rows, strict=True)]
        result = [row[token] for token in single]
        for place in others:
            result[place] = sum([row[token] * share for token, share in columns[place]], 0.0)
        weights.append(result)
    return weights


def share_weights(weights: Weights) -> list[list[float]]:
    """Divide the weights of each source unit by their sum over the target units."""
    sums = [max(_TINY, sum(column)) for column in zip(*weights, strict=True)]
    return [list(map(operator.truediv, row, sums)) for row in weights]


def _find_tokens(spans: Spans, units: Sequence[tuple[int, ...]]) -> list[list[tuple[int, float]]]:
    """Return the tokens that overlap each unit, and the share of each token's characters in units that is in it."""
    found: list[list[tuple[int, float]]] = [[] for _ in units]
    ends = [unit[1] for unit in units]
    for token, (start, end) in enumerate(spans):
        if start == end:
            continue
        first = last = bisect_right(ends, start)
        while last < len(units) and units[last][0] < end:
            last += 1
        if last == first + 1:
            found[first].append((token, 1.0))
        elif last > first:
            lengths = [min(end, ends[place]) - max(start, units[place][0]) for place in range(first, last)]
            for place, length in zip(itertools.count(first), lengths):
                found[place].append((token, length / sum(lengths)))
    return found
