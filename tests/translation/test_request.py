"""How translations of a line's parts become one."""

import pytest

from nmt.translation.request import Translation, joined_best, joined_samples, of_line, one_line


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


def test_line_breaks_that_bytes_spell() -> None:
    assert one_line("a\nb\r\nc") == "a b  c"


def test_the_parts_of_a_line_in_their_order() -> None:
    (whole,) = of_line([[FIRST, SECOND], [SECOND, THIRD], [THIRD]], joined_best)
    assert (whole.text, whole.tokens, whole.source_tokens) == ("a b c d", ["a", "b", "c", "d"], ["x", "y", "z", "w"])
    assert whole.alignment == [0, 1, 1, 2]
    assert [weights.index(1.0) for weights in whole.attention] == whole.alignment
    assert {len(weights) for weights in whole.attention} == {4}
    assert whole.score == pytest.approx(
        (4 * -1.0 + 2 * -3.0 + 1 * -5.0) / 7
    )  # the mean of log P, ends of sentences counted


def test_each_sample_of_a_line_is_one_of_each_part() -> None:
    found = of_line([[FIRST, SECOND], [SECOND, SECOND]], joined_samples)
    assert [translation.text for translation in found] == ["a b c d", "d d"]


def test_a_line_of_one_part_and_of_none() -> None:
    assert of_line([[FIRST, SECOND]], joined_best) == [FIRST, SECOND]
    assert of_line([], joined_best)[0].text == ""
