"""Tokenizers whose vocabulary consists of words or of characters. They serve as baselines."""

import itertools
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from nmt.config.schema import TokenizerConfig
from nmt.errors import DataError, ModelError
from nmt.system.files import reason
from nmt.system.opening import read_file
from nmt.tokenizers.base import (
    MAX_TOKENIZER_BYTES,
    SILENT_IDS,
    SPELLED_SPACE,
    UNKNOWN_TEXT,
    Spans,
    Tokenizer,
    replace_surrogates,
)
from nmt.types import SPECIAL_TOKENS, UNK


class VocabularyTokenizer(Tokenizer, ABC):
    """A tokenizer with a fixed vocabulary of units, for example words.

    The vocabulary begins with the special tokens. The units follow by decreasing frequency. Units that are not in the
    vocabulary become UNK. A subclass defines its units by `split` and `join`.
    """

    ending: ClassVar[str] = ".json"
    kind: ClassVar[str]
    separator: ClassVar[str]
    """The text before each unit in a spelling."""

    def __init__(self, units: Sequence[str]) -> None:
        self._units = list(units)
        self._shown = [*SPECIAL_TOKENS, *self._units]
        self._ids = {unit: index for index, unit in enumerate(self._units, start=len(SPECIAL_TOKENS))}

    @staticmethod
    @abstractmethod
    def split(text: str) -> Sequence[str]:
        """Split a text into units."""

    @staticmethod
    @abstractmethod
    def join(units: Iterable[str]) -> str:
        """Join units into a text."""

    @property
    def size(self) -> int:
        return len(self._shown)

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(unit, UNK) for unit in self.split(replace_surrogates(text))]

    def encode_lines(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def sample(self, texts: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:  # noqa: ARG002 - words have one segmentation
        return self.encode_lines(texts)

    def decode(self, ids: Sequence[int]) -> str:
        return self.join(UNKNOWN_TEXT if id_ == UNK else self._shown[id_] for id_ in ids if id_ not in SILENT_IDS)

    def spell(self, text: str) -> bytes:
        units = ["", *self.split(replace_surrogates(text)), *[""] * text.endswith(" ")]
        return self.separator.join(units).encode().replace(b" ", SPELLED_SPACE)

    @cached_property
    def spellings(self) -> list[bytes]:
        return [b""] * len(SPECIAL_TOKENS) + [
            (self.separator + unit).encode().replace(b" ", SPELLED_SPACE) for unit in self._units
        ]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        return [self._shown[id_] for id_ in ids]

    def encode_spans(self, text: str) -> Spans:
        return _find_units(text, self.split(text))

    def decode_spans(self, ids: Sequence[int]) -> Spans:
        shown = [UNKNOWN_TEXT if id_ == UNK else self._shown[id_] if id_ not in SILENT_IDS else "" for id_ in ids]
        return _find_units(self.decode(ids), shown)

    def save(self, path: Path) -> None:
        content = {"kind": self.kind, "units": self._units}
        path.write_text(json.dumps(content, ensure_ascii=False, indent=0), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, sampling: float = 0.0) -> Self:  # noqa: ARG003 - words have one segmentation
        """Read a file that `save` wrote. Raises ModelError: the file is missing or damaged."""
        try:
            content = json.loads(read_file(path, MAX_TOKENIZER_BYTES))
            if not isinstance(content, dict) or content.get("kind") != cls.kind:
                raise ValueError(f"it does not contain {cls.kind}")
            units = content.get("units")
            if not isinstance(units, list) or not all(isinstance(unit, str) and unit for unit in units):
                raise ValueError("its units are not a list of texts")
            if len(set(units)) != len(units):
                raise ValueError("it has a unit twice")
            "".join(units).encode()  # fails if a unit has a lone surrogate, which UTF-8 cannot encode
            return cls(units)
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f"{path}: not a readable tokenizer ({reason(error)}); copy the model folder again"
            ) from error

    @classmethod
    def train(cls, config: TokenizerConfig, lines: Iterable[str], what: str) -> Self:
        """Build a vocabulary of the most frequent units. Of equally frequent units, the first in the text is chosen.

        Raises:
            DataError: the lines contain no units.
        """
        counts = Counter(itertools.chain.from_iterable(cls.split(replace_surrogates(line)) for line in lines))
        if not counts:
            raise DataError(f"{what}: contains no text to learn a vocabulary from; check the files")
        most = config.vocabulary_size - len(SPECIAL_TOKENS)
        return cls([unit for unit, _ in counts.most_common(most)])


class WordTokenizer(VocabularyTokenizer):
    """A tokenizer that splits text into words at spaces.

    A decoded text has single spaces between words and no spaces at its ends. Unknown words become ⁇.
    """

    kind: ClassVar[str] = "words"
    separator: ClassVar[str] = " "

    @staticmethod
    def split(text: str) -> list[str]:
        return [word for word in text.split(" ") if word]

    @staticmethod
    def join(units: Iterable[str]) -> str:
        return " ".join(units)


class CharacterTokenizer(VocabularyTokenizer):
    """A tokenizer with one id for each character (code point). Unknown characters decode to ⁇."""

    kind: ClassVar[str] = "characters"
    separator: ClassVar[str] = ""

    @staticmethod
    def split(text: str) -> str:
        return text

    @staticmethod
    def join(units: Iterable[str]) -> str:
        return "".join(units)


def _find_units(text: str, units: Iterable[str]) -> Spans:
    """Return the parts of a text where its units are. The units are in the order of the text."""
    spans, end = Spans(), 0
    for unit in units:
        start = text.index(unit, end) if unit else end
        end = start + len(unit)
        spans.append((start, end))
    return spans
