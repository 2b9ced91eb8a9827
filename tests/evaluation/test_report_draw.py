"""Plots of a report as SVG."""

import sys
from xml.etree import ElementTree

import pytest

from nmt.errors import MachineError
from nmt.evaluation.report import draw
from nmt.evaluation.report.history import History

pytest.importorskip("matplotlib")


def texts(svg: str) -> list[str]:
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_bars_show_labels_values_and_notes() -> None:
    shown = texts(draw.draw_bars(["1–5", "6+"], [12.34, 0], x="words", y="BLEU", notes=["3 sent.", "4 sent."]))
    assert {"1–5", "6+", "12.3", "0.0", "words", "BLEU", "3 sent.", "4 sent."} <= set(shown)


def test_any_token_can_label_a_heat_map() -> None:
    tokens = ["▁a", "$x$", "<&>", "犬", "\x00", "_^{"]
    svg = draw.draw_heat_map([[0.5] * 6], ["▁犬"], tokens)
    assert {"▁a", "$x$", "<&>", "犬", "\ufffd", "_^{", "▁犬"} <= set(texts(svg))


def test_a_drawing_is_the_same_every_time() -> None:
    assert draw.draw_heat_map([[0.5, 1]], ["a"], ["b", "c"]) == draw.draw_heat_map([[0.5, 1]], ["a"], ["b", "c"])
    assert draw.draw_heat_map([[0.5, 1]], ["a"], ["b", "c"]) != draw.draw_heat_map([[0.5, 0]], ["a"], ["b", "c"])


def history(name: str, **validation: float) -> History:
    train = {"kind": "train", "update": 1, "seconds": 1.0, "loss": 3.0}
    return History(
        name=name, records=[train, {"kind": "valid", "update": 1, "seconds": 2.0, "loss": 2.0, **validation}]
    )


def test_curves_name_the_trainings_where_there_are_several() -> None:
    alone, both = (
        texts(draw.draw_curves([history("one")])),
        texts(draw.draw_curves([history("one", bleu=3.0), history("two")])),
    )
    assert {"training", "validation"} <= set(alone)
    assert "BLEU" not in alone
    assert {"one: training", "two: validation", "BLEU"} <= set(both)


def test_a_missing_matplotlib_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MachineError, match=r"pip install 'nmt\[plots\]'"):
        draw.require_matplotlib()
