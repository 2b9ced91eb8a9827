"""Functions that write a report as a single HTML page. The Jinja2 template of the page is page.html.j2.

Jinja2 escapes all values that the template inserts. No other module imports Jinja2.
"""

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jinja2

from nmt.evaluation.report.build import Report
from nmt.evaluation.report.draw import draw_bars, draw_curves, draw_heat_map, require_matplotlib
from nmt.evaluation.report.figures import NEGLECTED_BELOW, SHORT_BELOW
from nmt.evaluation.sets import SetScores
from nmt.system.files import saving, write_whole

PAGE = "index.html"


def prepare_folder(folder: str) -> None:
    """Create the folder of a report, and check that a report can be drawn and written.

    Callers use this function before the long computation of the scores, so that errors are reported early.

    Raises:
        MachineError: the folder cannot be created or written, or matplotlib is missing.
    """
    require_matplotlib()
    with saving(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def write_page(folder: str, report: Report, name: str = PAGE) -> None:
    """Write the page of a report into a folder. Raises MachineError: the page cannot be written."""
    write_whole(Path(folder) / name, render(report))


def write_sets(folder: str, sets: Sequence[SetScores]) -> None:
    """Write the page that compares several sets. The page of each set is set-NAME.html.

    Raises:
        MachineError: the page cannot be written.
    """
    write_whole(Path(folder) / PAGE, _environment().get_template("sets.html.j2").render(sets=sets))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nmt.evaluation.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Each picture is embedded as an image. Two pictures as inline SVG could contain equal ids.
    environment.filters["base64"] = lambda text: base64.b64encode(text.encode()).decode()
    return environment


def render(report: Report) -> str:
    """Return the HTML page of a report."""
    template = _environment().get_template("page.html.j2")
    length_groups, frequency_groups = report.length_groups, report.frequency_groups
    return template.render(
        report=report,
        compared=any(score.difference for score in report.evaluation.scores),
        short_below=SHORT_BELOW,
        neglected_below=NEGLECTED_BELOW,
        length_picture=draw_bars(
            [group.label for group in length_groups],
            [group.bleu for group in length_groups],
            x="words of the reference",
            y="BLEU",
            notes=[f"{group.sentences} sent." for group in length_groups],
        ),
        frequency_picture=draw_bars(
            [group.label for group in frequency_groups],
            [100 * group.f1 for group in frequency_groups],
            x="frequency",
            y="F1, %",
            notes=[f"{group.reference} words" for group in frequency_groups],
        ),
        maps=[
            (sentence, draw_heat_map(translation.attention, translation.tokens, translation.source_tokens))
            for sentence, translation in report.mapped
        ],
        training_picture=draw_curves(report.histories) if report.histories else "",
    )
