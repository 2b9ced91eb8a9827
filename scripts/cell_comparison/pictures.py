"""The drawings of docs/cells.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from cell_comparison.figures import Studies, average_accuracies, compute_reach
from cell_comparison.sizes import NAMES
from cell_comparison.tasks import TASKS
from nmt.evaluation.report.draw import draw, fill_heat_map

COLORS = {"rnn": "#818b98", "gru": "#bc4c00", "lstm": "#0969da"}
MOMENTS = {"before": "before training", "after": "after training"}
FLOOR = 1e-16  # of relative gradients drawn


def draw_memory(studies: Studies, longest: int) -> str:
    """Draw the accuracy by distance, in a panel for each task."""

    def paint(axes: list[Any]) -> None:
        for panel, (name, cells) in zip(axes, studies.items(), strict=True):
            for cell, results in cells.items():
                points = average_accuracies(results)
                values, deviations = zip(*points.values(), strict=True)
                style = {"color": COLORS[cell], "label": NAMES[cell], "marker": ".", "capsize": 2}
                panel.errorbar(list(points), values, yerr=deviations, **style)
            panel.axhline(TASKS[name].chance, color="black", linestyle=":", linewidth=1)
            panel.axvline(longest, color="#d0d7de", zorder=0)
            panel.set(title=TASKS[name].title, xlabel="distance", ylabel="accuracy", xscale="log", ylim=(0, 1.05))
            panel.set_xticks(list(points), list(points), minor=False)
            panel.minorticks_off()
        axes[0].legend(frameon=False)

    return draw(paint, 8.5, 3.0, columns=len(studies))


def draw_gradients(studies: Studies) -> str:
    """Draw the relative gradient norm by distance, before and after training, in a row for each task."""

    def paint(axes: list[Any]) -> None:
        contents = [(name, moment) for name in studies for moment in MOMENTS]
        for panel, (name, moment) in zip(axes, contents, strict=True):
            for cell, results in studies[name].items():
                for part, line in zip(results[0][moment], ("-", "--"), strict=False):
                    label = NAMES[cell] + (", c" if part == "c" else "")
                    panel.plot(compute_reach(results, moment, part), line, color=COLORS[cell], label=label)
            panel.set(title=f"{TASKS[name].title}, {MOMENTS[moment]}", xlabel="distance d", yscale="log")
            panel.yaxis.set_major_formatter("{x:.0e}")
            panel.set_ylim(bottom=max(FLOOR, panel.get_ylim()[0]))
        axes[0].legend(frameon=False)

    return draw(paint, 8.5, 6.0, rows=len(studies), columns=len(MOMENTS))


def draw_lengths(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Draw the BLEU of each cell by the length of the reference."""

    def paint(axes: list[Any]) -> None:
        for cell, each in groups.items():
            style = {"color": COLORS[cell], "label": NAMES[cell], "marker": "o"}
            axes[0].plot([group["label"] for group in each], [group["bleu"] for group in each], **style)
        axes[0].set(xlabel="words of the reference", ylabel="BLEU")
        axes[0].legend(frameon=False)

    return draw(paint, 6.0, 3.0)


def draw_gates(seen: Mapping[str, Any]) -> str:
    """Draw the means of the gates in both directions, token by token."""
    rows = {"forget": "forget gate", "input": "input gate", "output": "output gate", "cell": "|cell state|"}

    def paint(axes: list[Any]) -> None:
        for panel, direction in zip(axes, ("forward", "backward"), strict=True):
            fill_heat_map(panel, [seen[direction][name] for name in rows], list(rows.values()), seen["pieces"])
            panel.set_ylabel(direction)

    return draw(paint, 2.0 + 0.36 * len(seen["pieces"]), 4.6, rows=2)


def draw_units(seen: Mapping[str, Any]) -> str:
    """Draw the forget gates and cell states of single units, token by token."""
    names = [f"unit {number}" for number in seen["units"]]
    largest = max(abs(value) for row in seen["cell"] for value in row)

    def paint(axes: list[Any]) -> None:
        fill_heat_map(axes[0], seen["forget"], names, seen["pieces"])
        fill_heat_map(
            axes[1], seen["cell"], names, [""] * len(seen["pieces"]), colors="RdBu_r", bounds=(-largest, largest)
        )
        axes[0].set_ylabel("forget gate")
        axes[1].set_ylabel("cell state")

    return draw(paint, 2.0 + 0.36 * len(seen["pieces"]), 1.2 + 0.5 * len(names), rows=2)
