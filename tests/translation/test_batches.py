"""Batches: which segments are searched together."""

from nmt.search.options import Options, SampleOptions, SearchOptions
from nmt.translation.batches import cut, max_segments, plan_batches
from nmt.translation.output import replace_line_breaks
from nmt.translation.request import Segment
from nmt.types import EOS

GREEDY = SearchOptions(beam=1)


def segments(*lengths: int, options: Options = GREEDY) -> list[Segment]:
    return [Segment(source=(*(5,) * length, EOS), options=options) for length in lengths]


def plan(*lengths: int, size: int | None = None) -> list[list[int]]:
    """The lengths in each batch."""
    batches = plan_batches(segments(*lengths), size)
    return [[lengths[index] for index in batch] for batch in batches]


def test_batches_have_similar_lengths_and_the_longest_come_first() -> None:
    assert plan(3, 9, 1, 7, 5, size=2) == [[9, 7], [5, 3], [1]]
    assert plan_batches(segments(2, 2, 2, 2), 3) == [[0, 1, 2], [3]]  # equal lengths keep their order
    assert plan() == []


def test_a_batch_has_the_same_options_throughout() -> None:
    drawn = SampleOptions(samples=320)
    mixed = [*segments(3, 1), *segments(2, 4, 5, options=drawn), *segments(6)]
    batches = plan_batches(mixed, None)
    assert [{mixed[index].options for index in batch} for batch in batches] == [{GREEDY}, {drawn}, {drawn}]
    assert [[len(mixed[index].ids) for index in batch] for batch in batches] == [[6, 3, 1], [5, 4], [2]]


def test_a_batch_holds_as_many_segments_as_the_beam_allows() -> None:
    beams = [SearchOptions(beam=beam) for beam in (1, 5, 7, 1000)]
    assert [max_segments(options, None) for options in beams] == [96, 96, 91, 1]
    assert [max_segments(options, 7) for options in beams] == [7, 7, 7, 7]


def test_a_batch_holds_a_limited_number_of_tokens() -> None:
    assert [len(part) for part in cut(range(9), [2000, 1500, 1500, *[5] * 6], 4)] == [2, 2, 4, 1]
    assert [len(part) for part in cut(range(2), [9000, 9000], 4)] == [1, 1]
    assert [len(part) for part in cut(range(3), [2048] * 3, 4)] == [2, 1]
    assert [len(batch) for batch in plan(2047, 2047)] == [2]
    assert [len(batch) for batch in plan(2048, 2048)] == [1, 1]  # EOS counts


def test_line_breaks_become_spaces() -> None:
    assert replace_line_breaks("a\nb\r\nc") == "a b  c"
