"""Write docs/cells.md from the templates in text/. Statements about the figures are computed from the figures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from tabulate import tabulate

from cell_comparison.figures import MASTERED, Studies, average_accuracies, compute_reach, find_mastered_distance
from cell_comparison.memory import Settings
from cell_comparison.pictures import MOMENTS
from cell_comparison.sizes import LEARNING_RATES, NAMES
from cell_comparison.tasks import TASKS
from cell_comparison.translation import TEST, VALID

TEXT = Path(__file__).parent / "text"
SHOWN = (1, 5, 10, 25, 50, 100)  # distances of gradients in tables


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The command, the commit and the machine that produced the figures."""

    command: str
    commit: str
    machine: str
    torch: str


def format_page(
    studies: Studies,
    settings: Settings,
    seeds: Sequence[int],
    translations: Mapping[str, Mapping[str, Any]] | None,
    gates: Mapping[str, Any] | None,
    origin: Origin,
) -> str:
    """Write the whole page. Without a corpus, the parts that need one are left out."""
    parts: list[tuple[str, dict[str, Any]]] = [("start", {}), ("memory", _memory(studies, settings, seeds))]
    if translations:
        parts.append(("translation", _translation(translations)))
    if gates:
        parts.append(("gates", _gates(gates)))
    parts.append(("end", vars(origin)))
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEXT),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    return "\n".join(templates.get_template(f"{name}.md").render(values) for name, values in parts)


# ---- tasks and gradients


def _memory(studies: Studies, settings: Settings, seeds: Sequence[int]) -> dict[str, Any]:
    rates = (f"{name} {LEARNING_RATES[cell]}" for cell, name in NAMES.items())
    return vars(settings) | {
        "seeds": join_words(map(str, seeds)),
        "rates": join_words(rates),
        "sizes": _sizes(studies),
        "tables": [_accuracy_table(name, cells) for name, cells in studies.items()],
        "statements": [_mastery(name, cells) for name, cells in studies.items()],
        "gradient_tables": [_gradient_table(name, cells) for name, cells in studies.items()],
        "gradient_statements": [
            _gradient_statement(name, cells, moment) for name, cells in studies.items() for moment in MOMENTS
        ],
    }


def _sizes(studies: Studies) -> str:
    cells = next(iter(studies.values()))
    shown = (f"{NAMES[cell]} {each[0]['size']} ({each[0]['parameters']:,})" for cell, each in cells.items())
    return f"Units, and in brackets parameters, in the task of {TASKS[next(iter(studies))].title}: {join_words(shown)}."


def _accuracy_table(name: str, cells: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    points = {cell: average_accuracies(results) for cell, results in cells.items()}
    distances = list(next(iter(points.values())))
    rows = (
        [NAMES[cell], *(f"{100 * value:.0f} ± {100 * deviation:.0f}" for value, deviation in each.values())]
        for cell, each in points.items()
    )
    return table([f"{TASKS[name].title}, distance", *map(str, distances)], rows)


def _mastery(name: str, cells: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """State the distance up to which each cell solves a task."""
    reached = {cell: find_mastered_distance(results) for cell, results in cells.items()}
    shown = join_words(
        f"{NAMES[cell]} {'none' if distance is None else distance}" for cell, distance in reached.items()
    )
    task = TASKS[name].title
    return f"- The longest tested distance up to which {MASTERED:.0%} of the answers are right, {task}: {shown}."


def _gradient_table(name: str, cells: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    rows = []
    for cell, results in cells.items():
        for moment, title in MOMENTS.items():
            for part in results[0][moment]:
                values = compute_reach(results, moment, part)
                shown = [f"{values[distance]:.2g}" if distance < len(values) else "" for distance in SHOWN]
                rows.append([f"{NAMES[cell]}, {part}, {title}", *shown])
    return table([f"{TASKS[name].title}, d", *map(str, SHOWN)], rows)


def _gradient_statement(name: str, cells: Mapping[str, Sequence[Mapping[str, Any]]], moment: str) -> str:
    """State which cells have the largest and the smallest gradient at the longest distance."""
    last = {cell: compute_reach(results, moment)[-1] for cell, results in cells.items()}
    distance = len(next(iter(cells.values()))[0][moment]["h"]) - 1
    best, worst = max(last, key=lambda cell: last[cell]), min(last, key=lambda cell: last[cell])
    return (
        f"- {TASKS[name].title.capitalize()}, {MOMENTS[moment]}: at distance {distance} the gradient of h is largest "
        f"in the {NAMES[best]}, {last[best]:.2g} times that at 0, and smallest in the {NAMES[worst]}, "
        f"{last[worst]:.2g} times."
    )


# ---- translation


def _translation(translations: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "epochs": _one_or_all(translations, "epochs"),
        "seed": _one_or_all(translations, "seed"),
        "table": _score_table(translations),
        "statement": _ranking(translations),
        "lengths": _length_table(translations),
        "scores": next(iter(translations.values()))[TEST]["scores"],
    }


def _one_or_all(translations: Mapping[str, Mapping[str, Any]], key: str) -> str:
    return join_words(dict.fromkeys(str(model[key]) for model in translations.values()))


def _score_table(translations: Mapping[str, Mapping[str, Any]]) -> str:
    heads = ["cell", "encoder, decoder size", "parameters", "learning rate", "training, min"]
    names = [score["name"] for score in next(iter(translations.values()))[TEST]["scores"]]
    heads += [f"{name}, {part}" for part in ("validation", "test") for name in names]
    rows = (
        [
            NAMES[cell],
            f"{model['encoder_size']}, {model['decoder_size']}",
            f"{model['parameters']:,}",
            str(model["learning_rate"]),
            "" if model["seconds"] is None else f"{model['seconds'] / 60:.1f}",
            *(
                f"{each['score']:.2f} ± {each['margin']:.2f}"
                for part in (VALID, TEST)
                for each in model[part]["scores"]
            ),
        ]
        for cell, model in translations.items()
    )
    return table(heads, rows)


def _ranking(translations: Mapping[str, Mapping[str, Any]]) -> str:
    """State which cell is best on the test set, and whether chance can explain its lead."""
    scores = {cell: model[TEST]["scores"][0] for cell, model in translations.items()}
    first, second, *_ = sorted(scores, key=lambda cell: -scores[cell]["score"])
    gap, margin = scores[first]["score"] - scores[second]["score"], scores[first]["margin"]
    relation = "more" if gap > margin else "no more"
    return (
        f"On the test set the {NAMES[first]} has the highest BLEU, {gap:.2f} above the {NAMES[second]}: {relation} "
        "than half the width of its confidence interval. One seed is one sample; another may order them otherwise."
    )


def _length_table(translations: Mapping[str, Mapping[str, Any]]) -> str:
    groups = next(iter(translations.values()))[TEST]["lengths"]
    heads = ["words", *(f"{group['label']} ({group['sentences']} sentences)" for group in groups)]
    rows = (
        [NAMES[cell], *(f"{group['bleu']:.2f}" for group in model[TEST]["lengths"])]
        for cell, model in translations.items()
    )
    return table(heads, rows)


# ---- gates


def _gates(gates: Mapping[str, Any]) -> dict[str, Any]:
    pieces, forward = gates["pieces"], gates["forward"]
    means = {name: sum(forward[name]) / len(pieces) for name in ("forget", "input", "output")}
    order = sorted(range(len(pieces)), key=lambda index: forward["forget"][index])
    shown = join_words(f"{name} {value:.2f}" for name, value in means.items())
    statement = (
        f"In the forward layer, the mean gates over units and tokens are: {shown}. The layer forgets most at "
        f"`{pieces[order[0]]}` (mean forget gate {forward['forget'][order[0]]:.2f}) and least at `{pieces[order[-1]]}` "
        f"({forward['forget'][order[-1]]:.2f})."
    )
    return {"statement": statement, "units": len(gates["units"])}


def join_words(items: Iterable[str]) -> str:
    """Join words as in `one, two and three`."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)
