"""The input of a search: one record for each sentence."""

from dataclasses import dataclass
from typing import TypeVar

from nmt.search.options import SearchOptions

Guide = tuple[tuple[tuple[int, int], ...], ...]
"""A list of states. A state lists the tokens that are possible in it, in ascending order, each with the state that
follows. In the state after the last state of the list, all tokens are possible."""


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

    def max_length(self, options: SearchOptions) -> int:
        """Return the maximum number of tokens of a hypothesis, not including EOS. There is room for the prefix."""
        required = len(self.prefix) + len(self.guide)
        limit = options.max_length(len(self.source))
        return max(limit, required + options.max_length_extra) if required else limit

    def required_tokens(self) -> list[int]:
        """Return tokens that must be candidates."""
        return [*self.prefix, *(token for state in self.guide for token, _ in state)]


AnySentence = TypeVar("AnySentence", bound=Sentence)
