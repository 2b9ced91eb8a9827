"""The confidence of a model in the words of its translations.

The probability of a word is the product of the probabilities of its tokens. Models are surer of their words than they
are right. A calibration turns the probability p into the share of such words that the human translation has at this
place, too: 1 / (1 + exp(-(scale · log(p / (1 - p)) + offset))) (Platt 1999). nmt/training/calibration.py fits it to the
validation text.
"""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from nmt.config.schema import ValidationConfig
from nmt.metrics.languages import WITHOUT_SPACES, language_code
from nmt.translation.request import Translation, Word

_WORD = re.compile(r"\S+")
_LEAST = 1e-6  # probabilities are kept at this distance from 0 and 1


def compute_logit(probability: float) -> float:
    """Compute log(p / (1 - p)) of a probability that is kept away from 0 and 1."""
    kept = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The relation of the probability of a word to the confidence in it. By default, they are equal."""

    scale: float = 1.0
    offset: float = 0.0

    @classmethod
    def of_config(cls, config: ValidationConfig) -> "Calibration":
        """Return the calibration of a model, by its configuration."""
        return cls(scale=config.confidence_scale, offset=config.confidence_offset)

    def compute_confidence(self, probability: float) -> float:
        """Compute the confidence in a word with a probability."""
        return 1 / (1 + math.exp(-(self.scale * compute_logit(probability) + self.offset)))


def rate_words(translation: Translation, language: str, calibration: Calibration) -> list[Word]:
    """Return the words of a translation with their probabilities and confidences.

    Words are separated by white space. In languages written without spaces, each token is a word. The list is empty if
    the probabilities of the tokens, or their places in the text, are not known.
    """
    if not len(translation.spans) == len(translation.token_log_probabilities) == len(translation.tokens):
        return []
    pairs = list(zip(translation.spans, translation.token_log_probabilities, strict=True))
    if language_code(language) in WITHOUT_SPACES:
        places = [span for span, _ in pairs if span[0] < span[1]]
        totals = [value for span, value in pairs if span[0] < span[1]]
    else:
        places = [(match.start(), match.end()) for match in _WORD.finditer(translation.text)]
        totals, current = [0.0] * len(places), 0
        for (_, end), value in pairs:
            while current + 1 < len(places) and places[current + 1][0] <= end:
                current += 1  # the token begins with the space before its word, or is this space
            if places:
                totals[current] += value
    probabilities = [math.exp(min(0.0, total)) for total in totals]
    return [
        Word(start=start, end=end, probability=one, confidence=calibration.compute_confidence(one))
        for (start, end), one in zip(places, probabilities, strict=True)
    ]


def match_words(translation: Translation, reference: str, language: str) -> list[bool]:
    """Return, for each word of a translation, whether the human translation has it at this place, too.

    The texts are aligned by their longest common parts (difflib). In languages written without spaces, characters are
    aligned, and all characters of a word must be in the human translation.
    """
    texts = [translation.text[word.start : word.end] for word in translation.words]
    if language_code(language) not in WITHOUT_SPACES:
        return _mark_common(texts, reference.split())
    common = _mark_common("".join(texts), "".join(reference.split()))
    ends = itertools.accumulate(map(len, texts))
    return [all(common[end - len(text) : end]) for text, end in zip(texts, ends, strict=True)]


def _mark_common(items: Sequence[str], others: Sequence[str]) -> list[bool]:
    common = [False] * len(items)
    for block in SequenceMatcher(None, items, others, autojunk=False).get_matching_blocks():
        common[block.a : block.a + block.size] = [True] * block.size
    return common
