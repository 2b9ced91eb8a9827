"""The interface that every tokenizer implements."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nmt.tokenizers.case import Truecaser
from nmt.tokenizers.normalization import Normalizers
from nmt.types import BOS, EOS, PAD

Spans = list[tuple[int, int]]  # the start and the end of parts of a text, in characters

SILENT_IDS = frozenset((PAD, BOS, EOS))  # ids that decode to no text
MAX_TOKENIZER_BYTES = 64 << 20  # the limit of the size of a file with a vocabulary
SPELLED_SPACE = b"\xff"  # a space in a spelling; UTF-8 does not use this byte
UNKNOWN_TEXT = "⁇"  # the text that UNK decodes to, as in SentencePiece

_SURROGATES = re.compile("[\ud800-\udfff]")


class Tokenizer(Protocol):
    """The interface of a tokenizer. A tokenizer converts text to ids and ids to text.

    Every vocabulary begins with the ids PAD, UNK, BOS and EOS of nmt/types.py. Tokenizers derive from this class. It
    implements the methods that most tokenizers share.
    """

    @property
    def ending(self) -> str:
        """The extension, with the dot, of the file that `save` writes."""

    @property
    def size(self) -> int:
        """The number of ids in the vocabulary."""

    @property
    def producible(self) -> range:
        """The ids that a translation can contain: EOS and all ids after EOS, except tags."""
        return range(EOS, self.size)

    def encode_tags(self, tags: Sequence[str]) -> list[int]:
        """Return the ids of tags. They precede the ids of a source text. Raises KeyError: a tag is unknown."""
        if tags:
            raise KeyError(tags[0])
        return []

    def encode(self, text: str) -> list[int]:
        """Return the ids of one line of text, without BOS and EOS."""

    def encode_lines(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the same ids as `encode` for each line. This is faster than one call of `encode` for each line."""

    def sample(self, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
        """Segment each text at random and return the ids. The segmentation depends only on the text and its seed.

        If the tokenizer does not sample, return the same ids as `encode_lines`.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids. PAD, BOS, EOS and tags are skipped, and UNK becomes ⁇."""

    def spell(self, text: str) -> bytes:
        """Return a text in the form of `spellings`.

        The result is UTF-8 with SPELLED_SPACE for each space, and before the first word if the tokenizer adds a space.
        A text begins with another if its spelling begins with that of the other.
        """

    @property
    def spellings(self) -> list[bytes]:
        """What each id adds to the spelling of a text. It is empty for special tokens and tags."""

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the token of each id in the form that users see."""

    def encode_spans(self, text: str) -> Spans:
        """Return the part of a text that each id of `encode(text)` covers. Starts and ends never decrease."""

    def decode_spans(self, ids: Sequence[int]) -> Spans:
        """Return the part of `decode(ids)` that each id covers. Ids that decode to no text have empty spans."""

    def vocabulary(self) -> list[str]:
        """Return all tokens in the order of their ids."""
        return self.tokens(range(self.size))

    def save(self, path: Path) -> None:
        """Write the tokenizer into one file, from which it can be loaded."""


@dataclass(frozen=True, kw_only=True)
class Tokenizers:
    """The objects that convert text of both sides into ids.

    Each side has a normalizer and a tokenizer. A line is first normalized and then encoded. Normalization is not a part
    of the tokenizer, so that both sides can share a tokenizer.
    """

    source: Tokenizer
    target: Tokenizer
    """With a joint vocabulary, `source` and `target` are the same object."""
    normalizers: Normalizers = field(default_factory=Normalizers)
    truecaser: Truecaser | None = None
    """The truecaser, which changes the case of source text before it is encoded. None leaves case unchanged."""


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
