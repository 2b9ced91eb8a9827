"""Stores of cleaned and tokenized pairs on disk.

The files of a store are mapped into memory. A process therefore needs the same memory for a large and a small corpus.
"""

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

_CHUNK = 1 << 20  # the number of pairs whose lengths are computed at once


class PairStore:
    """A reader of a store. It returns the ids of a pair by its index, and the text if the store contains text.

    The folder of a store contains these files. Numbers in them are stored in the byte order of the machine.

    - `source.ids`, `target.ids`: the concatenated ids of all pairs.
    - `source.offsets`, `target.offsets`: the position of the first id of each pair, and the end of all ids.
    - `text`, `text.offsets` (optional): the text of all pairs in UTF-8, and the offsets of the sides. Source and target
      alternate. If a pair has tags, each is stored as its own line before the source sentence.
    - `store.json`: the counts of the pairs, and a fingerprint of the inputs and settings.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder that `StoreWriter` wrote. Raises DataError: the folder is missing or damaged."""
        self._folder = folder
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            self.fingerprint: Any = description["fingerprint"]
            self.report = CleaningReport(**description["report"])
            self._size = int(description["pairs"])
            dtypes = description["dtypes"]
            self._source_offsets = _map_file(folder / "source.offsets", np.int64, self._size + 1)
            self._target_offsets = _map_file(folder / "target.offsets", np.int64, self._size + 1)
            self._source = _map_file(folder / "source.ids", dtypes[0], int(self._source_offsets[-1]))
            self._target = _map_file(folder / "target.ids", dtypes[1], int(self._target_offsets[-1]))
            self.has_text = bool(description["text"])
            if self.has_text:
                self._text_offsets = _map_file(folder / "text.offsets", np.int64, 2 * self._size + 1)
                self._text = _map_file(folder / "text", np.uint8, int(self._text_offsets[-1]))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(f"{folder}: not a readable store of pairs ({reason(error)}); remove the folder") from error

    def __len__(self) -> int:
        return self._size

    def __reduce__(self) -> tuple[type["PairStore"], tuple[Path]]:
        return PairStore, (self._folder,)  # a pickle needs only the path, because another process maps the same files

    def lengths(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the source and target lengths of some pairs in tokens, without EOS."""
        sources = self._source_offsets[indices + 1] - self._source_offsets[indices]
        targets = self._target_offsets[indices + 1] - self._target_offsets[indices]
        return sources, targets

    def longest(self) -> tuple[int, int]:
        """Return the length of the longest source and the length of the longest target, both without EOS."""
        chunks = [np.arange(begin, min(begin + _CHUNK, self._size)) for begin in range(0, self._size, _CHUNK)]
        sources, targets = zip(*(map(np.max, self.lengths(chunk)) for chunk in chunks), strict=True)
        return int(max(sources)), int(max(targets))

    def source(self, index: int) -> NDArray[Any]:
        """Return the source ids of a pair, without EOS."""
        return self._source[self._source_offsets[index] : self._source_offsets[index + 1]]

    def target(self, index: int) -> NDArray[Any]:
        """Return the target ids of a pair, without EOS."""
        return self._target[self._target_offsets[index] : self._target_offsets[index + 1]]

    def pair(self, index: int) -> Pair:
        """Return the text of a pair. The store contains text only if `has_text` is true."""
        start, middle, end = (int(offset) for offset in self._text_offsets[2 * index : 2 * index + 3])
        *tags, source = self._text[start:middle].tobytes().decode().split("\n")
        return Pair(source, self._text[middle:end].tobytes().decode(), tuple(tags))


def _map_file(path: Path, dtype: DTypeLike, count: int) -> NDArray[Any]:
    """Map a file as an array of `count` elements. Raises ValueError: the file does not have this size."""
    if path.stat().st_size != count * np.dtype(dtype).itemsize:
        raise ValueError(f"{path.name} is truncated or damaged")
    if count == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype=dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))  # slicing an array is faster than slicing a memmap


class StoreWriter:
    """A writer of a store. It writes the pairs in chunks into an existing folder.

    Use the writer in a `with` block, and call `finish` at the end of the block.
    """

    def __init__(self, folder: Path, *, sizes: tuple[int, int], text: bool) -> None:
        """Create the files of the store.

        Args:
            folder: the existing folder to write to.
            sizes: the vocabulary sizes of the source and the target side.
            text: whether to store the text of the pairs in addition to their ids.
        """
        self._folder = folder
        self._dtypes = tuple("uint16" if size <= 1 << 16 else "uint32" for size in sizes)
        self._pairs = 0
        self._files = ExitStack()
        self._source = self._open_blob("source.ids", "source.offsets")
        self._target = self._open_blob("target.ids", "target.offsets")
        self._text = self._open_blob("text", "text.offsets") if text else None

    def _open_blob(self, content: str, offsets: str) -> "_Blob":
        files = [self._files.enter_context((self._folder / name).open("wb")) for name in (content, offsets)]
        return _Blob(*files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, pairs: Sequence[Pair], sources: Sequence[list[int]], targets: Sequence[list[int]]) -> None:
        """Append pairs and the ids of their sides to the store."""
        self._source.extend(_lengths(sources), _flatten(sources, self._dtypes[0]))
        self._target.extend(_lengths(targets), _flatten(targets, self._dtypes[1]))
        if self._text:
            texts = [text.encode() for pair in pairs for text in ("\n".join((*pair.tags, pair.source)), pair.target)]
            self._text.extend(_lengths(texts), b"".join(texts))
        self._pairs += len(pairs)

    def finish(self, report: CleaningReport, fingerprint: Any) -> None:
        """Write the description of the store. A store without a description cannot be opened."""
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
    """A writer that concatenates items in one file, and writes the offsets of the items to another file."""

    def __init__(self, content: BinaryIO, offsets: BinaryIO) -> None:
        self._content, self._offsets = content, offsets
        self._end = 0
        offsets.write(np.zeros(1, dtype=np.int64).tobytes())

    def extend(self, lengths: NDArray[np.int64], content: bytes) -> None:
        """Append items. `lengths` are the numbers of elements, and `content` is the concatenated bytes of all items."""
        self._content.write(content)
        self._offsets.write((self._end + np.cumsum(lengths)).tobytes())
        self._end += int(lengths.sum())


def _lengths(items: Sequence[Sized]) -> NDArray[np.int64]:
    return np.fromiter(map(len, items), dtype=np.int64, count=len(items))


def _flatten(sequences: Sequence[list[int]], dtype: str) -> bytes:
    return np.fromiter(chain.from_iterable(sequences), dtype=dtype).tobytes()
