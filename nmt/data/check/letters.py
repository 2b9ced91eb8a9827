"""Lines of text as arrays of code points, with which a check processes millions of characters at once."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

APOSTROPHES = "'`´‘’ʹʼʻˈ′ꞌ＇"
"""Characters that are used as apostrophes. Many languages use them as letters."""

SPACE, APOSTROPHE, _LINE_FEED = 32, 39, 10
_KNOWN, _LETTER, _NUMBER, _QUOTE = 1, 2, 4, 8

Codes = NDArray[np.uint32]
Keys = NDArray[np.uint64]

_kinds = np.zeros(0x110000, dtype=np.uint8)  # the flags of each code point, or 0 before it is first looked up


@dataclass(frozen=True, kw_only=True)
class Letters:
    """The lower-cased letters, marks, numbers and apostrophes of lines. A single space replaces all other text."""

    codes: Codes
    """The code points, shape (N,). The first and the last code point are spaces, and no two spaces are adjacent."""
    lines: NDArray[np.int64]
    """The index of the line of each code point, shape (N,)."""
    count: int
    """The number of lines."""


def read_letters(lines: Sequence[str], *, numbers: bool) -> Letters:
    """Extract the letters of lines, with or without numbers. The lines must not contain line feeds.

    With numbers, case is folded instead of lowered: ß becomes ss. Lines that differ only in case are then equal.
    """
    text = "\n".join(lines)
    text = unicodedata.normalize("NFC", f" {text.casefold() if numbers else text.lower()}\n")
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = _kinds[codes]
    if not kinds.all():
        for code in np.unique(codes[kinds == 0]).tolist():
            category = unicodedata.category(chr(code))[0]
            flags = {"L": _LETTER, "M": _LETTER, "N": _NUMBER}.get(category, 0)
            _kinds[code] = _KNOWN | (_QUOTE if chr(code) in APOSTROPHES else flags)
        kinds = _kinds[codes]
    kept = (_LETTER | _NUMBER) if numbers else _LETTER
    words = np.where(kinds & kept, codes, np.uint32(SPACE))
    words[(kinds & _QUOTE) > 0] = APOSTROPHE
    ends = codes == _LINE_FEED
    needed = np.ones(len(words), dtype=np.bool_)
    needed[1:] = (words[1:] != SPACE) | (words[:-1] != SPACE)
    return Letters(codes=words[needed], lines=(np.cumsum(ends) - ends)[needed], count=len(lines))


def hash_letters(letters: Letters) -> Keys:
    """Compute a 64-bit hash of the letters and numbers of each line. The hash is 0 if the line has none."""
    kept = (letters.codes != SPACE) & (letters.codes != APOSTROPHE)
    codes, lines = letters.codes[kept].astype(np.uint64), letters.lines[kept]
    starts = np.searchsorted(lines, np.arange(letters.count + 1))
    positions = np.arange(len(codes), dtype=np.uint64) - starts[lines].astype(np.uint64)
    mixed = codes * np.uint64(0x9E3779B97F4A7C15) + positions * np.uint64(0xD6E8FEB86659FD93)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    keys: Keys = sums[starts[1:]] - sums[starts[:-1]]
    return keys


def split_words(letters: Letters) -> list[str]:
    """Return the words of all lines."""
    return letters.codes.tobytes().decode("utf-32-le", "surrogatepass").split()
