"""What every tokenizer offers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.types import BOS, EOS, PAD

INVISIBLE = frozenset((PAD, BOS, EOS))  # ids that no text shows
UNKNOWN_TEXT = "⁇"  # how unknown text is shown, as SentencePiece does

_SURROGATES = re.compile("[\ud800-\udfff]")


class Tokenizer(Protocol):
    """Text to ids and back. The ids PAD, UNK, BOS and EOS of nmt/types.py are taken in every vocabulary."""

    @property
    def ending(self) -> str:
        """Ending of the name of the file that `save` writes."""

    @property
    def size(self) -> int:
        """Number of ids; the greatest is size - 1."""

    @property
    def tags(self) -> int:
        """How many of the ids, the greatest ones, are tags, which spell nothing."""

    @property
    def producible(self) -> NDArray[np.bool_]:
        """Mask (size,) of the ids that a translation may contain: EOS and all ids after it, except tags."""
        return np.arange(self.size) >= EOS

    def encode_tags(self, tags: Sequence[str]) -> list[int]:
        """Ids of tags, which go before the ids of a source text. Raises KeyError for an unknown tag."""
        if tags:
            raise KeyError(tags[0])
        return []

    def encode(self, text: str) -> list[int]:
        """Ids of one line, without BOS and EOS."""

    def encode_lines(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of every line, faster for many lines than one by one."""

    def sample(self, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
        """Randomly sampled segmentations, each a pure function of a text and its seed. Without sampling, the same as
        `encode`."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text that ids spell. Padding, BOS and EOS are skipped; UNK is shown as ⁇."""

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The token of each id, as shown to users."""

    def vocabulary(self) -> list[str]:
        """All tokens, by id."""
        return self.tokens(range(self.size))

    def save(self, path: Path) -> None:
        """Write everything that loading needs to one file."""


@dataclass(frozen=True, kw_only=True)
class Tokenizers:
    """The tokenizers of the two sides: the same object twice when the vocabulary is joint."""

    source: Tokenizer
    target: Tokenizer


def without_surrogates(text: str) -> str:
    """`text` with lone surrogates, which no UTF-8 can hold, replaced by U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
