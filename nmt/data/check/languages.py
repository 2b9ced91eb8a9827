"""Language identification by naive Bayes over character n-grams. The model is learned from the text of a corpus.

Libraries for language identification know a few hundred large languages. This model knows exactly the languages of its
training text, including languages that no library knows. A model folder contains it as languages.safetensors.

The features are the n-grams of one to four characters within a word. The two ends of a word count as characters. Each
n-gram is hashed to a bucket. A table contains the log-probability of each bucket in each language, in 8 bits.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from nmt.data.check.letters import SPACE, read_letters
from nmt.errors import ModelError
from nmt.system.files import reason

OTHER = "other"
"""The name of the class for text in none of the languages."""

LINES_PER_LANGUAGE = 50_000  # more lines do not raise the accuracy

_MAX_NGRAM_LENGTH = 4  # the length of the longest n-grams
_MAX_TABLE_BYTES = 190_000  # the largest size of the table of all languages
_STEP = 1 / 16  # the unit of the stored log-probabilities, in nats
_SMOOTHING = 0.1  # added to the count of each bucket
_HELD_BACK = 10  # one line in this many is held back: it gives the usual score of its language
_FEW = 100  # a language with fewer lines is learned from all lines, including the held-back lines
_WEIGHT = 0.25  # the weight of an n-gram; it is below 1 because n-grams that share a letter are not independent
# OTHER has a lower mean log-probability than the usual text of a language. The margin is this many nats, or this many
# standard deviations if that is more. Foreign lines are 1.2 to 2 nats below the usual text (docs/lab/check.md).
_MARGIN, _DEVIATIONS = 0.9, 2.0
_OTHER_PRIOR = -2.0  # the prior log-probability of OTHER, relative to the prior of a language
_CHUNK = 5_000  # the number of lines that are processed at once
_METADATA = "nmt"

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LineScores:
    """The log-probabilities of lines in each language."""

    totals: Floats
    """The sum of the log-probabilities of all n-grams, shape (languages, lines)."""
    counts: Floats
    """The number of n-grams in each line, shape (lines,). It is 0 for lines without letters."""


class LanguageIdentifier:
    """A model that identifies the languages of a corpus. Text in any other language belongs to the class `OTHER`."""

    def __init__(
        self, languages: Sequence[str], table: NDArray[np.uint8], usual: Sequence[float], margins: Sequence[float]
    ) -> None:
        """Build an identifier from its parts.

        Args:
            languages: the names of the languages.
            table: the negative log-probabilities of the buckets in units of `_STEP`, shape (languages, buckets). The
                number of buckets is a power of two.
            usual: for each language, the usual log-probability of an n-gram, measured on held-back lines.
            margins: for each language, the difference between `usual` and the log-probability of an n-gram in OTHER.
        """
        self.languages = tuple(languages)
        self._table, self._bits = table, table.shape[1].bit_length() - 1
        self._usual, self._margins = np.array(usual), np.array(margins)

    @classmethod
    def learn(cls, texts: Mapping[str, Sequence[str]]) -> Self:
        """Learn a model from lines of each language.

        Args:
            texts: the lines of each language. At most `LINES_PER_LANGUAGE` evenly spread lines of each are used.
        """
        bits = (_MAX_TABLE_BYTES // max(1, len(texts))).bit_length() - 1
        used = {name: lines[:: -(-len(lines) // LINES_PER_LANGUAGE) or 1] for name, lines in texts.items()}
        rows = [
            _learn_row([line for i, line in enumerate(lines) if i % _HELD_BACK or len(lines) < _FEW], bits)
            for lines in used.values()
        ]
        draft = cls(tuple(texts), np.stack(rows), [0.0] * len(rows), [0.0] * len(rows))
        usual, margins = [], []
        for row, lines in enumerate(used.values()):
            held_back = draft.score_lines(lines[::_HELD_BACK])
            spoken = held_back.counts > 0
            means = held_back.totals[row][spoken] / held_back.counts[spoken]
            usual.append(float(np.median(means)) if len(means) else 0.0)
            margins.append(max(_MARGIN, _DEVIATIONS * float(means.std())) if len(means) else _MARGIN)
        return cls(draft.languages, draft._table, usual, margins)

    def identify(self, text: str) -> dict[str, float]:
        """Return the probability of each language and of `OTHER`. The probabilities sum to 1.

        The shorter a text, the less certain is the result. For a text without letters, the result has no meaning.
        """
        probabilities = self.identify_lines([text.replace("\n", " ")])[:, 0].tolist()
        return dict(zip((*self.languages, OTHER), probabilities, strict=True))

    def identify_lines(self, lines: Sequence[str]) -> Floats:
        """For many lines, return the same probabilities as `identify`.

        The result has the shape (languages + 1, lines). The last row is OTHER. Lines must not contain line feeds.
        """
        scores = self.score_lines(lines)
        other = (self._usual - self._margins)[:, None] * scores.counts + _OTHER_PRIOR / _WEIGHT
        nearest = scores.totals.argmax(axis=0)
        logits = np.concatenate([scores.totals, other[nearest, np.arange(len(nearest))][None]]) * _WEIGHT
        logits -= logits.max(axis=0)
        probabilities: Floats = np.exp(logits) / np.exp(logits).sum(axis=0)
        return probabilities

    def score_lines(self, lines: Sequence[str]) -> LineScores:
        """Compute the log-probabilities of lines in each language. Lines must not contain line feeds."""
        totals, counts = np.zeros((len(self.languages), len(lines))), np.zeros(len(lines))
        for begin in range(0, len(lines), _CHUNK):
            part = lines[begin : begin + _CHUNK]
            where = slice(begin, begin + len(part))
            for buckets, owners in _find_buckets(part, self._bits):
                counts[where] += np.bincount(owners, minlength=len(part))
                for row, table in enumerate(self._table):
                    totals[row, where] -= np.bincount(owners, weights=table[buckets], minlength=len(part)) * _STEP
        return LineScores(totals=totals, counts=counts)

    def to_bytes(self) -> bytes:
        """Return the model as the content of a .safetensors file. `from_bytes` reads this content."""
        about = {"languages": self.languages, "usual": self._usual.tolist(), "margins": self._margins.tolist()}
        return save({"table": self._table}, metadata={_METADATA: json.dumps(about)})

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Self:
        """Read the content of a file that `to_bytes` made.

        Raises:
            ModelError: the content is damaged. The message contains `where`, the path of the file.
        """
        try:
            table = load(content)["table"]
            size = int.from_bytes(content[:8], "little")
            about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_METADATA])
            languages = [str(name) for name in about["languages"]]
            usual, margins = ([float(number) for number in about[key]] for key in ("usual", "margins"))
            if table.dtype != np.uint8 or table.ndim != 2:
                raise ValueError("its table has another type")
            if not len(languages) == len(usual) == len(margins) == len(table) > 0 or table.shape[1].bit_count() != 1:
                raise ValueError("its sizes do not agree")
            return cls(languages, table, usual, margins)
        except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise ModelError(f"{where}: cannot be read ({reason(error)}); copy the whole folder again") from error


def _learn_row(lines: Sequence[str], bits: int) -> NDArray[np.uint8]:
    """Compute the row of the table for one language: negative log-probabilities of buckets in units of `_STEP`."""
    counts = np.full(2**bits, _SMOOTHING)
    for begin in range(0, len(lines), _CHUNK):
        for buckets, _ in _find_buckets(lines[begin : begin + _CHUNK], bits):
            counts += np.bincount(buckets, minlength=2**bits)
    row: NDArray[np.uint8] = np.clip(np.round(-np.log(counts / counts.sum()) / _STEP), 0, 255).astype(np.uint8)
    return row


def _find_buckets(lines: Sequence[str], bits: int) -> Iterator[tuple[NDArray[np.uint32], NDArray[np.int64]]]:
    """For each length of n-grams, yield the bucket of each n-gram and the index of its line.

    An n-gram has a space only at its ends, so it never contains letters of two lines.
    """
    letters = read_letters(lines, numbers=False)
    codes, spaces = letters.codes, letters.codes == SPACE
    hashes = codes
    for length in range(1, _MAX_NGRAM_LENGTH + 1):
        if length > 1:
            hashes = hashes[:-1] * np.uint32(0x01000193) + codes[length - 1 :]
        count = len(hashes)
        inside = [spaces[offset : offset + count] for offset in (range(1, length - 1) if length > 1 else (0,))]
        valid = ~np.logical_or.reduce(inside) if inside else np.ones(count, dtype=np.bool_)
        owners = letters.lines[min(1, length - 1) :][:count]
        buckets = (hashes ^ np.uint32(length * 0x9E3779B1 & 0xFFFFFFFF)) * np.uint32(0x85EBCA6B)
        buckets = ((buckets ^ (buckets >> np.uint32(15))) * np.uint32(0xC2B2AE35)) >> np.uint32(32 - bits)
        yield buckets[valid], owners[valid]
