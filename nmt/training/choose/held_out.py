"""The cut of a text into training text, a validation set and a test set.

Pairs whose letters and digits are the same on either side stay together. They are all in the training text, or all in
the same set. The cut depends only on the content of the pairs: not on their order, not on the direction of
translation, and not on a seed of training. The scores of several trainings on a text can therefore be compared, and a
model of one direction can translate training text for the other one without having seen its sets.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import DataConfig
from nmt.data.check.letters import Keys, hash_letters, read_letters
from nmt.data.cleaning import CleaningReport, is_readable, split_chunks
from nmt.data.pair import Pair
from nmt.data.readers import read_corpora
from nmt.errors import DataError
from nmt.system.files import whole_folder

logger = logging.getLogger(__name__)

FEWEST_PAIRS = 100
"""The smallest number of pairs in a text that can be cut."""
_SHARE, _FEWEST, _MOST, _LARGEST_SHARE = 0.03, 200, 2_000, 0.1
_CHUNK = 10_000  # the number of pairs that are read at once
_LARGEST_FAMILY = 0.02  # families with a larger share of the pairs of a set stay in the training text
_FAMILY_PAIRS = 2  # families of this size may always be cut off

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A text after it was cut. The files of a set are `folder/NAME.LANGUAGE`."""

    report: CleaningReport
    """The counts of the pairs of the whole text. Pairs that cannot be used are not in any of the files."""
    sizes: dict[str, int]
    """The number of pairs in each set: `train`, and the sets that were cut off."""


def choose_size(pairs: int) -> int:
    """Return the number of pairs of a set that is cut off from a text: 3 %, but 200 to 2,000, and at most a tenth."""
    return int(min(_MOST, max(_FEWEST, _SHARE * pairs), _LARGEST_SHARE * pairs))


def cut_text(data: DataConfig, folder: Path, names: Sequence[str]) -> Cut:
    """Cut sets off from the training text. Write the sets and the rest, `train`, as aligned files into a new folder.

    The pairs of a set are written in a random order. Each pair is written only once into a set.

    Args:
        data: the text, as the training corpora, and the languages.
        folder: the folder to write. An older folder is replaced.
        names: the names of the sets, such as `valid` and `test`. Without names, `train` is the whole text.

    Raises:
        DataError: the text cannot be read, or has too few pairs.
        MachineError: the folder cannot be written.
    """
    sources, targets, report = _read_keys(data)
    if names and report.kept < FEWEST_PAIRS:
        raise DataError(
            f"the text is too short to cut off validation and test sets ({report}); "
            f"give at least {FEWEST_PAIRS} pairs, or give the sets with --valid and --test"
        )
    parts = choose_rows(sources, targets, [choose_size(report.kept)] * len(names)) if names else []
    owner = np.zeros(report.kept, dtype=np.int8)
    for number, rows in enumerate(parts, start=1):
        owner[rows] = number
    languages, held_out = (data.source_language, data.target_language), dict[int, Pair]()
    sizes = {"train": 0}
    with whole_folder(folder) as draft:
        with ExitStack() as stack:
            files = [stack.enter_context(_create(draft / f"train.{language}")) for language in languages]
            for row, pair in enumerate(_keep_usable(read_corpora(data.train, data))):
                if owner[row]:
                    held_out[row] = pair
                    continue
                sizes["train"] += 1
                for file, side in zip(files, pair.sides, strict=True):
                    file.write(f"{side}\n")
        for name, rows in zip(names, parts, strict=True):
            pairs = list(dict.fromkeys(held_out[row].sides for row in rows.tolist()))
            sizes[name] = len(pairs)
            for index, language in enumerate(languages):
                with _create(draft / f"{name}.{language}") as file:
                    file.writelines(f"{sides[index]}\n" for sides in pairs)
    return Cut(report=report, sizes=sizes)


def _create(path: Path) -> TextIO:
    return open(path, "w", encoding="utf-8", newline="\n")


def choose_rows(sources: Keys, targets: Keys, sizes: Sequence[int]) -> list[Rows]:
    """Choose the pairs of each set, in a random order.

    Args:
        sources: a key of the source of each pair. The same text has the same key.
        targets: a key of the target of each pair.
        sizes: the number of pairs that each set should have. A set can have a few pairs less.

    Returns:
        The indices of the pairs of each set.
    """
    pairs = mix(mix(sources) + mix(targets))  # a sum, so that the sides can be exchanged
    rows = _order_small_families(label_families(sources, targets), pairs, sizes)
    if len(rows) < sum(sizes) // 2:
        logger.warning(
            "most sentences of the text belong to several pairs, so the validation and test sets share sentences with "
            "the training text; their scores are too high"
        )
        rows = _order_small_families(np.unique(pairs, return_inverse=True)[1], pairs, sizes)
    ends = np.cumsum([min(size, len(rows) // len(sizes)) for size in sizes])
    # A family that two sets would share belongs to the first of them.
    parts: list[Rows] = []
    begin = 0
    for end in ends.tolist():
        while 0 < end < len(rows) and rows[end, 0] == rows[end - 1, 0]:
            end += 1
        parts.append(rows[begin:end, 1])
        begin = max(begin, end)
    return parts


def _order_small_families(families: Rows, pairs: Keys, sizes: Sequence[int]) -> Rows:
    """Put the families that are small enough for a set into a random order.

    Returns:
        An array (N, 2) with a row for each pair of these families: its family and its index.
    """
    _, families, counts = np.unique(families, return_inverse=True, return_counts=True)
    first = np.full(len(counts), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first, families, pairs)
    small = np.flatnonzero(counts[families] <= max(_FAMILY_PAIRS, _LARGEST_FAMILY * min(sizes)))
    order = small[np.lexsort((pairs[small], families[small], first[families[small]]))]
    return np.stack([families[order], order], axis=1)


def label_families(sources: Keys, targets: Keys) -> Rows:
    """Return the family of each pair. Pairs with the same source or with the same target belong to the same family.

    A family is a connected component of a graph. It has the number of its first pair.
    """
    labels = np.arange(len(sources))
    sides = [np.unique(keys, return_inverse=True)[1] for keys in (sources, targets)]
    while True:
        before = labels
        for groups in sides:
            least = np.full(len(sources), len(sources))
            np.minimum.at(least, groups, labels)
            labels = least[groups]
        labels = labels[labels]  # the first pair may belong to a family with a lower number by now
        if np.array_equal(labels, before):
            return labels


def mix(keys: Keys) -> Keys:
    """Mix the bits of keys, with the last steps of splitmix64 (Steele et al. 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Keys = keys ^ (keys >> np.uint64(31))
    return mixed


def _read_keys(data: DataConfig) -> tuple[Keys, Keys, CleaningReport]:
    """Read the whole text. Return a key of the source and of the target of each pair that can be used."""
    report, keys = CleaningReport(), ([np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.uint64)])
    for chunk in split_chunks(read_corpora(data.train, data), _CHUNK):
        usable = list(_keep_usable(chunk))
        sized = [pair for pair in chunk if not pair.oversized]
        empty = sum(not _has_text(pair) for pair in sized)
        report += CleaningReport(
            read=len(chunk),
            kept=len(usable),
            oversized=len(chunk) - len(sized),
            empty=empty,
            unreadable=len(sized) - empty - len(usable),
        )
        if usable:
            for side, lines in zip(keys, zip(*(pair.sides for pair in usable), strict=True), strict=True):
                side.append(_make_keys(lines))
    return np.concatenate(keys[0]), np.concatenate(keys[1]), report


def _make_keys(lines: Sequence[str]) -> Keys:
    """Return a key of the letters and numbers of each line. The key of a line without them depends on all its text."""
    keys = hash_letters(read_letters(lines, numbers=True))
    for index in np.flatnonzero(keys == 0).tolist():
        digest = hashlib.blake2b(lines[index].strip().encode(), digest_size=8).digest()
        keys[index] = np.frombuffer(digest, dtype=np.uint64)[0]
    return keys


def _keep_usable(pairs: Iterable[Pair]) -> Iterator[Pair]:
    return (pair for pair in pairs if not pair.oversized and _has_text(pair) and is_readable(pair))


def _has_text(pair: Pair) -> bool:
    return bool(pair.source.strip() and pair.target.strip())
