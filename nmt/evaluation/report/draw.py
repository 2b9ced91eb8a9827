"""Functions that draw plots as SVG. No other module imports matplotlib."""

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from nmt.errors import MachineError
from nmt.evaluation.report.history import History
from nmt.metrics.standard import METRICS

CELL = 0.32  # the width and height of a cell of a heat map, in inches
COLOR = "#0969da"
_SETTINGS = {
    "svg.fonttype": "none",  # write text as text and not as outlines, so that the reader's browser chooses the font
    "svg.hashsalt": "nmt",  # make equal drawings produce equal files
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # do not interpret dollar signs in tokens
}


def require_matplotlib() -> Any:
    """Import matplotlib. Raises MachineError: the package is missing."""
    try:
        import matplotlib.figure
    except ImportError as error:
        raise MachineError("drawings need the extra: pip install 'nmt[plots]'") from error
    return matplotlib


def draw(paint: Callable[[list[Any]], None], width: float, height: float, *, rows: int = 1, columns: int = 1) -> str:
    """Draw a figure and return it as SVG.

    Args:
        paint: a function that draws into a list of axes. The list contains the axes of the grid, row by row.
        width: the width of the figure in inches.
        height: the height of the figure in inches.
        rows: the number of rows in the grid of axes.
        columns: the number of columns in the grid of axes.
    """
    matplotlib, stream = require_matplotlib(), io.StringIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # The reader's fonts can have glyphs that the fonts of this machine lack, so missing glyphs are no fault.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
        paint(list(figure.subplots(rows, columns, squeeze=False).flat))
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def draw_bars(labels: Sequence[str], values: Sequence[float], *, x: str, y: str, notes: Sequence[str]) -> str:
    """Draw a bar for each label, with the value above the bar and a note below the label. Return the SVG.

    Args:
        labels: the labels of the bars.
        values: the heights of the bars.
        x: the name of the horizontal axis.
        y: the name of the vertical axis.
        notes: a note for each bar.
    """

    def paint(axes: list[Any]) -> None:
        drawn = axes[0].bar(range(len(labels)), values, color=COLOR, width=0.7)
        axes[0].bar_label(drawn, fmt="%.1f")
        ticks = [f"{label}\n{note}" for label, note in zip(labels, notes, strict=True)]
        axes[0].set_xticks(range(len(labels)), ticks)
        axes[0].set(xlabel=x, ylabel=y)

    return draw(paint, max(4.0, 0.9 * len(labels)), 2.8)


def draw_heat_map(weights: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str]) -> str:
    """Draw weights from 0 (white) to 1 (dark) as a heat map with labels for rows and columns. Return the SVG."""
    margin = 0.3 + 0.09 * max(map(len, (*rows, *columns)))
    width, height = margin + CELL * len(columns), margin + CELL * len(rows)
    return draw(lambda axes: fill_heat_map(axes[0], weights, rows, columns), width, height)


def fill_heat_map(
    axes: Any,
    weights: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    colors: str = "Blues",
    bounds: tuple[float, float] = (0, 1),
) -> None:
    """Draw a heat map into axes.

    Args:
        axes: the matplotlib axes into which to draw.
        weights: the weight of each cell, with shape (rows, columns).
        rows: the labels of the rows.
        columns: the labels of the columns.
        colors: the name of a matplotlib color map.
        bounds: two weights. The first gets the first color of the color map, and the second gets the last color.
    """
    axes.imshow(weights, cmap=colors, vmin=bounds[0], vmax=bounds[1], aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(columns)), [replace_unprintable(label) for label in columns], rotation=90)
    axes.set_yticks(range(len(rows)), [replace_unprintable(label) for label in rows])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def draw_curves(histories: Sequence[History]) -> str:
    """Draw the training and validation losses of training runs, and one more plot for each metric of the validations.

    Returns:
        The plots as one SVG.
    """
    metrics = [metric for metric in METRICS.values() if any(each.series("valid", metric.name)[0] for each in histories)]

    def paint(axes: list[Any]) -> None:
        for history in histories:
            name = f"{replace_unprintable(history.name)}: " if len(histories) > 1 else ""
            axes[0].plot(*history.series("train", "loss"), label=f"{name}training", linewidth=1)
            axes[0].plot(*history.series("valid", "loss"), label=f"{name}validation", marker=".")
            for panel, metric in zip(axes[1:], metrics, strict=True):
                panel.plot(*history.series("valid", metric.name), label=f"{name}validation", marker=".")
        for panel, label in zip(axes, ["loss, nats per token", *(metric.title for metric in metrics)], strict=True):
            panel.set(xlabel="updates", ylabel=label)
            panel.legend(frameon=False)

    return draw(paint, 4.5 + 3.5 * len(metrics), 2.8, columns=1 + len(metrics))


def replace_unprintable(text: str) -> str:
    """Replace unprintable characters. XML, and therefore SVG, does not allow control characters."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
