"""The frontier of speed and BLEU as an SVG: a panel for each setting, speed on a logarithmic axis."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from translate_benchmark.figures import Figures, Setting
from translate_benchmark.table import number

WIDTH, HEIGHT, TOP, LEFT, RIGHT, BOTTOM = 640, 360, 48, 56, 150, 52  # of a panel; margins, the right one for labels
COLUMNS = 2
CHARACTER, LINE = 6.3, 14.0  # of labels, about
STYLE = """
    .page { fill: #ffffff; stroke: #d0d7de } .title { fill: #1f2328; font-size: 15px; font-weight: 600 }
    .axis { stroke: #818b98; stroke-width: 1 } .grid { stroke: #d8dee4; stroke-width: 1 }
    .tick { fill: #59636e; font-size: 12px }
    .label { font-size: 12px } .frontier { fill: none; stroke: #818b98; stroke-width: 1.6; stroke-dasharray: 5 4 }
    .ours { fill: #0969da } .other { fill: #bc4c00 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d } .title { fill: #f0f6fc } .axis { stroke: #768390 }
      .grid { stroke: #2a313c }
      .tick { fill: #9198a1 } .frontier { stroke: #768390 } .ours { fill: #4493f8 } .other { fill: #db6d28 }
    }"""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One contender."""

    name: str
    speed: float
    bleu: float
    ours: bool


@dataclass(frozen=True, kw_only=True)
class Axes:
    """From speed and BLEU to places in a panel."""

    speeds: tuple[float, float]
    bleus: tuple[float, float]

    @staticmethod
    def around(points: Sequence[Point]) -> "Axes":
        """With some room on all sides."""
        slow, fast = min(point.speed for point in points), max(point.speed for point in points)
        low, high = min(point.bleu for point in points), max(point.bleu for point in points)
        room = max(0.15 * (high - low), 0.5)
        return Axes(speeds=(slow / 1.6, fast * 1.6), bleus=(low - room, high + room))

    def x(self, speed: float) -> float:
        low, high = map(math.log, self.speeds)
        return LEFT + (math.log(speed) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, bleu: float) -> float:
        low, high = self.bleus
        return HEIGHT - BOTTOM - (bleu - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def speed_ticks(self) -> list[float]:
        """1, 2, 5, 10, ... as far as the axis goes; powers of ten alone where that is enough."""
        decades = range(math.floor(math.log10(self.speeds[0])), math.ceil(math.log10(self.speeds[1])) + 1)
        steps = (1, 2, 5) if self.speeds[1] / self.speeds[0] < 300 else (1,)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        return [tick for tick in ticks if self.speeds[0] <= tick <= self.speeds[1]]

    def bleu_ticks(self) -> list[float]:
        low, high = self.bleus
        step = next(step for step in (0.2, 0.5, 1, 2, 5, 10, 25) if (high - low) / step <= 8)
        first = math.ceil(low / step)
        return [step * index for index in range(first, math.floor(high / step) + 1)]


def svg(figures: Figures) -> str:
    """The whole picture. Contenders without BLEU are left out."""
    panels = [(setting, points) for setting in figures.settings() if (points := _points(figures, setting))]
    columns = min(COLUMNS, max(1, len(panels)))
    width, height = columns * WIDTH, max(1, math.ceil(len(panels) / columns)) * HEIGHT
    drawn = [
        f'<g transform="translate({index % columns * WIDTH} {index // columns * HEIGHT})">{_panel(setting, points)}</g>'
        for index, (setting, points) in enumerate(panels)
    ]
    font = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title" '
        f'font-family="{font}">\n  <title id="title">Speed and BLEU of each contender</title>\n'
        f"  <style>{STYLE}\n  </style>\n"
        f'  <rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="14"/>\n  '
        + "\n  ".join(drawn)
        + "\n</svg>\n"
    )


def frontier(points: Sequence[Point]) -> list[Point]:
    """The contenders that no other beats in both speed and BLEU, from the slowest to the fastest."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (-point.speed, -point.bleu)):
        if not best or point.bleu > best[-1].bleu:
            best.append(point)
    return best[::-1]


def _points(figures: Figures, setting: Setting) -> list[Point]:
    result = []
    for name, rounds in figures.of(setting).items():
        speed, bleu = rounds.median("sentences_per_second"), rounds.median("bleu")
        if speed is not None and bleu is not None:
            result.append(Point(name=name, speed=speed, bleu=bleu, ours=rounds.ours))
    return result


def _panel(setting: Setting, points: Sequence[Point]) -> str:
    axes = Axes.around(points)
    parts = [f'<text class="title" x="{LEFT}" y="30">{escape(setting.title)}</text>', *_grid(axes)]
    way = " L".join(f"{axes.x(point.speed):.1f} {axes.y(point.bleu):.1f}" for point in frontier(points))
    parts.append(f'<path class="frontier" d="M{way}"/>')
    for point in points:
        kind, x, y = "ours" if point.ours else "other", axes.x(point.speed), axes.y(point.bleu)
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    return "\n    ".join([*parts, *_labels(axes, points)])


def _grid(axes: Axes) -> Iterator[str]:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for speed in axes.speed_ticks():
        x = axes.x(speed)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{floor}"/>'
        shown = f"{speed:,.0f}" if speed >= 1 else number(speed)
        yield f'<text class="tick" x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{shown}</text>'
    for bleu in axes.bleu_ticks():
        y = axes.y(bleu)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{bleu:g}</text>'
    yield f'<path class="axis" d="M{LEFT} {TOP}V{floor}H{right}" fill="none"/>'
    yield f'<text class="tick" x="{(LEFT + right) / 2}" y="{floor + 38}" text-anchor="middle">sentences a second</text>'
    yield f'<text class="tick" x="{LEFT - 8}" y="{TOP - 8}" text-anchor="end">BLEU</text>'


def _labels(axes: Axes, points: Sequence[Point]) -> Iterator[str]:
    """Each name beside its point, where nothing else is."""
    taken = [(axes.x(point.speed) - 6, axes.y(point.bleu) - 6, 12.0, 12.0) for point in points]
    for point in sorted(points, key=lambda point: -point.speed):
        width = CHARACTER * len(point.name)
        boxes = list(_places(axes.x(point.speed), axes.y(point.bleu), width))
        box = next((box for box in boxes if _free(box, taken)), boxes[0])
        taken.append(box)
        kind = "ours" if point.ours else "other"
        yield f'<text class="label {kind}" x="{box[0]:.1f}" y="{box[1] + 11:.1f}">{escape(point.name)}</text>'


Box = tuple[float, float, float, float]  # left, top, width, height


def _places(x: float, y: float, width: float) -> Iterator[Box]:
    """Right of a point, left of it, above, below, then farther above and below."""
    for shift in (0, 1, -1, 2, -2, 3, -3, 4, -4):
        top = y - LINE / 2 + shift * LINE
        for left in (x + 9, x - 9 - width, x - width / 2) if shift else (x + 9, x - 9 - width):
            yield left, top, width, LINE


def _free(box: Box, taken: Sequence[Box]) -> bool:
    left, top, width, height = box
    inside = left >= LEFT + 2 and left + width <= WIDTH - 4 and top >= TOP and top + height <= HEIGHT - BOTTOM
    apart = all(left + width <= x or x + w <= left or top + height <= y or y + h <= top for x, y, w, h in taken)
    return inside and apart
