"""A reader of .safetensors files that needs no other package.

The package safetensors can only open a file by its name. This module checks the header of an open file, and maps the
same file into memory. The tensors are views of this memory, so their shapes can be checked before memory is allocated.
"""

import json
import math
import mmap
import os
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nmt.errors import ModelError
from nmt.system.files import reason
from nmt.system.opening import open_file

MAX_HEADER_BYTES = 8 << 20  # the limit of the header in bytes
_MAX_DIMENSIONS = 8
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class MappedTensor(NamedTuple):
    """A tensor in a file that is mapped into memory."""

    type: str
    """The type of a value, as safetensors writes it: F32, I8, ..."""
    shape: tuple[int, ...]
    values: memoryview
    """The bytes of the values. Their address is a multiple of the size of a value. Changes are not written."""


class _Entry(NamedTuple):
    """The description of a tensor in the header. `begin` and `end` are counted in bytes from the end of the header."""

    name: str
    type: str
    shape: tuple[int, ...]
    begin: int
    end: int


def map_tensors(path: Path, max_bytes: int = 1 << 40) -> dict[str, MappedTensor]:
    """Map the tensors in a .safetensors file of at most `max_bytes`.

    Raises:
        ModelError: the file cannot be read, or its header is damaged.
    """
    with open_file(path, max_bytes) as stream:
        try:
            start, entries = _read_header(stream)
            content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY))
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{path}: cannot be read ({reason(error)}); copy the whole folder again") from error
    tensors = {}
    for entry in entries:
        values = content[start + entry.begin : start + entry.end]
        if (start + entry.begin) % _BYTES[entry.type]:  # safetensors aligns tensors, but other programs may not
            values = memoryview(bytearray(values))
        tensors[entry.name] = MappedTensor(entry.type, entry.shape, values)
    return tensors


def _read_header(stream: BinaryIO) -> tuple[int, list[_Entry]]:
    """Read the header. Check that types are known, and that the tensors cover the rest of the file exactly once.

    Returns:
        The position in the file at which the tensors begin, and the description of each tensor.

    Raises:
        ValueError: the header is damaged.
    """
    total = os.fstat(stream.fileno()).st_size
    length = int.from_bytes(stream.read(8), "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, total - 8):
        raise ValueError(f"its header cannot have {length:,} bytes")
    content = json.loads(stream.read(length), object_pairs_hook=_refuse_repeated_keys)
    if not isinstance(content, dict):
        raise ValueError("its header is not a JSON object")
    content.pop("__metadata__", None)
    entries = [_parse_entry(name, entry) for name, entry in content.items()]
    ends = [(0, 0), *sorted((entry.begin, entry.end) for entry in entries)]
    if any(end != begin for (_, end), (begin, _) in pairwise(ends)) or ends[-1][1] != total - 8 - length:
        raise ValueError("the tensors do not cover it exactly once")
    return 8 + length, entries


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("its header names a tensor twice")
    return content


def _parse_entry(name: str, entry: Any) -> _Entry:
    """Check the description of a tensor. Raises ValueError: the description is damaged."""
    shown = name if len(name) <= 100 else f"{name[:100]}..."
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{shown} is not described by dtype, shape and data_offsets")
    shape, offsets, kind = entry["shape"], entry["data_offsets"], entry["dtype"]
    if not isinstance(kind, str) or kind not in _BYTES:
        raise ValueError(f"{shown} has an unknown type")
    if not _are_sizes(shape) or len(shape) > _MAX_DIMENSIONS or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{shown} has an impossible shape or place")
    if math.prod(shape) * _BYTES[kind] != offsets[1] - offsets[0]:
        raise ValueError(f"{shown} has another number of bytes than its shape")
    return _Entry(name, kind, tuple(shape), *offsets)


def _are_sizes(values: Any) -> bool:
    """Return whether a JSON value is a list of possible sizes."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**48 for value in values)
