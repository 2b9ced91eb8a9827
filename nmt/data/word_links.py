"""Which words of a sentence pair are translations of each other.

Two words are linked if each is the strongest partner of the other in a lexicon, which nmt/data/word_lexicon.py learns
from the training text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

WORD = re.compile(r"\w+(?:[-'’]\w+)*")
Link = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class WordLexicon:
    """Pairs of words that are often translations of each other. The words are case-folded."""

    strengths: Mapping[str, Mapping[str, float]]
    """For a source word and a target word, the Dice coefficient of the expected counts: 2 c(s, t) / (c(s) + c(t))."""
    frequent: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    """The most frequent words of each side."""

    @cached_property
    def source_words(self) -> Mapping[str, Sequence[str]]:
        """The source words for each last letter."""
        words: dict[str, list[str]] = {}
        for word in self.strengths:
            words.setdefault(word[-1], []).append(word)
        return words

    def align(self, source: Sequence[str], target: Sequence[str]) -> list[Link]:
        """Return the links between the words of a pair, as positions in `source` and `target`, in source order."""
        folded = [word.casefold() for word in target]
        best_source: dict[int, tuple[float, int]] = {}
        best_target: dict[int, int] = {}
        for position, word in enumerate(source):
            partners = self.strengths.get(word.casefold(), {})
            own = 0.0
            for other, partner in enumerate(folded):
                strength = partners.get(partner, 0.0)
                if strength > own:
                    own, best_target[position] = strength, other
                if strength > best_source.get(other, (0.0, 0))[0]:
                    best_source[other] = strength, position
        return [link for link in best_target.items() if best_source[link[1]][1] == link[0]]
