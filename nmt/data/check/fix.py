"""Repair of corpora (`nmt-check --fix`). It writes corpora without the faults that a program can repair.

Characters and spaces are repaired in all text. Only training text loses pairs, so scores on validation and held-out
text remain comparable.
"""

import re
import unicodedata
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import DataConfig
from nmt.data.check.alignment import Break
from nmt.data.check.characters import WITHIN_WORDS
from nmt.data.check.chunks import SIDES, Chunk, Place, SideLines
from nmt.data.check.letters import Keys
from nmt.data.check.lines import INVISIBLE, Indices, find_lopsided, find_untranslated
from nmt.data.check.repeats import combine_keys
from nmt.data.check.run import SETS, CheckReport, list_corpora, locate, read_chunks
from nmt.data.check.sides import identify_chunk
from nmt.data.cleaning import SeenHashes
from nmt.errors import DataError
from nmt.system.files import whole_folder

_UNCERTAIN = 10  # the number of pairs before and after a break that are left out, because the break is not exact
_MEMORY = 64  # the number of latest pairs that are kept, from which shifted lines are taken

Lines = Sequence[str]


def fix_corpora(data: DataConfig, report: CheckReport, folder: Path) -> list[str]:
    """Write the corpora without the faults that a program can repair.

    Each corpus becomes two text files, for example FOLDER/train.de and FOLDER/train.en. If there are several training
    corpora, or a path is a pattern, the names begin with train-1, train-2 and so on. The folder is written as a whole
    or not at all.

    Args:
        data: the corpora.
        report: the report of `check_corpora` about the same corpora.
        folder: the folder to write.

    Returns:
        A line about each corpus.

    Raises:
        DataError: a corpus cannot be read, or no training pair would be left.
        MachineError: the folder cannot be written.
    """
    lines = []
    with whole_folder(folder) as draft:
        held_out = _collect_keys(data)
        for name in SETS:
            corpora = list_corpora(data, name)
            for number, corpus in enumerate(corpora, start=1):
                place = locate(corpus, data, name)
                stem = name if len(corpora) == 1 else f"{name}-{number}"
                counts: Counter[str] = Counter()
                chunks = _tolerate_end(read_chunks(corpus, data, place))
                if name == "train":
                    chunks = _realign(chunks, report.breaks.get(place, ()), counts)
                fixer = _Fixer(data, report, held_out if name == "train" else None)
                paths = [draft / f"{stem}.{ending}" for ending in _choose_endings(place)]
                options: dict[str, Any] = {"mode": "w", "encoding": "utf-8", "newline": "\n"}
                with open(paths[0], **options) as sources, open(paths[1], **options) as targets:
                    for chunk in chunks:
                        kept = fixer.fix(chunk, counts)
                        sources.writelines(line + "\n" for line in kept[0])
                        targets.writelines(line + "\n" for line in kept[1])
                if name == "train" and not counts["kept"]:
                    raise DataError(f"{place.name}: no pair would be left; correct the files by hand")
                lines.append(_describe(place, folder / stem, counts))
    return lines


def _choose_endings(place: Place) -> tuple[str, str]:
    """Return the extensions of the source and the target file.

    These are the languages, unless the languages are equal or cannot be part of a file name.
    """
    source, target = place.languages
    usable = source != target and all(re.fullmatch(r"[\w-]+", language) for language in place.languages)
    return (source, target) if usable else ("source", "target")


def _collect_keys(data: DataConfig) -> Keys:
    """Return the sorted keys of all validation and held-out pairs."""
    keys = [np.empty(0, dtype=np.uint64)]
    for name in SETS[:-1]:
        for corpus in list_corpora(data, name):
            chunks = _tolerate_end(read_chunks(corpus, data, locate(corpus, data, name)))
            keys += [combine_keys(chunk) for chunk in chunks]
    return np.unique(np.concatenate(keys))


def _tolerate_end(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks before an unreadable line. The report already contains this fault."""
    try:
        yield from chunks
    except DataError:
        return


def _realign(chunks: Iterator[Chunk], breaks: Sequence[Break], counts: Counter[str]) -> Iterator[Chunk]:
    """Move the target of misaligned parts by their shift. Parts of unknown shift are left out."""
    memory: deque[tuple[str, str]] = deque(maxlen=_MEMORY)
    for chunk in chunks:
        sources, targets = [], []
        for index, pair in enumerate(zip(chunk.sides[0].lines, chunk.sides[1].lines, strict=True), start=chunk.first):
            memory.append(pair)
            part = next((part for part in breaks if part.start - _UNCERTAIN <= index < part.stop), None)
            source, target = pair
            if part is not None:
                moved = abs(part.shift)
                if not moved or index < part.start + _UNCERTAIN + moved or len(memory) <= moved:
                    counts["misaligned"] += 1
                    continue
                counts["aligned again"] += 1
                earlier = memory[-1 - moved]
                source, target = (earlier[0], target) if part.shift > 0 else (source, earlier[1])
            sources.append(source)
            targets.append(target)
        yield Chunk(place=chunk.place, first=chunk.first, sides=(SideLines(sources), SideLines(targets)))


class _Fixer:
    """Repairs the chunks of one corpus."""

    def __init__(self, data: DataConfig, report: CheckReport, held_out: Keys | None) -> None:
        """Prepare to repair a corpus.

        Args:
            data: the corpora and the limits.
            report: the report about all corpora.
            held_out: for a training corpus, the sorted keys of all validation and held-out pairs. For any other corpus,
                this is None, which means that all pairs are kept.
        """
        self._data, self._report, self._held_out = data, report, held_out
        self._seen = SeenHashes()

    def fix(self, chunk: Chunk, counts: Counter[str]) -> tuple[Lines, Lines]:
        """Return the repaired lines of both sides, and count in `counts` how often each kind of repair was made."""
        counts["read"] += len(chunk)
        before = chunk.sides
        sides = tuple(
            SideLines([fix_line(line, self._report.apostrophes[side]) for line in before[side].lines]) for side in SIDES
        )
        changed = sum(
            old != new for side in SIDES for old, new in zip(before[side].lines, sides[side].lines, strict=True)
        )
        counts["lines repaired"] += changed
        chunk = Chunk(place=chunk.place, first=chunk.first, sides=(sides[0], sides[1]))
        if self._held_out is None or not len(chunk):
            counts["kept"] += len(chunk)
            return chunk.sides[0].lines, chunk.sides[1].lines
        chunk, foreign = self._exchange(chunk, counts)
        source, target = (side.lines for side in chunk.sides)
        reasons = {
            "empty": np.array([not (a and b) for a, b in zip(source, target, strict=True)]),
            "not in UTF-8": np.array(["\ufffd" in a or "\ufffd" in b for a, b in zip(source, target, strict=True)]),
            "duplicates": ~self._seen.add(chunk.hashes),
            "also in valid or held_out": np.isin(combine_keys(chunk), self._held_out) & (combine_keys(chunk) > 0),
            "untranslated": _mask(find_untranslated(chunk, self._data), chunk),
            "lopsided": _mask(find_lopsided(chunk, self._data), chunk),
            "in another language": foreign,
        }
        kept = np.ones(len(chunk), dtype=np.bool_)
        for name, mask in reasons.items():
            counts[name] += int((mask & kept).sum())
            kept &= ~mask
        counts["kept"] += int(kept.sum())
        indices = np.flatnonzero(kept).tolist()
        return [source[index] for index in indices], [target[index] for index in indices]

    def _exchange(self, chunk: Chunk, counts: Counter[str]) -> tuple[Chunk, NDArray[np.bool_]]:
        """Exchange the sides of swapped pairs. Return the new chunk, and the mask of pairs with a foreign line."""
        if self._report.identifier is None:
            return chunk, np.zeros(len(chunk), dtype=np.bool_)
        languages = identify_chunk(chunk, self._report.identifier)
        foreign: NDArray[np.bool_] = (languages.foreign[0] >= 0) | (languages.foreign[1] >= 0)
        if not languages.swapped.any():
            return chunk, foreign
        counts["exchanged"] += int(languages.swapped.sum())
        pairs = zip(chunk.sides[0].lines, chunk.sides[1].lines, languages.swapped.tolist(), strict=True)
        source, target = zip(*((b, a) if exchange else (a, b) for a, b, exchange in pairs), strict=True)
        return Chunk(place=chunk.place, first=chunk.first, sides=(SideLines(source), SideLines(target))), foreign


def fix_line(line: str, apostrophe: str | None) -> str:
    """Compose accents (NFC), remove invisible characters, and replace white space by single spaces.

    If `apostrophe` is given, it replaces all other apostrophes within words.
    """
    line = " ".join(INVISIBLE.sub("", unicodedata.normalize("NFC", line)).split())
    return line if apostrophe is None else WITHIN_WORDS.sub(lambda _: apostrophe, line)


def _mask(indices: Indices, chunk: Chunk) -> NDArray[np.bool_]:
    mask = np.zeros(len(chunk), dtype=np.bool_)
    mask[np.asarray(indices, dtype=np.int64)] = True
    return mask


def _describe(place: Place, stem: Path, counts: Counter[str]) -> str:
    done = [f"{count:,} {name}" for name, count in counts.items() if count and name not in {"read", "kept"}]
    left = f"{counts['kept']:,} of {counts['read'] + counts['misaligned']:,} pairs"
    return f"{stem}.{{{','.join(_choose_endings(place))}}}: {left} of {place.name}" + (
        f"; {', '.join(done)}" if done else ""
    )
