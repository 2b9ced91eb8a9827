"""Sentence pairs, and their conversion to ids."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.normalization import Normalizers


@dataclass(frozen=True, slots=True)
class Pair:
    """A line of text and its translation. Neither side contains a line feed."""

    source: str
    target: str
    tags: tuple[str, ...] = ()
    """The tags of the source, such as `<2de>` for the target language. Their ids precede the ids of the source text."""
    oversized: bool = False
    """Whether a side was too long to be read. Both sides of such a pair are empty, and cleaning leaves the pair out."""

    @property
    def sides(self) -> tuple[str, str]:
        """The source text and the target text, without tags."""
        return self.source, self.target


def normalize_pairs(pairs: Iterable[Pair], normalizers: Normalizers) -> Iterator[Pair]:
    """Normalize both sides of each pair. All code that reads pairs calls this function before it uses the text."""
    source, target = normalizers.source.normalize, normalizers.target.normalize
    return (Pair(source(pair.source), target(pair.target), pair.tags) for pair in pairs)


def encode_pairs(pairs: Sequence[Pair], tokenizers: Tokenizers) -> tuple[list[list[int]], list[list[int]]]:
    """Encode each pair. The source ids begin with the ids of the tags.

    Returns:
        The source ids and the target ids of each pair, without EOS.
    """
    texts = tokenizers.source.encode_lines([pair.source for pair in pairs])
    sources = [tokenizers.source.encode_tags(pair.tags) + ids for pair, ids in zip(pairs, texts, strict=True)]
    return sources, tokenizers.target.encode_lines([pair.target for pair in pairs])
