"""Which training pairs are left out, and how many for which reason."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class CleaningReport:
    """Pairs of one corpus: read, kept, and left out under the first reason that applies."""

    read: int = 0
    kept: int = 0
    empty: int = 0
    """A side without text."""
    duplicates: int = 0
    """The same on both sides as an earlier pair of the corpus."""
    overlap: int = 0
    """The same on both sides as a validation or held-out pair."""
    long: int = 0
    """A side with more pieces than data.max_length."""
    ratio: int = 0
    """A side with over data.max_ratio times the pieces of the other."""

    def __add__(self, other: "CleaningReport") -> "CleaningReport":
        names = [field.name for field in fields(self)]
        return CleaningReport(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def __str__(self) -> str:
        reasons = {
            "with an empty side": self.empty,
            "duplicates": self.duplicates,
            "also in valid or held_out": self.overlap,
            "too long (data.max_length)": self.long,
            "of unlike lengths (data.max_ratio)": self.ratio,
        }
        left_out = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
        return f"{self.kept} of {self.read} pairs kept" + (f"; left out: {left_out}" if left_out else "")


def pair_hashes(pairs: Sequence[tuple[str, str]]) -> NDArray[np.uint64]:
    """64-bit hashes of pairs, the same in every process. A line feed, which no side holds, divides the sides."""
    digests = (
        hashlib.blake2b(f"{source}\n{target}".encode(), digest_size=8).digest()  # text without surrogates
        for source, target in pairs
    )
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


class SeenHashes:
    """A growing set of hashes that takes 8 bytes for each.

    Sorted runs, each over twice as long as the next: a new run is merged with the shorter ones before it, so that there
    are few runs to search and each hash is merged few times.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def add(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Add hashes; True where one was not there, nor earlier in `hashes`."""
        first = np.zeros(len(hashes), dtype=np.bool_)
        run, indices = np.unique(hashes, return_index=True)
        known = np.zeros(len(run), dtype=np.bool_)
        for earlier in self._runs:
            known |= contains(earlier, run)
        first[indices[~known]] = True
        self._merge(run[~known])
        return first

    def _merge(self, run: NDArray[np.uint64]) -> None:
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate((self._runs.pop(), run)), kind="stable")  # fast on sorted parts
        self._runs.append(run)


def contains(run: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of the hashes stand in a sorted run."""
    if not len(run):
        return np.zeros(len(hashes), dtype=np.bool_)
    places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
    found: NDArray[np.bool_] = run[places] == hashes
    return found
