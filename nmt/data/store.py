"""A cleaned and tokenised corpus on disk, memory-mapped: memory use does not grow with the corpus."""

import json
from collections.abc import Sequence, Sized
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nmt.data.cleaning import CleaningReport
from nmt.data.pair import Pair
from nmt.errors import DataError
from nmt.system.files import reason

DESCRIPTION = "store.json"

_CHUNK = 1 << 20  # pairs that are looked at together


class PairStore:
    """Pairs of a corpus by index, as ids and, where it was stored, as text.

    A folder holds, in the machine's byte order: `source.ids` and `target.ids`, all ids one after another;
    `source.offsets` and `target.offsets`, where each pair's ids begin, and the end; with text, `text` (UTF-8, source
    and target in turn, each tag on a line before its source) and `text.offsets`; and `store.json` with the counts and
    the fingerprint of its inputs.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder that `StoreWriter` wrote. Raises DataError: it is missing or damaged."""
        self._folder = folder
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            self.fingerprint: Any = description["fingerprint"]
            self.report = CleaningReport(**description["report"])
            self._size = int(description["pairs"])
            dtypes = description["dtypes"]
            self._source_offsets = _mapped(folder / "source.offsets", np.int64, self._size + 1)
            self._target_offsets = _mapped(folder / "target.offsets", np.int64, self._size + 1)
            self._source = _mapped(folder / "source.ids", dtypes[0], int(self._source_offsets[-1]))
            self._target = _mapped(folder / "target.ids", dtypes[1], int(self._target_offsets[-1]))
            self.has_text = bool(description["text"])
            if self.has_text:
                self._text_offsets = _mapped(folder / "text.offsets", np.int64, 2 * self._size + 1)
                self._text = _mapped(folder / "text", np.uint8, int(self._text_offsets[-1]))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(f"{folder}: not a readable store of pairs ({reason(error)}); remove the folder") from error

    def __len__(self) -> int:
        return self._size

    def __reduce__(self) -> tuple[type["PairStore"], tuple[Path]]:
        return PairStore, (self._folder,)  # another process maps the same files, instead of getting what is in them

    def lengths(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Source and target pieces of some pairs, EOS not counted."""
        sources = self._source_offsets[indices + 1] - self._source_offsets[indices]
        targets = self._target_offsets[indices + 1] - self._target_offsets[indices]
        return sources, targets

    def longest(self) -> tuple[int, int]:
        """Most source and most target pieces of a pair, EOS not counted; not always of the same pair."""
        chunks = [np.arange(begin, min(begin + _CHUNK, self._size)) for begin in range(0, self._size, _CHUNK)]
        sources, targets = zip(*(map(np.max, self.lengths(chunk)) for chunk in chunks), strict=True)
        return int(max(sources)), int(max(targets))

    def source(self, index: int) -> NDArray[Any]:
        """Source ids of a pair, without EOS."""
        return self._source[self._source_offsets[index] : self._source_offsets[index + 1]]

    def target(self, index: int) -> NDArray[Any]:
        """Target ids of a pair, without EOS."""
        return self._target[self._target_offsets[index] : self._target_offsets[index + 1]]

    def pair(self, index: int) -> Pair:
        """The text of a pair. Only if `has_text`."""
        start, middle, end = (int(offset) for offset in self._text_offsets[2 * index : 2 * index + 3])
        *tags, source = self._text[start:middle].tobytes().decode().split("\n")
        return Pair(source, self._text[middle:end].tobytes().decode(), tuple(tags))


def _mapped(path: Path, dtype: DTypeLike, count: int) -> NDArray[Any]:
    """A flat file as an array of `count` elements, read from disk when used. Raises ValueError: it has another size."""
    if path.stat().st_size != count * np.dtype(dtype).itemsize:
        raise ValueError(f"{path.name} is cut short or damaged")
    if count == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype=dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))  # a plain array is faster to slice than a memmap


class StoreWriter:
    """Writes a store pair by pair, in chunks, into a folder that exists. Close with `finish`, in a `with` block."""

    def __init__(self, folder: Path, *, sizes: tuple[int, int], text: bool) -> None:
        """`sizes`: vocabulary sizes of the two sides. `text`: whether to store the text too."""
        self._folder = folder
        self._dtypes = tuple("uint16" if size <= 1 << 16 else "uint32" for size in sizes)
        self._pairs = 0
        self._files = ExitStack()
        self._source = self._blob("source.ids", "source.offsets")
        self._target = self._blob("target.ids", "target.offsets")
        self._text = self._blob("text", "text.offsets") if text else None

    def _blob(self, content: str, offsets: str) -> "_Blob":
        files = [self._files.enter_context((self._folder / name).open("wb")) for name in (content, offsets)]
        return _Blob(*files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, pairs: Sequence[Pair], sources: Sequence[list[int]], targets: Sequence[list[int]]) -> None:
        """Append pairs: their text and the ids of both sides."""
        self._source.extend(_lengths(sources), _flat(sources, self._dtypes[0]))
        self._target.extend(_lengths(targets), _flat(targets, self._dtypes[1]))
        if self._text:
            texts = [text.encode() for pair in pairs for text in ("\n".join((*pair.tags, pair.source)), pair.target)]
            self._text.extend(_lengths(texts), b"".join(texts))
        self._pairs += len(pairs)

    def finish(self, report: CleaningReport, fingerprint: Any) -> None:
        """Write the description, without which no store is there."""
        description = {
            "pairs": self._pairs,
            "dtypes": self._dtypes,
            "text": self._text is not None,
            "report": asdict(report),
            "fingerprint": fingerprint,
        }
        self._files.close()
        (self._folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")


class _Blob:
    """Pieces of data one after another in one file, and where each begins in another."""

    def __init__(self, content: BinaryIO, offsets: BinaryIO) -> None:
        self._content, self._offsets = content, offsets
        self._end = 0
        offsets.write(np.zeros(1, dtype=np.int64).tobytes())

    def extend(self, lengths: NDArray[np.int64], content: bytes) -> None:
        """Append pieces of these lengths, in elements."""
        self._content.write(content)
        self._offsets.write((self._end + np.cumsum(lengths)).tobytes())
        self._end += int(lengths.sum())


def _lengths(items: Sequence[Sized]) -> NDArray[np.int64]:
    return np.fromiter(map(len, items), dtype=np.int64, count=len(items))


def _flat(sequences: Sequence[list[int]], dtype: str) -> bytes:
    return np.fromiter(chain.from_iterable(sequences), dtype=dtype).tobytes()
