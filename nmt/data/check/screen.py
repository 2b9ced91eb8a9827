"""Functions that write the result of checks: as one screen of text for people, and as JSON for programs."""

import dataclasses
import json
import os
import textwrap

from nmt.data.check.findings import Finding, Severity
from nmt.data.check.run import CheckReport
from nmt.system.terminal import escape_controls

_WIDTH = 100  # the width of a line after the label, in characters
_LABEL = 9  # the width of the label (severe, warning or note), in characters
_LINES = 40  # the number of lines that fit on a screen; examples are left out if the findings need more
_MAX_EXAMPLES = 2  # the largest number of examples of a finding


def write_screen(report: CheckReport) -> str:
    """Write findings for people, the worst first. Examples are included if they fit on one screen."""
    prefix = os.path.commonprefix([path for place in report.pairs for path in (place.name, *place.files)])  # noqa: RUF071
    folder = prefix[: prefix.rfind("/") + 1]  # the folder of all files, with a slash at its end, or an empty string
    sizes = ", ".join(f"{place.name.removeprefix(folder)} ({count:,} pairs)" for place, count in report.pairs.items())
    head = _wrap(f"checked {f'in {folder}: ' if folder else ''}{sizes}", indent="    ")
    if not report.findings:
        return "\n".join([*head, "nothing found"])
    for examples in reversed(range(_MAX_EXAMPLES + 1)):
        lines, told = list[str](), set[str]()
        for finding in report.findings:
            lines += _write_finding(finding, examples, folder, advise=finding.advice not in told)
            told.add(finding.advice)
        if len(lines) <= _LINES:
            break
    counts = [
        f"{number} {severity.name.lower()}{'s' if number > 1 and severity != Severity.SEVERE else ''}"
        for severity in reversed(Severity)
        if (number := sum(finding.severity == severity for finding in report.findings))
    ]
    sampled = f"; languages and repeated lines in 1 of {report.step} pairs" if report.step > 1 else ""
    return "\n".join([*head, *lines, ", ".join(counts) + sampled])


def _write_finding(finding: Finding, examples: int, folder: str, *, advise: bool) -> list[str]:
    """Write the lines of a finding. A note has one example less than other findings.

    `advise` says whether to write the advice. Findings with the same advice write it only once.
    """
    lines = _wrap(f"{finding.place.removeprefix(folder)}: {escape_controls(_shorten(finding.message, folder))}")
    for example in finding.examples[: max(0, examples - (finding.severity == Severity.NOTE))]:
        where = f"   {example.where.removeprefix(folder)}  "
        text, room = escape_controls(_shorten(example.text, folder)), _WIDTH - len(where)
        lines.append(where + (text if len(text) <= room else f"{text[: max(0, room - 3)]}..."))
    if advise:
        lines += _wrap(f"-> {_shorten(finding.advice, folder)}", indent="   ")
    label = f"{finding.severity.name.lower():<{_LABEL}}"
    return [f"{' ' * _LABEL if number else label}{line}" for number, line in enumerate(lines)]


def _shorten(text: str, folder: str) -> str:
    """Remove the common folder from the file names in a text."""
    return text.replace(folder, "") if folder else text


def _wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def write_json(report: CheckReport) -> str:
    """Write the corpora and all findings as one JSON object."""
    corpora = [
        {"set": place.set, "name": place.name, "files": list(dict.fromkeys(place.files)), "pairs": count}
        for place, count in report.pairs.items()
    ]
    findings = [
        {**dataclasses.asdict(finding), "severity": finding.severity.name.lower()} for finding in report.findings
    ]
    return json.dumps({"corpora": corpora, "findings": findings}, ensure_ascii=False, indent=2)
