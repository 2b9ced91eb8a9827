"""Drawings as SVG. Only this file imports matplotlib."""

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from nmt.errors import MachineError
from nmt.evaluation.report.history import History
from nmt.metrics.standard import METRICS

CELL = 0.32  # inches, the side of a cell of a heat map
COLOR = "#0969da"
_SETTINGS = {
    "svg.fonttype": "none",  # text stays text, in the fonts of the reader
    "svg.hashsalt": "nmt",  # the same drawing gives the same file
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a token may contain a dollar sign
}


def require_matplotlib() -> Any:
    """The package matplotlib. Raises MachineError: it is missing."""
    try:
        import matplotlib.figure
    except ImportError as error:
        raise MachineError("drawings need the extra: pip install 'nmt[plots]'") from error
    return matplotlib


def draw(paint: Callable[[list[Any]], None], width: float, height: float, *, rows: int = 1, columns: int = 1) -> str:
    """The SVG of a drawing.

    Args:
        paint: a function that draws into the axes it is given, row by row.
        width, height: in inches.
        rows, columns: the grid of axes.
    """
    matplotlib, stream = require_matplotlib(), io.StringIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # The reader's fonts may have glyphs that this machine's have not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
        paint(list(figure.subplots(rows, columns, squeeze=False).flat))
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def draw_bars(labels: Sequence[str], values: Sequence[float], *, x: str, y: str, notes: Sequence[str]) -> str:
    """A bar for each label with its value above it and a note below the label. `x` and `y` name the axes."""

    def paint(axes: list[Any]) -> None:
        drawn = axes[0].bar(range(len(labels)), values, color=COLOR, width=0.7)
        axes[0].bar_label(drawn, fmt="%.1f")
        ticks = [f"{label}\n{note}" for label, note in zip(labels, notes, strict=True)]
        axes[0].set_xticks(range(len(labels)), ticks)
        axes[0].set(xlabel=x, ylabel=y)

    return draw(paint, max(4.0, 0.9 * len(labels)), 2.8)


def draw_heat_map(weights: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str]) -> str:
    """Weights from 0 (white) to 1 (dark), with a label for each row and column."""
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
    """Draw a heat map into axes, in one of matplotlib's color maps from the lower to the upper bound."""
    axes.imshow(weights, cmap=colors, vmin=bounds[0], vmax=bounds[1], aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(columns)), [replace_unprintable(label) for label in columns], rotation=90)
    axes.set_yticks(range(len(rows)), [replace_unprintable(label) for label in rows])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def draw_curves(histories: Sequence[History]) -> str:
    """The losses of each training by update, and next to them every metric that its validations report."""
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
    """Text without control characters, which XML does not allow."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
