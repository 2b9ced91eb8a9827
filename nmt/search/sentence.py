"""What goes into a search: one record for each sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence to translate, in ids."""

    source: Sequence[int]
    """Its tokens, EOS last."""
    request: Any = None
    """The caller's record of what this sentence asks for. Search does not read it; constraints do."""
