"""Aligned text files. Line N of one file is the translation of line N of the other file."""

import itertools
from collections.abc import Iterator
from typing import Any

from nmt.data.formats.selection import Sides
from nmt.data.text_files import MAX_SIDE_CHARACTERS, File, scan_lines
from nmt.errors import DataError

_END: Any = object()  # a mark that follows the last line of the shorter file


def read_aligned(source: File, target: File) -> Iterator[Sides | None]:
    """Read two aligned files. If a line has more than MAX_SIDE_CHARACTERS, None takes the place of its pair.

    Raises:
        DataError: a file cannot be read, or the numbers of lines differ.
    """
    sources, targets = scan_lines(source, MAX_SIDE_CHARACTERS), scan_lines(target, MAX_SIDE_CHARACTERS)
    for number, (left, right) in enumerate(itertools.zip_longest(sources, targets, fillvalue=_END)):
        if left is _END or right is _END:
            longer = number + 1 + sum(1 for _ in (targets if left is _END else sources))
            counts = (number, longer) if left is _END else (longer, number)
            raise DataError(
                f"{source} has {counts[0]} lines but {target} has {counts[1]}; "
                "line N of one must be the translation of line N of the other; correct the files"
            )
        yield None if left is None or right is None else (left, right)
