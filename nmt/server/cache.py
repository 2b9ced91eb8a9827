"""A bounded cache of the translations of segments."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from nmt.translation.request import Translation

# The size of objects in Python, rounded up. A segment and its translation can both contain the text.
_ENTRY_BYTES, _TOKEN_BYTES, _WEIGHT_BYTES, _CHARACTER_BYTES = 1_500, 150, 32, 12


class SegmentCache:
    """The translations of the segments that were used last. Callers lock it.

    Args:
        max_bytes: the approximate limit of its size. 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._entries: OrderedDict[Hashable, tuple[list[Translation], int]] = OrderedDict()

    def get(self, key: Hashable) -> list[Translation] | None:
        """Return the translations of a segment, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def add(self, key: Hashable, translations: list[Translation], tokens: int) -> None:
        """Add the translations of a segment, and remove the least recently used ones if there are too many.

        Args:
            key: the segment, and whatever else makes it different from others.
            translations: its translations.
            tokens: the number of tokens of the segment, which the key contains.
        """
        size = _TOKEN_BYTES * tokens + _estimate_bytes(translations)
        if size > self.max_bytes or key in self._entries:
            return
        self._entries[key] = translations, size
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, (_, removed) = self._entries.popitem(last=False)
            self.bytes -= removed

    def clear(self) -> None:
        """Remove everything."""
        self._entries.clear()
        self.bytes = 0


def _estimate_bytes(translations: Sequence[Translation]) -> int:
    return sum(
        _ENTRY_BYTES
        + _CHARACTER_BYTES * len(one.text)
        + _TOKEN_BYTES * (len(one.tokens) + len(one.source_tokens) + len(one.spans))
        + _WEIGHT_BYTES * sum(map(len, one.attention))
        for one in translations
    )
