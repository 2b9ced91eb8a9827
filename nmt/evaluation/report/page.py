"""A report as one HTML page that needs no other file. All text from outside is escaped."""

import base64
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from nmt.evaluation.report.build import Report
from nmt.evaluation.report.draw import bars, check, curves, heat_map
from nmt.evaluation.report.figures import LITTLE, SHORT, Sentence
from nmt.evaluation.scores import Score
from nmt.system.files import saving, write_whole

PAGE = "index.html"
EMPTY = "&nbsp;"  # what a line without text is shown as
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .75rem; text-align: right; vertical-align: top }
th { border-bottom: 1px solid } th:first-child, td:first-child, .text td { text-align: left }
.text tr { border-bottom: 1px solid #8884 } dt { float: left; width: 6rem; opacity: .7 } dd { margin-left: 6rem } dl { margin: 0 }
img { background: #fff; max-width: 100%; border-radius: 6px } code { font-size: 85%; overflow-wrap: anywhere }
"""


def prepare(folder: str) -> None:
    """Make sure, before any long work, that a page can be drawn and written there.

    Raises:
        MachineError: the folder cannot be made or written, or matplotlib is missing.
    """
    check()
    with saving(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def write_page(folder: str, report: Report) -> None:
    """Write the page into the folder. Raises MachineError: it cannot be written."""
    write_whole(Path(folder) / PAGE, page(report))


def page(report: Report) -> str:
    """The whole page."""
    sections = [
        ("Scores", _scores(report)),
        ("By length", _lengths(report)),
        ("By word frequency", _frequencies(report)),
        ("Length and omissions", _omissions(report)),
        ("Repetition", _repetitions(report)),
        ("Worst sentences", _worst(report)),
        ("Attention", _attention(report)),
        ("Training", _training(report)),
    ]
    body = "\n".join(f"<h2>{title}</h2>\n{content}" for title, content in sections if content)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">\n'
        f"<title>Evaluation</title>\n<style>{STYLE}</style></head>\n<body>\n<h1>Evaluation</h1>\n{body}\n</body>\n</html>\n"
    )


def _scores(report: Report) -> str:
    evaluation = report.evaluation
    compared = any(score.difference for score in evaluation.scores)
    heads = ["", "score", "95 % interval", *(["baseline", "p"] if compared else [])]
    lines = _paragraph(f"{evaluation.sentences} sentences, references per sentence: {evaluation.references}.")
    lines += _table(heads, map(_score, evaluation.scores))
    return lines + "".join(
        f"<p>{escape(score.name)}: <code>{escape(score.signature)}</code></p>" for score in evaluation.scores
    )


def _score(score: Score) -> Iterator[str]:
    yield from (score.name, f"{score.score:.2f}", f"{score.mean:.2f} ± {score.margin:.2f}")
    if score.difference:
        yield from (f"{score.difference.baseline:.2f}", f"{score.difference.p_value:.4f}")


def _lengths(report: Report) -> str:
    groups = report.lengths
    notes = [f"{group.sentences} sent." for group in groups]
    drawn = bars(
        [group.label for group in groups], [group.bleu for group in groups], "words of the reference", "BLEU", notes
    )
    rows = ([group.label, str(group.sentences), f"{group.bleu:.2f}", f"{group.chrf:.2f}"] for group in groups)
    text = "BLEU and chrF of all sentences of a length together. Groups of few sentences say little."
    return _paragraph(text) + _picture(drawn, "BLEU by length") + _table(["words", "sentences", "BLEU", "chrF"], rows)


def _frequencies(report: Report) -> str:
    groups = report.frequencies
    if not groups:
        return ""
    labels, notes = [group.label for group in groups], [f"{group.reference} words" for group in groups]
    drawn = bars(labels, [100 * group.f1 for group in groups], "frequency", "F1, %", notes)
    rows = (
        [
            group.label,
            str(group.reference),
            *(f"{100 * value:.1f}" for value in (group.precision, group.recall, group.f1)),
        ]
        for group in groups
    )
    text = (
        f"Words by how often they occur in {report.counted_in}. A word is right as often as it stands in both the translation "
        "and the first reference, in whatever place."
    )
    heads = ["frequency", "words in the references", "precision, %", "recall, %", "F1, %"]
    return _paragraph(text) + _picture(drawn, "F1 by word frequency") + _table(heads, rows)


def _omissions(report: Report) -> str:
    length = report.length
    text = (
        f"Translations have {length.hypothesis} words, first references {length.reference}: a ratio of {length.ratio:.3f}. "
        f"In {length.short} sentences the translation has less than {SHORT:.0%} of the reference's words."
    )
    if not report.coverages:
        return _paragraph(text)
    share = report.neglected / max(1, report.source_words)
    return _paragraph(text) + _paragraph(
        f"{report.neglected} of {report.source_words} source words ({share:.1%}) have letters or digits and got an attention of "
        f"less than {LITTLE:g}, summed over the translation. They may not have been translated; that is an indication, no proof."
    )


def _repetitions(report: Report) -> str:
    rows = (
        [str(each.size), str(each.surplus), f"{100 * each.surplus / max(1, each.total):.2f}", str(each.sentences)]
        for each in report.repetitions
    )
    text = "n-grams that a translation has more than once and more often than any reference of the sentence."
    return _paragraph(text) + _table(["n", "surplus", "of 100 n-grams", "sentences"], rows)


def _worst(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{sentence.number}</td><td>{sentence.chrf:.1f}</td><td>{_sentence(sentence)}</td></tr>\n"
        for sentence in report.worst
    )
    return (
        _paragraph("By chrF of the sentence alone.")
        + f'<table class="text"><tr><th>line</th><th>chrF</th><th></th></tr>\n{rows}</table>\n'
    )


def _sentence(sentence: Sentence) -> str:
    parts = [("source", sentence.source)] if sentence.source is not None else []
    parts += [("reference", reference) for reference in sentence.references]
    parts.append(("translation", sentence.hypothesis))
    if sentence.neglected:
        parts.append(("neglected", ", ".join(sentence.neglected)))
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{escape(text) or EMPTY}</dd>' for name, text in parts)}</dl>"


def _attention(report: Report) -> str:
    if not report.mapped:
        return ""
    maps = [
        _paragraph(f"Line {sentence.number}, chrF {sentence.chrf:.1f}:")
        + _picture(
            heat_map(translation.attention, translation.tokens, translation.source_tokens),
            f"attention, line {sentence.number}",
        )
        for sentence, translation in report.mapped
    ]
    text = "Each row is a piece of the translation, and shows where in the source the decoder looked when it chose that piece."
    return _paragraph(f"{text} From bad to good translations by chrF.") + "".join(maps)


def _training(report: Report) -> str:
    return _picture(curves(report.histories), "training curves") if report.histories else ""


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>\n"


def _picture(drawing: str, name: str) -> str:
    """As an image of its own, whose names cannot meet those of another."""
    data = base64.b64encode(drawing.encode()).decode()
    return f'<p><img alt="{escape(name)}" src="data:image/svg+xml;base64,{data}"></p>\n'


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>\n"
