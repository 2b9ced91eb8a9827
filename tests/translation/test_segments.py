"""Segments: how texts are cut, and how the translations of their parts are joined."""

import pytest

from nmt.search.options import Options, SampleOptions, SearchOptions
from nmt.translation.request import Translation
from nmt.translation.segments import Segment, find_middle, join_segments


def part(text: str, score: float, source: str, alignment: list[int]) -> Translation:
    attention = [[float(position == place) for place in range(len(source.split()))] for position in alignment]
    tokens, source_tokens = text.split(), source.split()
    return Translation(
        text=text,
        score=score,
        source_tokens=source_tokens,
        tokens=tokens,
        alignment=alignment,
        attention=attention,
    )


FIRST, SECOND, THIRD = part("a b c", -1.0, "x y", [0, 1, 1]), part("d", -3.0, "z", [0]), part("", -5.0, "w", [])


def join(*found: list[Translation], options: Options = SearchOptions()) -> list[Translation]:  # noqa: B008
    return join_segments([Segment(ids=(4,), options=options)] * len(found), found)


def test_the_best_of_each_part_are_joined_in_order() -> None:
    (whole,) = join([FIRST, SECOND], [SECOND, THIRD], [THIRD])
    assert (whole.text, whole.tokens, whole.source_tokens) == ("a b c d", ["a", "b", "c", "d"], ["x", "y", "z", "w"])
    assert whole.alignment == [0, 1, 1, 2]
    assert [weights.index(1.0) for weights in whole.attention] == whole.alignment
    assert {len(weights) for weights in whole.attention} == {4}
    assert whole.score == pytest.approx(
        (4 * -1.0 + 2 * -3.0 + 1 * -5.0) / 7
    )  # the mean of log P, ends of sentences counted


def test_a_sample_of_a_text_joins_one_sample_of_each_part() -> None:
    found = join([FIRST, SECOND], [SECOND, SECOND], options=SampleOptions(samples=2))
    assert [translation.text for translation in found] == ["a b c d", "d d"]


def test_a_text_of_one_part_and_of_none() -> None:
    assert join([FIRST, SECOND]) == [FIRST, SECOND]
    (blank,) = join()
    assert (blank.text, blank.score, blank.tokens, blank.source_tokens) == ("", 0.0, [], [])


@pytest.mark.parametrize(
    ("text", "halves"),
    [
        # The sentence ends at 8 and 25 of 29 characters: 8 is nearer to the middle.
        ("one two. three four five. six", ["one two. ", "three four five. six"]),
        ("one two three four", ["one two ", "three four"]),
        ("aaaaaaaa", ["aaaa", "aaaa"]),
        ("一二三。四五六", ["一二三。", "四五六"]),
        ("end of it. ", ["end ", "of it. "]),
    ],
)
def test_texts_are_cut_near_the_middle_between_sentences_or_words(text: str, halves: list[str]) -> None:
    middle = find_middle(text)
    assert [text[:middle], text[middle:]] == halves
