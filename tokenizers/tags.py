"""Tags: pieces before a sentence that say something about it, its target language say (Johnson et al. 2017).

On its way to the ids a tagged text is its tags, each on a line of its own, and then the text. No line of text holds a line feed,
so nothing that a text may say is taken for a tag, and whatever handles pairs of texts handles tagged ones.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.tokenizers.base import Tokenizer

_END = "\n"


def tagged(text: str, tags: Sequence[str]) -> str:
    """A text with tags before it."""
    return "".join(tag + _END for tag in tags) + text


def untagged(text: str) -> str:
    """A text without the tags before it."""
    return text.rpartition(_END)[2]


class TaggedTokenizer(Tokenizer):
    """Another tokenizer whose ids are followed by those of tags. Ids of tags stand before a sentence, and spell nothing."""

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
    def tags(self) -> int:
        return len(self._tags)

    @property
    def producible(self) -> NDArray[np.bool_]:
        return np.append(self._inner.producible, np.zeros(len(self._tags), dtype=np.bool_))

    def encode_tags(self, tags: Sequence[str]) -> list[int]:
        return [self._ids[tag] for tag in tags]

    def encode(self, text: str) -> list[int]:
        return self.encode_lines([text])[0]

    def encode_lines(self, texts: Sequence[str]) -> list[list[int]]:
        heads, rests = self._split(texts)
        return _together(heads, self._inner.encode_lines(rests))

    def sample(self, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
        heads, rests = self._split(texts)
        return _together(heads, self._inner.sample(rests, seeds))

    def decode(self, ids: Sequence[int]) -> str:
        return self._inner.decode([id_ for id_ in ids if id_ < self._inner.size])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        size = self._inner.size
        plain = self._inner.pieces([min(id_, size - 1) for id_ in ids])
        return [self._tags[id_ - size] if id_ >= size else name for id_, name in zip(ids, plain, strict=True)]

    def save(self, path: Path) -> None:
        """Without the tags, which are the configuration's."""
        self._inner.save(path)

    def _split(self, texts: Sequence[str]) -> tuple[list[list[int]], list[str]]:
        """The ids of the tags before each text, and the rest of it."""
        heads, rests = [], []
        for text in texts:
            head: list[int] = []
            tag, end, rest = text.partition(_END)
            while end and tag in self._ids:
                head.append(self._ids[tag])
                text = rest
                tag, end, rest = text.partition(_END)
            heads.append(head)
            rests.append(text)
        return heads, rests


def _together(heads: list[list[int]], bodies: list[list[int]]) -> list[list[int]]:
    return [head + body for head, body in zip(heads, bodies, strict=True)]
