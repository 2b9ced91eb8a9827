"""Sentence pairs, the record that everything in nmt/data passes on."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.tokenizers.base import Tokenizers


@dataclass(frozen=True, slots=True)
class Pair:
    """A line of text and its translation. Neither side contains a line feed."""

    source: str
    target: str
    tags: tuple[str, ...] = ()
    """Names of the ids that the network sees before the source, its target language for example."""

    @property
    def sides(self) -> tuple[str, str]:
        """Source and target text, without the tags."""
        return self.source, self.target


def encode_pairs(pairs: Sequence[Pair], tokenizers: Tokenizers) -> tuple[list[list[int]], list[list[int]]]:
    """Source and target ids of each pair, without EOS. Tags come before the source text."""
    texts = tokenizers.source.encode_lines([pair.source for pair in pairs])
    sources = [tokenizers.source.encode_tags(pair.tags) + ids for pair, ids in zip(pairs, texts, strict=True)]
    return sources, tokenizers.target.encode_lines([pair.target for pair in pairs])
