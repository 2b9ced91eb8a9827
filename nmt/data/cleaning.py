"""Cleaning of training pairs. It leaves out pairs that are not worth learning from, and counts them by reason."""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import DataConfig, TokenizerConfig
from nmt.data.pair import Pair, encode_pairs, normalize_pairs
from nmt.data.readers import describe_corpus, interleave, read_corpora, read_pairs
from nmt.data.text_files import MAX_SIDE_CHARACTERS
from nmt.errors import DataError
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.normalization import Normalizers
from nmt.tokenizers.standard_rules import build_normalizers

_VOCABULARY_CHUNK = 1000  # the number of pairs that are filtered at once for a vocabulary
_CHARACTERS = 8
_CHUNK_CHARACTERS = 1 << 25  # a chunk ends when it has more characters than this, even if it has few pairs


@dataclass(frozen=True, kw_only=True)
class CleaningReport:
    """Counts of the pairs that were read, kept and left out.

    A pair that is left out is counted only once, for the first reason that applies.
    """

    read: int = 0
    kept: int = 0
    oversized: int = 0
    """A side has more than MAX_SIDE_CHARACTERS, so it was not read."""
    empty: int = 0
    """A side has no text."""
    unreadable: int = 0
    """A side is not UTF-8."""
    duplicates: int = 0
    """An earlier pair of the corpus has the same sides."""
    overlap: int = 0
    """A validation or held-out pair has the same sides."""
    long: int = 0
    """A side has more tokens than data.max_length."""
    ratio: int = 0
    """A side has more than data.max_ratio times the tokens of the other side."""

    def __add__(self, other: "CleaningReport") -> "CleaningReport":
        names = [field.name for field in fields(self)]
        return CleaningReport(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def __str__(self) -> str:
        return f"{self.kept} of {self.read} pairs kept" + (f"; left out: {self.reasons}" if self.reasons else "")

    @property
    def reasons(self) -> str:
        """The counts of the pairs that were left out, with the reasons. It is an empty string if there are none."""
        reasons = {
            f"with more than {MAX_SIDE_CHARACTERS:,} characters on a side": self.oversized,
            "with an empty side": self.empty,
            "not in UTF-8": self.unreadable,
            "duplicates": self.duplicates,
            "also in valid or held_out": self.overlap,
            "too long (data.max_length)": self.long,
            "with too different lengths (data.max_ratio)": self.ratio,
        }
        return ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)


def is_readable(pair: Pair) -> bool:
    """Return whether both sides were valid UTF-8 when they were read. Readers replace invalid bytes by U+FFFD."""
    return "\ufffd" not in pair.source and "\ufffd" not in pair.target


def hash_pairs(pairs: Sequence[Pair], *, tags: bool = True) -> NDArray[np.uint64]:
    """Compute a 64-bit hash of each pair. The hash of a pair is the same in every process.

    Args:
        pairs: the pairs to hash.
        tags: whether the hash of a pair depends on its tags.
    """
    # Neither a tag nor a side contains the line feed that separates them.
    lines = ("\n".join((*pair.tags, *pair.sides) if tags else pair.sides) for pair in pairs)
    digests = (hashlib.blake2b(line.encode(), digest_size=8).digest() for line in lines)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


class SeenHashes:
    """A growing set of hashes that takes 8 bytes of memory per hash.

    The set is a list of sorted arrays, called runs. Each run is more than twice as long as the next run. To keep this
    true, a new run is merged with short earlier runs. As a result, there are few runs to search, and each hash is
    merged only a few times.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def add(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Add hashes to the set.

        Returns:
            A mask of the new hashes. A hash is new if it was neither in the set nor earlier in `hashes`.
        """
        first = np.zeros(len(hashes), dtype=np.bool_)
        run, indices = np.unique(hashes, return_index=True)
        known = np.zeros(len(run), dtype=np.bool_)
        for earlier in self._runs:
            known |= contains_hashes(earlier, run)
        first[indices[~known]] = True
        self._merge(run[~known])
        return first

    def _merge(self, run: NDArray[np.uint64]) -> None:
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate((self._runs.pop(), run)), kind="stable")  # the stable sort is fast on two runs
        self._runs.append(run)


def contains_hashes(run: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return a mask of the hashes that are in a sorted run."""
    if not len(run):
        return np.zeros(len(hashes), dtype=np.bool_)
    indices = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
    found: NDArray[np.bool_] = run[indices] == hashes
    return found


@dataclass(frozen=True, kw_only=True)
class CleanPairs:
    """The pairs that cleaning kept, as text and as token ids. `report` also counts the pairs that were left out."""

    pairs: list[Pair]
    sources: list[list[int]]
    targets: list[list[int]]
    report: CleaningReport


class TextFilter:
    """Cleans pairs without a tokenizer: leaves out unusable pairs, duplicates and pairs of the test data."""

    def __init__(self, data: DataConfig, normalizers: Normalizers) -> None:
        self._data, self._normalizers = data, normalizers
        self._held_out: NDArray[np.uint64] | None = None

    def filter(self, pairs: list[Pair], seen: SeenHashes) -> tuple[list[Pair], CleaningReport]:
        """Normalize pairs. Return the pairs that are kept, and the counts of all pairs.

        Args:
            pairs: the next pairs of a corpus.
            seen: the hashes of earlier pairs of the corpus, which identify duplicates. The hashes of `pairs` are added.
        """
        sized = [pair for pair in pairs if not pair.oversized]
        normalized = normalize_pairs(sized, self._normalizers)
        texts = [pair for pair in normalized if pair.source.strip() and pair.target.strip()]
        readable = [pair for pair in texts if is_readable(pair)]

        # Drop duplicates and pairs of the validation and held-out corpora. The tags of validation pairs do not matter.
        hashes = hash_pairs(readable)
        plain = hash_pairs(readable, tags=False) if self._data.tags else hashes
        fresh = seen.add(hashes) if self._data.drop_duplicates else np.ones(len(readable), dtype=np.bool_)
        overlap = fresh & contains_hashes(self._held_out_hashes(), plain)
        new = list(itertools.compress(readable, fresh & ~overlap))
        return new, CleaningReport(
            read=len(pairs),
            kept=len(new),
            oversized=len(pairs) - len(sized),
            empty=len(sized) - len(texts),
            unreadable=len(texts) - len(readable),
            duplicates=int((~fresh).sum()),
            overlap=int(overlap.sum()),
        )

    def _held_out_hashes(self) -> NDArray[np.uint64]:
        """Return the sorted hashes of validation and held-out pairs. There are none if `data.drop_overlap` is false."""
        if self._held_out is None:
            corpora = (*self._data.valid, *self._data.held_out) if self._data.drop_overlap else ()
            pairs = normalize_pairs(read_corpora(corpora, self._data), self._normalizers)
            hashes = [hash_pairs(chunk, tags=False) for chunk in split_chunks(pairs, 10_000)]
            self._held_out = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *hashes]))
        return self._held_out


class Cleaner:
    """Cleans pairs and tokenizes the pairs that remain."""

    def __init__(self, data: DataConfig, tokenizers: Tokenizers) -> None:
        self._data, self._tokenizers = data, tokenizers
        self._filter = TextFilter(data, tokenizers.normalizers)

    def clean(self, pairs: list[Pair], seen: SeenHashes) -> CleanPairs:
        """Normalize, clean and tokenize pairs.

        Args:
            pairs: the next pairs of a corpus.
            seen: the hashes of earlier pairs of the corpus, which identify duplicates. The hashes of `pairs` are added.
        """
        new, report = self._filter.filter(pairs, seen)

        # Drop pairs with lengths outside the limits. Lengths are in tokens, without tags.
        sources, targets = encode_pairs(new, self._tokenizers)
        source_lengths = [len(ids) - len(pair.tags) for pair, ids in zip(new, sources, strict=True)]
        lengths = np.array([source_lengths, list(map(len, targets))], dtype=np.int64)
        shorter, longer = lengths.min(axis=0), lengths.max(axis=0)
        empty = shorter == 0  # a SentencePiece model of the user may delete characters in its normalization
        long = ~empty & (longer > self._data.max_length)
        ratio = ~empty & ~long & (longer > self._data.max_ratio * shorter)
        kept = np.flatnonzero(~(empty | long | ratio)).tolist()

        return CleanPairs(
            pairs=[new[i] for i in kept],
            sources=[sources[i] for i in kept],
            targets=[targets[i] for i in kept],
            report=dataclasses.replace(
                report,
                kept=len(kept),
                empty=report.empty + int(empty.sum()),
                long=int(long.sum()),
                ratio=int(ratio.sum()),
            ),
        )


def read_vocabulary_text(data: DataConfig, config: TokenizerConfig) -> Iterator[Pair]:
    """Read the pairs from which a vocabulary is learned. The pairs are normalized, and are read round-robin.

    Pairs that cleaning leaves out are left out here too, as far as this is known without a tokenizer. The limits of
    length and ratio are in tokens. A pair is therefore left out only if it surely exceeds them, or exceeds them by far.

    Args:
        data: the corpora and the limits.
        config: the kind of the vocabulary and the rules of normalization.

    Raises:
        DataError: a corpus cannot be read, or no pair is left.
    """
    text_filter, report = TextFilter(data, build_normalizers(config.normalization)), CleaningReport()

    def filter_corpus(corpus: CorpusConfig) -> Iterator[Pair]:
        nonlocal report
        seen = SeenHashes()
        for chunk in split_chunks(read_pairs(corpus, data), _VOCABULARY_CHUNK):
            new, counts = text_filter.filter(chunk, seen)
            usable = [pair for pair in new if not _exceeds_limits(pair, data, config.kind)]
            report += dataclasses.replace(counts, kept=len(usable), long=len(new) - len(usable))
            yield from usable

    yield from interleave([filter_corpus(corpus) for corpus in data.train])
    if not report.kept:
        names = ", ".join(describe_corpus(corpus) for corpus in data.train)
        raise DataError(f"{names}: no pair to learn from ({report}); check the corpora and data's limits")


def _exceeds_limits(pair: Pair, data: DataConfig, kind: str) -> bool:
    """Judge from the text of a pair, without a tokenizer, whether the pair is too long or too lopsided."""
    words = [len(side.split()) for side in pair.sides]
    if kind == "words":
        lengths, sizes, tolerance = words, words, 1.0
    elif kind == "characters":
        lengths = sizes = [len(side) for side in pair.sides]
        tolerance = 1.0
    else:  # a subword is at most a word long, and subwords have fewer than _CHARACTERS characters on average
        lengths = [max(count, len(side) // _CHARACTERS) for count, side in zip(words, pair.sides, strict=True)]
        sizes, tolerance = [len(side.encode()) for side in pair.sides], 2.0
    return max(lengths) > data.max_length or max(sizes) > tolerance * data.max_ratio * min(sizes)


def split_chunks(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    """Yield lists of `size` consecutive pairs. The last list, and lists of very long pairs, have fewer pairs."""
    chunk: list[Pair] = []
    characters = 0
    for pair in pairs:
        chunk.append(pair)
        characters += len(pair.source) + len(pair.target)
        if len(chunk) == size or characters > _CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
