"""Drawings as SVG, by matplotlib, which only this file imports."""

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from nmt.errors import MachineError
from nmt.evaluation.report.history import History
from nmt.metrics.standard import METRICS

CELL = 0.32  # of a heat map, inches
COLOUR = "#0969da"
_SETTINGS = {
    "svg.fonttype": "none",  # text stays text, shown in the reader's own fonts
    "svg.hashsalt": "nmt",  # the same drawing is the same file
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a piece may hold a $
}


def check() -> None:
    """Raises MachineError where matplotlib is missing."""
    _matplotlib()


def _matplotlib() -> Any:
    try:
        import matplotlib.figure
    except ImportError as error:
        raise MachineError("drawings need the extra: pip install 'nmt[plots]'") from error
    return matplotlib


def draw(paint: Callable[[list[Any]], None], width: float, height: float, *, rows: int = 1, columns: int = 1) -> str:
    """The SVG of a drawing of so many inches. `paint` is given its axes, row by row."""
    package, stream = _matplotlib(), io.StringIO()
    with package.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from", category=UserWarning
        )  # the reader's font has it
        figure = package.figure.Figure(figsize=(width, height), layout="constrained")
        paint(list(figure.subplots(rows, columns, squeeze=False).flat))
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def bars(labels: Sequence[str], values: Sequence[float], across: str, up: str, below: Sequence[str]) -> str:
    """A bar for each label, its value above it; `below` stands under each label."""

    def paint(axes: list[Any]) -> None:
        drawn = axes[0].bar(range(len(labels)), values, color=COLOUR, width=0.7)
        axes[0].bar_label(drawn, fmt="%.1f")
        ticks = [f"{label}\n{note}" for label, note in zip(labels, below, strict=True)]
        axes[0].set_xticks(range(len(labels)), ticks)
        axes[0].set(xlabel=across, ylabel=up)

    return draw(paint, max(4.0, 0.9 * len(labels)), 2.8)


def heat_map(weights: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str]) -> str:
    """Weights from 0 (white) to 1 (dark), a row and a column for each label."""
    margin = 0.3 + 0.09 * max(map(len, (*rows, *columns)))
    width, height = margin + CELL * len(columns), margin + CELL * len(rows)
    return draw(lambda axes: fill(axes[0], weights, rows, columns), width, height)


def fill(
    axes: Any,
    weights: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    colours: str = "Blues",
    bounds: tuple[float, float] = (0, 1),
) -> None:
    """Draw a heat map into axes, in one of matplotlib's colour maps from the lower to the upper bound."""
    axes.imshow(weights, cmap=colours, vmin=bounds[0], vmax=bounds[1], aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(columns)), [printable(label) for label in columns], rotation=90)
    axes.set_yticks(range(len(rows)), [printable(label) for label in rows])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def curves(histories: Sequence[History]) -> str:
    """The losses over the updates of each training, and every metric of its validations."""
    measured = [
        metric for metric in METRICS.values() if any(each.series("valid", metric.name)[0] for each in histories)
    ]

    def paint(axes: list[Any]) -> None:
        for history in histories:
            name = f"{printable(history.name)}: " if len(histories) > 1 else ""
            axes[0].plot(*history.series("train", "loss"), label=f"{name}training", linewidth=1)
            axes[0].plot(*history.series("valid", "loss"), label=f"{name}validation", marker=".")
            for panel, metric in zip(axes[1:], measured, strict=True):
                panel.plot(*history.series("valid", metric.name), label=f"{name}validation", marker=".")
        for each, label in zip(axes, ("loss, nats per token", *(metric.title for metric in measured)), strict=True):
            each.set(xlabel="updates", ylabel=label)
            each.legend(frameon=False)

    return draw(paint, 4.5 + 3.5 * len(measured), 2.8, columns=1 + len(measured))


def printable(text: str) -> str:
    """Text without characters that no XML may hold."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
