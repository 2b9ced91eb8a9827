"""Alternatives at a position of a translation: the most probable next words, each with a translation."""

import math
import re
from dataclasses import replace
from typing import Any

from nmt.errors import ConfigError
from nmt.search.options import MAX_ROWS_PER_SENTENCE, SearchOptions
from nmt.translation.request import Alternative, Request

_WORD = re.compile(r"[^\w\s]*\w+(?:[-'’]\w+)*|\S+")
_TOKENS = (2, 4, 8)  # the lengths of the continuations among which next words are found; short ones differ early
_CONTINUATIONS = 8  # the number of continuations for each alternative


def find_alternatives(translator: Any, request: Request, count: int) -> list[Alternative]:
    """Find alternatives with a translator. See `Translator.alternatives`."""
    options, prefix = request.options or SearchOptions(), request.prefix or ""
    if not isinstance(options, SearchOptions):
        raise ConfigError("alternatives: only for search; leave out sampling")
    beam = min(MAX_ROWS_PER_SENTENCE, max(options.beam, _CONTINUATIONS * count))
    short = SearchOptions(beam=beam, nbest=beam, length_penalty=0.0, min_length=0, max_length_factor=0.0)
    lengths = [replace(short, max_length_extra=length) for length in _TOKENS]
    asked = [replace(request, options=one, split=False, terms=(), guard=False) for one in lengths]
    before = prefix[: prefix.rfind(" ") + 1]
    words: dict[str, None] = {}
    for one in (translation for found in translator.nbest(asked) for translation in found):
        match = _WORD.match(one.text, len(before))
        if match and match.end() < len(one.text) and match.end() >= len(prefix):  # otherwise, the word can be cut
            words[match[0]] = None
    # Each word would add its own tokens to a shortlist, so that the probabilities of two words would not be comparable.
    scores = translator.score_part([request] * len(words), [before + word for word in words], shortlist=False)
    known = len(translator.tokenizers.target.encode(before.rstrip())) if before.strip() else 0
    own: dict[str, float] = {}
    spelled: dict[str, list[str]] = {}
    for word, score in sorted(zip(words, scores, strict=True), key=lambda one: -len(one[1].tokens)):
        total = math.exp(math.fsum(score.token_log_probabilities[known:-1]))
        # The tokens of "in" also begin "into". What the longer word takes is not the shorter one.
        longer = (own[other] for other, tokens in spelled.items() if tokens[: len(score.tokens)] == score.tokens)
        own[word], spelled[word] = max(0.0, total - math.fsum(longer)), score.tokens
    ranked = sorted(own.items(), key=lambda one: (-one[1], one[0]))[:count]
    asked = [replace(request, prefix=before + word, options=options) for word, _ in ranked]
    closed = [replace(one, prefix=f"{one.prefix} ") for one in asked]  # where search continues the word otherwise
    best = [[one[0].text for one in translator.nbest(requests)] for requests in (asked, closed)]
    return [
        Alternative(
            word=word,
            probability=probability,
            text=text if (match := _WORD.match(text, len(before))) and match[0] == word else other,
        )
        for (word, probability), text, other in zip(ranked, *best, strict=True)
    ]
