"""Tags. A tag is an additional token at the start of a source sentence. For example, it can name the target language.

Source: Johnson et al. 2017.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from nmt.tokenizers.base import Spans, Tokenizer
from nmt.types import PAD


class TaggedTokenizer(Tokenizer):
    """A tokenizer that appends tags to the vocabulary of another tokenizer.

    No text encodes to a tag, and a tag decodes to an empty text.
    """

    def __init__(self, inner: Tokenizer, tags: Sequence[str]) -> None:
        self._inner, self._tags = inner, list(tags)
        self._ids = {tag: id_ for id_, tag in enumerate(tags, start=inner.size)}

    @property
    def ending(self) -> str:
        return self._inner.ending

    @property
    def size(self) -> int:
        return self._inner.size + len(self._tags)

    @property
    def producible(self) -> range:
        return self._inner.producible  # the tags follow it

    def encode_tags(self, tags: Sequence[str]) -> list[int]:
        return [self._ids[tag] for tag in tags]

    def encode(self, text: str) -> list[int]:
        return self._inner.encode(text)

    def encode_lines(self, texts: Sequence[str]) -> list[list[int]]:
        return self._inner.encode_lines(texts)

    def sample(self, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
        return self._inner.sample(texts, seeds)

    def decode(self, ids: Sequence[int]) -> str:
        return self._inner.decode([id_ for id_ in ids if id_ < self._inner.size])

    def spell(self, text: str) -> bytes:
        return self._inner.spell(text)

    @cached_property
    def spellings(self) -> list[bytes]:
        return [*self._inner.spellings, *[b""] * len(self._tags)]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        size = self._inner.size
        plain = self._inner.tokens([min(id_, size - 1) for id_ in ids])
        return [self._tags[id_ - size] if id_ >= size else name for id_, name in zip(ids, plain, strict=True)]

    def encode_spans(self, text: str) -> Spans:
        return self._inner.encode_spans(text)

    def decode_spans(self, ids: Sequence[int]) -> Spans:
        return self._inner.decode_spans([id_ if id_ < self._inner.size else PAD for id_ in ids])

    def save(self, path: Path) -> None:
        """Save only the wrapped tokenizer. The tags are not saved, because the configuration contains them."""
        self._inner.save(path)
