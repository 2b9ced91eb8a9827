"""A cleaned and tokenized corpus on disk, memory-mapped: memory use does not grow with the corpus."""

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

_CHUNK = 1 << 20  # pairs processed at once


class PairStore:
    """The pairs of a corpus by index, as ids and optionally as text.

    Files of the folder, in the byte order of the machine:

    - `source.ids`, `target.ids`: the ids of all pairs, concatenated.
    - `source.offsets`, `target.offsets`: the start of each pair's ids, and the end of the last.
    - `text`, `text.offsets` (optional): the same for text in UTF-8, source and target alternating. Each tag is a line
      before its source.
    - `store.json`: counts, and a fingerprint of what the store was made from.
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
        return PairStore, (self._folder,)  # another process maps the same files, so the content is not pickled

    def lengths(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Source and target lengths of some pairs in tokens, without EOS."""
        sources = self._source_offsets[indices + 1] - self._source_offsets[indices]
        targets = self._target_offsets[indices + 1] - self._target_offsets[indices]
        return sources, targets

    def longest(self) -> tuple[int, int]:
        """The greatest source and the greatest target length, without EOS; they may belong to different pairs."""
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


def _map_file(path: Path, dtype: DTypeLike, count: int) -> NDArray[Any]:
    """Map a file as an array of `count` elements. Raises ValueError: it has another size."""
    if path.stat().st_size != count * np.dtype(dtype).itemsize:
        raise ValueError(f"{path.name} is truncated or damaged")
    if count == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype=dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))  # slicing a plain array is faster


class StoreWriter:
    """Writes a store in chunks into an existing folder. Use it in a `with` block, and call `finish` at the end."""

    def __init__(self, folder: Path, *, sizes: tuple[int, int], text: bool) -> None:
        """`sizes`: vocabulary sizes of both sides. `text`: whether to store the text too."""
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
        """Append pairs with the ids of both sides."""
        self._source.extend(_lengths(sources), _flatten(sources, self._dtypes[0]))
        self._target.extend(_lengths(targets), _flatten(targets, self._dtypes[1]))
        if self._text:
            texts = [text.encode() for pair in pairs for text in ("\n".join((*pair.tags, pair.source)), pair.target)]
            self._text.extend(_lengths(texts), b"".join(texts))
        self._pairs += len(pairs)

    def finish(self, report: CleaningReport, fingerprint: Any) -> None:
        """Write the description. Without it the store is not readable."""
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
    """Items concatenated in one file, with their offsets in another."""

    def __init__(self, content: BinaryIO, offsets: BinaryIO) -> None:
        self._content, self._offsets = content, offsets
        self._end = 0
        offsets.write(np.zeros(1, dtype=np.int64).tobytes())

    def extend(self, lengths: NDArray[np.int64], content: bytes) -> None:
        """Append items; `lengths` are in elements."""
        self._content.write(content)
        self._offsets.write((self._end + np.cumsum(lengths)).tobytes())
        self._end += int(lengths.sum())


def _lengths(items: Sequence[Sized]) -> NDArray[np.int64]:
    return np.fromiter(map(len, items), dtype=np.int64, count=len(items))


def _flatten(sequences: Sequence[list[int]], dtype: str) -> bytes:
    return np.fromiter(chain.from_iterable(sequences), dtype=dtype).tobytes()
