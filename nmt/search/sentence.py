"""The input of a search: one record for each sentence."""

from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence to translate.

    The search reads only the ids. A subclass can have fields for what the user requests, for example terms that must
    appear in the translation. Constraints read these fields.
    """

    source: tuple[int, ...]
    """The ids of the sentence, EOS last."""


AnySentence = TypeVar("AnySentence", bound=Sentence)
