"""The checks of nmt-check that look at one pair at a time, for corpora of any size."""

from collections.abc import Sequence

from nmt.config.schema import DataConfig
from nmt.corpus.items import Item
from nmt.data.check.chunks import Chunk, Place, SideLines
from nmt.data.check.lines import LINE_FAULTS

_PLACE = Place(set="train", name="corpus", files=("source", "target"), languages=("source", "target"))
_DATA = DataConfig()


def check_items(items: Sequence[Item]) -> list[str]:
    """Return the names of the faults of each pair, separated by commas. A pair without faults has an empty text.

    Whether the lengths of a pair are lopsided depends on the median ratio of all pairs of a call.
    """
    names: list[list[str]] = [[] for _ in items]
    texts = ([item.text or "" for item in items], [item.target for item in items])
    sides = SideLines([*map(_join, texts[0])]), SideLines([*map(_join, texts[1])])
    chunk = Chunk(place=_PLACE, first=0, sides=sides)
    for fault in LINE_FAULTS:
        found: set[int] = set()
        if fault.find_lines:
            found = {int(index) for side in sides for index in fault.find_lines(side)}
        if fault.find_pairs:
            found |= {int(index) for index in fault.find_pairs(chunk, _DATA)}
        for index in found:
            names[index].append(fault.name)
    return [",".join(found) for found in names]


def _join(text: str) -> str:
    """Make a text a single line, because the checks look at the lines of all pairs at once."""
    return text.replace("\n", " ")
