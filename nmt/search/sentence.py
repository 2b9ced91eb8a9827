"""The input of a search, which is one record for each sentence."""

from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence to translate.

    Search reads only the ids. A subclass may carry what is asked of the translation of this sentence, for constraints
    to read.
    """

    source: tuple[int, ...]
    """The ids of the sentence, EOS last."""


AnySentence = TypeVar("AnySentence", bound=Sentence)
