"""A report, built and written as a page."""

import base64
import dataclasses
import functools
import re
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nmt.errors import MachineError
from nmt.evaluation.report.build import MAPS, MAX_MAP_TOKENS, WORST, Report, ReportInputs, build_report
from nmt.evaluation.report.history import History
from nmt.evaluation.report.page import prepare_folder, render, write_page
from nmt.evaluation.scores import Evaluation, evaluate
from nmt.metrics.metric import Scoring
from nmt.translation.request import Translation

pytest.importorskip("matplotlib")

SOURCE = [f"sentence {number} <b>" for number in range(30)]
REFERENCES = [f"Satz {number} & mehr" for number in range(30)]
HYPOTHESES = [f"Satz {number % 7} <script>" for number in range(30)]
RECORD = {"kind": "valid", "update": 1, "seconds": 2.0, "loss": 2.0}


def translation(text: str, tokens: int = 3) -> Translation:
    weights = [[1 / (tokens + 1)] * tokens for _ in range(tokens)]
    names = [f"▁{number}" for number in range(tokens)]
    return Translation(
        text=text, score=0.0, source_tokens=names, tokens=names, alignment=[0] * tokens, attention=weights
    )


@functools.cache
def evaluation(baseline: bool = False) -> Evaluation:
    return evaluate(HYPOTHESES, [REFERENCES], metrics=["chrf"], baseline=REFERENCES if baseline else None)


def report(
    *, model: bool = True, counted: Sequence[str] = (), baseline: bool = False, hypotheses: Sequence[str] = HYPOTHESES
) -> Report:
    inputs = ReportInputs(
        evaluation=evaluation(baseline),
        hypotheses=hypotheses,
        references=[REFERENCES],
        scoring=Scoring(),
        source=SOURCE if model else None,
        translations=[translation(text) for text in hypotheses] if model else [],
        frequency_text=("<corpus>", counted) if counted else None,
        histories=[History(name="run", records=[RECORD])] if model else [],
    )
    return build_report(inputs)


class Reader(HTMLParser):
    """Takes a page apart and checks that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.headings: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_a_page_shows_every_part_and_escapes_all_text() -> None:
    text = render(report())
    read = Reader(text)
    parts = ["Scores", "By length", "By word frequency", "Length and omissions", "Repetition", "Worst sentences"]
    assert read.headings == [*parts, "Attention", "Training"]
    assert not read.tags & {"script", "b"}
    assert "Satz 1 <script>" in read.text
    assert "sentence 29 <b>" in read.text
    assert "nrefs:1" in read.text
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text)
    assert len(pictures) == 2 + MAPS + 1
    for picture in pictures:
        ElementTree.fromstring(base64.b64decode(picture))
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


def test_without_a_model_there_is_neither_attention_nor_training() -> None:
    read = Reader(render(report(model=False)))
    assert read.headings[-1] == "Worst sentences"
    assert "attention" not in read.text
    assert "source" not in read.text.partition("Worst sentences")[2]


def test_the_worst_sentences_are_shown_and_the_maps_go_from_bad_to_good() -> None:
    found = report()
    assert len(found.worst) == WORST < len(HYPOTHESES)
    scores = [sentence.chrf for sentence, _ in found.mapped]
    assert (scores[0], scores) == (found.worst[0].chrf, sorted(scores))
    assert len(scores) == MAPS
    assert [translation.text for _, translation in found.mapped] == [
        sentence.hypothesis for sentence, _ in found.mapped
    ]


def test_the_worst_of_many_sentences_are_the_bad_ones() -> None:
    """Only as many sentences are bad as are shown; all others are perfect."""
    bad = list(range(3, 3 + WORST))
    hypotheses = ["???" if number in bad else line for number, line in enumerate(REFERENCES)]
    found = report(hypotheses=hypotheses)
    assert [sentence.number - 1 for sentence in found.worst] == bad
    assert found.mapped[0][0].chrf == 0
    assert found.mapped[-1][0].chrf == pytest.approx(100)


def test_a_few_sentences_are_all_drawn_once() -> None:
    inputs = ReportInputs(
        evaluation=evaluation(),
        hypotheses=["a", "b"],
        references=[["a", "x"]],
        scoring=Scoring(),
        translations=[translation("a"), translation("b")],
    )
    assert [sentence.number for sentence, _ in build_report(inputs).mapped] == [2, 1]


def test_long_sentences_are_not_drawn() -> None:
    texts = ["a", "b", "c"]
    wide = translation("c", MAX_MAP_TOKENS + 1)
    wide = dataclasses.replace(wide, tokens=["x"], alignment=[0], attention=wide.attention[:1])
    inputs = ReportInputs(
        evaluation=evaluation(),
        hypotheses=texts,
        references=[texts],
        scoring=Scoring(),
        translations=[translation("a", MAX_MAP_TOKENS + 1), translation("b", MAX_MAP_TOKENS), wide],
    )
    assert [sentence.number for sentence, _ in build_report(inputs).mapped] == [2]


def test_words_without_attention_are_counted() -> None:
    found = report()
    assert found.source_words == 3 * len(SOURCE)
    assert found.neglected_words == 0  # each word has 3/4
    assert f"0 of {found.source_words} source words" in Reader(render(found)).text


def test_words_without_attention_are_listed() -> None:
    weights = [[0.9, 0.05, 0.0]]
    neglectful = Translation(
        text="a", score=0.0, source_tokens=["▁one", "▁two", "▁."], tokens=["▁a"], alignment=[0], attention=weights
    )
    inputs = ReportInputs(
        evaluation=evaluation(), hypotheses=["a"], references=[["b"]], scoring=Scoring(), translations=[neglectful]
    )
    found = build_report(inputs)
    assert (found.source_words, found.neglected_words) == (3, 1)
    text = Reader(render(found)).text
    assert "1 of 3 source words" in text
    assert "33.3 %" in " ".join(text.split())
    assert found.worst[0].neglected == ("two",)


def test_texts_without_words_make_a_page() -> None:
    nothing = Translation(text="", score=0.0, source_tokens=[], tokens=[], alignment=[], attention=[])
    inputs = ReportInputs(
        evaluation=evaluation(),
        hypotheses=["", ""],
        references=[["", ""]],
        scoring=Scoring(),
        translations=[nothing, nothing],
    )
    read = Reader(render(build_report(inputs)))
    assert "By word frequency" not in read.headings
    assert "a ratio of 0.000" in " ".join(read.text.split())


def test_empty_lines_keep_their_row() -> None:
    """The style sheet gives an empty description the height of a line."""
    text = render(report(hypotheses=["", *HYPOTHESES[1:]]))
    assert "<dt>translation</dt><dd></dd>" in text
    assert "dd:empty::after" in text


def test_figures_are_rounded_for_comparison() -> None:
    score = evaluation().scores[0]
    text = render(report())
    assert f"<td>{score.score:.2f}</td><td>{score.mean:.2f} ± {score.margin:.2f}</td></tr>" in text
    group = report().length_groups[0]
    assert f"<td>{group.bleu:.2f}</td><td>{group.chrf:.2f}</td>" in text
    assert f"<td>{report().worst[0].chrf:.1f}</td>" in text


def test_words_can_be_counted_in_another_text() -> None:
    counted = ["Satz"] * 1000
    assert [group.label for group in report(counted=counted).frequency_groups] == ["0", "1000+"]
    assert [group.label for group in report().frequency_groups] == ["1", "10–99"]
    assert "occur in <corpus>" in Reader(render(report(counted=counted))).text


def test_a_baseline_is_shown() -> None:
    text = render(report(baseline=True))
    difference = evaluation(baseline=True).scores[0].difference
    assert difference is not None
    assert f"<td>{difference.baseline:.2f}</td><td>{difference.p_value:.4f}</td></tr>" in text
    assert "<th>baseline</th>" in text
    assert "<th>baseline</th>" not in render(report())


def test_folder_is_created_and_page_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "report"
    prepare_folder(str(folder))
    assert list(folder.iterdir()) == []
    for _ in range(2):
        write_page(str(folder), report())
    assert [path.name for path in folder.iterdir()] == ["index.html"]


def test_a_bad_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(MachineError, match=r"file.*: cannot be written"):
            prepare_folder(str(folder))


def test_a_missing_package_is_reported_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MachineError, match=r"nmt\[plots\]"):
        prepare_folder(str(tmp_path / "report"))
    assert not (tmp_path / "report").exists()
