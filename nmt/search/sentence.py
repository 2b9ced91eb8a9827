"""The input of a search: one record for each sentence."""

from dataclasses import dataclass
from typing import TypeVar

from nmt.search.options import SearchOptions

Guide = tuple[tuple[tuple[int, int], ...], ...]
"""A list of states. A state lists the tokens that are possible in it, in ascending order, each with the state that
follows. In the state after the last state of the list, all tokens are possible."""


CONTINUES_WORD, ENDS_IN_WORD, BEGINS_WITH_SPACE, ENDS_IN_SPACE = (
    1,
    2,
    4,
    8,
)  # bits of the edges of a token, see `Search.edges`


@dataclass(frozen=True, kw_only=True)
class TermIds:
    """A term that must be in a translation in one of its forms, as whole words."""

    forms: tuple[tuple[int, ...], ...]
    """The tokens of each form."""
    initial: int = 0
    """The last `initial` forms can only begin a translation."""
    positions: tuple[int, ...] = ()
    """The positions of the source tokens of the term. The term can begin where attention looks at them."""

    @property
    def longest(self) -> int:
        """The number of tokens of the longest form."""
        return max(map(len, self.forms))


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence to translate, and what its translation must contain.

    A subclass can have fields for what else the user requests. Constraints read these fields.
    """

    source: tuple[int, ...]
    """The ids of the sentence, EOS last."""
    prefix: tuple[int, ...] = ()
    """The tokens with which each translation begins."""
    guide: Guide = ()
    """What can follow the prefix. A search begins in the first state. Each state leads only to later states."""
    terms: tuple[TermIds, ...] = ()
    """The terms that must be in the translation, at most 64 (see nmt/search/terms.py)."""

    @property
    def term_tokens(self) -> int:
        """The number of tokens of the terms. Each term counts as its longest form."""
        return sum(term.longest for term in self.terms)

    def max_length(self, options: SearchOptions) -> int:
        """Return the maximum number of tokens of a hypothesis without EOS. There is room for prefix and terms."""
        required = len(self.prefix) + len(self.guide) + 2 * self.term_tokens
        limit = options.max_length(len(self.source))
        return max(limit, required + options.max_length_extra) if required else limit

    def required_tokens(self) -> list[int]:
        """Return tokens that must be candidates."""
        guided = (token for state in self.guide for token, _ in state)
        return [*self.prefix, *guided, *(token for term in self.terms for form in term.forms for token in form)]


AnySentence = TypeVar("AnySentence", bound=Sentence)
