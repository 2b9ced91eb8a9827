"""The interface of tokenizers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.types import BOS, EOS, PAD

INVISIBLE = frozenset((PAD, BOS, EOS))  # ids that decode to nothing
UNKNOWN_TEXT = "⁇"  # what UNK decodes to, as in SentencePiece

_SURROGATES = re.compile("[\ud800-\udfff]")


class Tokenizer(Protocol):
    """Text to ids and back. Every vocabulary begins with the ids PAD, UNK, BOS and EOS of nmt/types.py.

    Implementations derive from this class, which defines what most of them share.
    """

    @property
    def ending(self) -> str:
        """Ending of the name of the file that `save` writes, with the dot."""

    @property
    def size(self) -> int:
        """Number of ids."""

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
        """Ids of each line, as `encode` returns them. Faster than encoding many lines one by one."""

    def sample(self, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
        """A random segmentation of each text, a pure function of the text and its seed.

        Without sampling, the same as `encode_lines`.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids. PAD, BOS, EOS and tags are skipped; UNK becomes ⁇."""

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The token of each id, as shown to users."""

    def vocabulary(self) -> list[str]:
        """All tokens, by id."""
        return self.tokens(range(self.size))

    def save(self, path: Path) -> None:
        """Write everything that loading needs into one file."""


@dataclass(frozen=True, kw_only=True)
class Tokenizers:
    """The tokenizers of the two sides: the same object twice if the vocabulary is joint."""

    source: Tokenizer
    target: Tokenizer


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
