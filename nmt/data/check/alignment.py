"""The check of alignment. In an aligned text, line N of the target is the translation of line N of the source.

The lengths of sentences correlate with the lengths of their translations. If one side lacks a line, each later line is
paired with the translation of a neighboring line, and the correlation collapses.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nmt.data.check.chunks import Chunk, Place
from nmt.data.check.findings import Finding, Severity

_FEWEST = 150  # the smallest number of pairs in a part; the correlation of fewer pairs is unreliable
_SPLIT = 4.0  # a text is split where the cumulative sum of products deviates by this many standard deviations
_ALIGNED = 0.4  # the correlation of an aligned text; corpora have 0.6 to 0.95
_COLLAPSED = 0.2  # the largest correlation of a misaligned part; loose translations of short lines have 0.3 or more
_UNRELATED = 0.15  # below this correlation, the sides of a whole text are not translations
_DIFFERENCE = 6.0  # a misaligned part has a correlation at least this many standard deviations below the best part
_MAX_SHIFT = 30  # the largest number of missing lines that the check can find
_REACH = 5 * _FEWEST  # a break is searched for at most this many lines before and after its estimated place
_CLIP = 2**16 - 1

Floats = NDArray[np.float64]
Lengths = NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class Break:
    """A misaligned part of a text."""

    start: int
    """The index of the first pair of the part."""
    stop: int
    """The index after the last pair of the part."""
    before: float | None
    """The correlation of lengths in the aligned parts of the text, or None if no part is aligned."""
    within: float
    """The correlation of lengths in this part."""
    shift: int
    """The distance in lines to the right target: line N of the source belongs to line N + shift of the target. 0 means
    that the distance is unknown."""


class Alignment:
    """Finds texts that are misaligned as a whole or from some line on."""

    def __init__(self) -> None:
        self._lengths: dict[Place, list[tuple[Lengths, Lengths]]] = {}

    def add(self, chunk: Chunk) -> None:
        """Record the lengths of the lines."""
        source, target = (np.minimum(side.lengths, _CLIP).astype(np.uint16) for side in chunk.sides)
        self._lengths.setdefault(chunk.place, []).append((source, target))

    def report(self) -> Iterable[Finding]:
        """Report the misaligned parts of each text."""
        for place, breaks in self.breaks.items():
            total = sum(len(source) for source, _ in self._lengths[place])
            for found in breaks:
                yield _describe(found, place, total)

    @cached_property
    def breaks(self) -> dict[Place, list[Break]]:
        """The misaligned parts of each text. They are found when all chunks have been added."""
        found = {}
        for place, parts in self._lengths.items():
            source, target = (np.concatenate(side) for side in zip(*parts, strict=True))
            found[place] = find_breaks(source, target)
        return found


def _describe(found: Break, place: Place, total: int) -> Finding:
    first, last = found.start + 1, found.stop
    count = found.stop - found.start
    if found.before is None:
        message = f"the sides are no translations of each other: their lengths correlate {found.within:.2f}"
    else:
        until = "on" if last == total else f"to {last:,}"
        message = (
            f"misaligned from about line {first:,} {until}: the lengths of the sides correlate "
            f"{found.before:.2f} elsewhere, {found.within:.2f} there"
        )
    if found.shift:
        lines, shorter, longer = abs(found.shift), place.files[found.shift < 0], place.files[found.shift > 0]
        advice = (
            f"{shorter} lacks {lines:,} line{'s' if lines > 1 else ''} near line {first:,}, or {longer} has too many; "
            "correct the files, or let --fix move the lines"
        )
    else:
        advice = "compare the files there; correct them, or leave out these pairs"
    return Finding(
        check="alignment",
        severity=Severity.SEVERE,
        place=place.name,
        message=message,
        advice=advice,
        share=count / total,
        line=first,
        count=count,
    )


def find_breaks(source: Lengths, target: Lengths) -> list[Break]:
    """Find the misaligned parts of a text. `source` and `target` are the lengths of its lines, each of shape (N,)."""
    x, y = np.log1p(source.astype(np.float64)), np.log1p(target.astype(np.float64))
    if len(x) < _FEWEST or not x.std() or not y.std():
        return []
    parts = _split(x, y, 0, len(x))
    figures = [(start, stop, correlate(x[start:stop], y[start:stop])) for start, stop in parts]
    best = max((r for start, stop, r in figures if stop - start >= _FEWEST), default=0.0)
    if best < _ALIGNED:
        whole = correlate(x, y)
        shift, fit = find_shift(x, y, 0, len(x))
        if whole > _UNRELATED and fit < max(_ALIGNED, 2 * whole):
            return []
        return [Break(start=0, stop=len(x), before=None, within=whole, shift=shift if fit >= _ALIGNED else 0)]
    breaks: list[Break] = []
    for start, stop, r in figures:
        certainty = float(np.subtract(*np.arctanh(np.clip([best, r], -0.999, 0.999)))) * np.sqrt(stop - start)
        if r > best / 2 or certainty < _DIFFERENCE:
            continue
        shift, fit = find_shift(x, y, start, stop)
        shift = shift if fit > max(_ALIGNED, 2 * r) else 0
        if r > _COLLAPSED and not shift:
            continue
        first = _refine(x, y, start, shift) if shift and start else start
        # `_split` also splits a misaligned part where the kind of text changes, so such parts are joined again.
        same = (
            breaks and (shift == breaks[-1].shift or not shift) and first - breaks[-1].stop < (_REACH if shift else 1)
        )
        if same:
            breaks[-1] = replace(breaks[-1], stop=stop)
        else:
            breaks.append(Break(start=first, stop=stop, before=best, within=r, shift=shift))
    return [replace(each, within=correlate(x[each.start : each.stop], y[each.start : each.stop])) for each in breaks]


def correlate(x: Floats, y: Floats) -> float:
    """Return the correlation of two series, or 0 if one of them is constant."""
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm else 0.0


def _split(x: Floats, y: Floats, start: int, stop: int) -> list[tuple[int, int]]:
    """Split a text where the correlation of the lengths changes.

    The method is Page's CUSUM of the products of the standardized lengths.
    """
    length = stop - start
    if length < 2 * _FEWEST:
        return [(start, stop)]
    a, b = x[start:stop], y[start:stop]
    products = (a - a.mean()) * (b - b.mean()) / max(a.std() * b.std(), 1e-9)
    products = np.minimum(products, 4.0)  # limits the influence of a few very long pairs
    sums = np.cumsum(products - products.mean())
    inner = np.abs(sums[_FEWEST - 1 : length - _FEWEST])
    cut = int(inner.argmax()) + _FEWEST
    if inner.max() < _SPLIT / 2 * products.std() * np.sqrt(length):
        return [(start, stop)]
    return _split(x, y, start, start + cut) + _split(x, y, start + cut, stop)


def find_shift(x: Floats, y: Floats, start: int, stop: int) -> tuple[int, float]:
    """Find the shift of the target with the highest correlation in a part. Return the shift and the correlation."""
    fits = {}
    for shift in (shift for shift in range(-_MAX_SHIFT, _MAX_SHIFT + 1) if shift):
        first, last = max(start, -shift), min(stop, len(x) - max(shift, 0))
        if last - first >= _FEWEST:
            fits[shift] = correlate(x[first:last], y[first + shift : last + shift])
    shift = max(fits, key=lambda shift: fits[shift], default=0)
    return shift, fits.get(shift, 0.0)


def _refine(x: Floats, y: Floats, start: int, shift: int) -> int:
    """Find the exact line, near the line `start`, from which the shifted target fits better than the unshifted one."""
    first, last = max(0, start - _REACH, -shift), min(len(x) - max(shift, 0), start + _REACH)
    ratio = float(np.median(y[:start] - x[:start]))
    plain = np.minimum((y[first:last] - x[first:last] - ratio) ** 2, 4)
    moved = np.minimum((y[first + shift : last + shift] - x[first:last] - ratio) ** 2, 4)
    costs = np.concatenate([[0.0], np.cumsum(plain - moved)])
    return first + int(costs.argmin())
