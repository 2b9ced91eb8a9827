"""The input of a search, which is one record for each sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence to translate."""

    source: Sequence[int]
    """The ids of the sentence, EOS last."""
    request: Any = None
    """An object of the caller that describes this sentence. Search does not read it, but constraints may read it."""
