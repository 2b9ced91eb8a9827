"""The frontier of speed and BLEU as an SVG: a panel for each setting, with speed on a logarithmic axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nmt.evaluation.report.draw import draw
from translate_benchmark.figures import Figures, Setting

COLUMNS = 2
WIDTH, HEIGHT = 6.4, 3.6  # of a panel, in inches
OURS, OTHER = "#0969da", "#bc4c00"


@dataclass(frozen=True, kw_only=True)
class Point:
    """The speed and the BLEU of a contender."""

    name: str
    speed: float
    bleu: float
    ours: bool


def draw_frontier(figures: Figures) -> str:
    """Draw all contenders that have a BLEU score. Return the SVG."""
    panels = [(setting, points) for setting in figures.settings() if (points := find_points(figures, setting))]
    columns = min(COLUMNS, max(1, len(panels)))
    rows = max(1, math.ceil(len(panels) / columns))

    def paint(axes: list[Any]) -> None:
        for panel, (setting, points) in zip(axes, panels, strict=False):
            _paint_panel(panel, setting, points)
        for panel in axes[len(panels) :]:
            panel.set_axis_off()

    return draw(paint, columns * WIDTH, rows * HEIGHT, rows=rows, columns=columns)


def find_points(figures: Figures, setting: Setting) -> list[Point]:
    """Find the contenders of a setting whose speed and BLEU are known."""
    points = []
    for name, rounds in figures.of(setting).items():
        speed, bleu = rounds.median("sentences_per_second"), rounds.median("bleu")
        if speed is not None and bleu is not None:
            points.append(Point(name=name, speed=speed, bleu=bleu, ours=rounds.ours))
    return points


def find_frontier(points: Sequence[Point]) -> list[Point]:
    """Find the contenders that no other beats in both speed and BLEU, from the slowest to the fastest."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (-point.speed, -point.bleu)):
        if not best or point.bleu > best[-1].bleu:
            best.append(point)
    return best[::-1]


def _paint_panel(panel: Any, setting: Setting, points: Sequence[Point]) -> None:
    best = find_frontier(points)
    panel.plot([point.speed for point in best], [point.bleu for point in best], "--", color="#818b98", zorder=1)
    panel.set(title=setting.title, xlabel="sentences per second", ylabel="BLEU", xscale="log")
    panel.margins(x=0.25, y=0.15)
    panel.grid(color="#d8dee4", zorder=0)
    panel.xaxis.get_major_locator().set_params(subs=(1, 2, 5))
    panel.xaxis.set_major_formatter("{x:,g}")
    panel.xaxis.set_minor_formatter("")
    speeds, bleus = [math.log(point.speed) for point in points], [point.bleu for point in points]
    width, height = max(speeds) - min(speeds) or 1, max(bleus) - min(bleus) or 1
    for point in points:
        color = OURS if point.ours else OTHER
        panel.scatter(point.speed, point.bleu, color=color, zorder=2)

        def distance(other: Point, point: Point = point) -> float:
            return math.hypot(math.log(other.speed / point.speed) / width, (other.bleu - point.bleu) / height)

        # A name is above its point, or below it if the nearest other point is above.
        nearest = min((other for other in points if other is not point), key=distance, default=point)
        offset = {"xytext": (0, -6), "va": "top"} if nearest.bleu > point.bleu else {"xytext": (0, 6), "va": "bottom"}
        panel.annotate(
            point.name, (point.speed, point.bleu), textcoords="offset points", ha="center", color=color, **offset
        )
