"""A report, gathered and written as a page."""

import base64
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nmt.errors import MachineError
from nmt.evaluation.report.build import MAPS, MOST_PIECES, WORST, Report, build_report
from nmt.evaluation.report.history import History
from nmt.evaluation.report.page import page, prepare, write_page
from nmt.evaluation.scores import evaluate
from nmt.metrics.standard import BLEU, ChrF
from nmt.translation.request import Translation

pytest.importorskip("matplotlib")

SOURCE = [f"sentence {number} <b>" for number in range(30)]
REFERENCES = [f"Satz {number} & mehr" for number in range(30)]
HYPOTHESES = [f"Satz {number % 7} <script>" for number in range(30)]


def translation(text: str, pieces: int = 3) -> Translation:
    weights = [[1 / (pieces + 1)] * pieces for _ in range(pieces)]
    names = [f"▁{number}" for number in range(pieces)]
    return Translation(
        text=text, score=0.0, source_tokens=names, tokens=names, alignment=[0] * pieces, attention=weights
    )


def report(*, model: bool = True, corpus: dict[str, int] | None = None, baseline: bool = False) -> Report:
    evaluation = evaluate(HYPOTHESES, [REFERENCES], metrics=["chrf"], baseline=REFERENCES if baseline else None)
    record = {"kind": "valid", "update": 1, "seconds": 2.0, "loss": 2.0}
    return build_report(
        evaluation,
        HYPOTHESES,
        [REFERENCES],
        bleu=BLEU(),
        chrf=ChrF(),
        source=SOURCE if model else None,
        translations=[translation(text) for text in HYPOTHESES] if model else None,
        corpus=("<corpus>", corpus) if corpus else None,
        histories=[History(name="run", records=[record])] if model else [],
    )


class Reader(HTMLParser):
    """Takes a page apart, and holds that every element is closed in order."""

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
    text = page(report())
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
    read = Reader(page(report(model=False)))
    assert read.headings[-1] == "Worst sentences"
    assert "attention" not in read.text
    assert "source" not in read.text.partition("Worst sentences")[2]


def test_the_worst_are_some_and_the_maps_go_from_bad_to_good() -> None:
    found = report()
    assert len(found.worst) == WORST < len(HYPOTHESES)
    scores = [sentence.chrf for sentence, _ in found.mapped]
    assert (scores[0], scores) == (found.worst[0].chrf, sorted(scores))
    assert [(sentence.hypothesis, translation.text) for sentence, translation in found.mapped if translation.text] == [
        (sentence.hypothesis, sentence.hypothesis) for sentence, _ in found.mapped
    ]


def test_long_sentences_are_not_drawn() -> None:
    texts = ["a", "b"]
    translations = [translation("a", MOST_PIECES + 1), translation("b", MOST_PIECES)]
    evaluation = evaluate(texts, [texts], metrics=["chrf"])
    found = build_report(evaluation, texts, [texts], bleu=BLEU(), chrf=ChrF(), translations=translations)
    assert [sentence.number for sentence, _ in found.mapped] == [2]


def test_neglected_words_are_counted() -> None:
    found = report()
    assert found.source_words == 3 * len(SOURCE)
    assert found.neglected == 0  # each word has 3/4
    assert f"0 of {found.source_words} source words" in Reader(page(found)).text


def test_frequencies_of_another_corpus() -> None:
    assert [group.label for group in report(corpus={"Satz": 5000}).frequencies] == ["0", "1000+"]
    assert [group.label for group in report().frequencies] == ["1", "10–99"]
    assert "occur in <corpus>" in Reader(page(report(corpus={"Satz": 5000}))).text


def test_a_baseline_is_shown() -> None:
    assert "baseline" in Reader(page(report(baseline=True))).text
    assert "baseline" not in Reader(page(report())).text


def test_the_folder_is_made_and_the_page_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "report"
    prepare(str(folder))
    assert list(folder.iterdir()) == []
    for _ in range(2):
        write_page(str(folder), report())
    assert [path.name for path in folder.iterdir()] == ["index.html"]


def test_a_bad_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(MachineError, match=r"file.*: cannot be written"):
            prepare(str(folder))


def test_a_missing_package_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MachineError, match=r"nmt\[plots\]"):
        prepare(str(tmp_path / "report"))
    assert not (tmp_path / "report").exists()
