"""Every figure is compared with sacrebleu: its command line, or its metric objects called directly."""

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from copied_metric import Copied
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu import BLEU, CHRF, TER

from nmt.errors import ConfigError, DataError, MachineError
from nmt.evaluation.scores import Evaluation, check_lengths, evaluate
from nmt.metrics.standard import METRICS

WORDS = [
    "Ein",
    "Mann",
    "reitet",
    "auf",
    "dem",
    "braunen",
    "Pferd",
    "durch",
    "den",
    "alten",
    "Wald",
    "und",
    "Kinder",
]


def sentences(seed: int, count: int = 60) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=generator.randint(4, 12))) + "." for _ in range(count)]


def garbled(lines: list[str], share: float, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(w if generator.random() > share else generator.choice(WORDS) for w in x.split()) for x in lines]


REFERENCES = sentences(1)
GOOD, NEARLY, BAD = garbled(REFERENCES, 0.1, 2), garbled(REFERENCES, 0.12, 4), garbled(REFERENCES, 0.4, 3)
TEXTS = {"references": REFERENCES, "good": GOOD, "nearly": NEARLY, "bad": BAD}


def figures(evaluation: Evaluation) -> dict[str, float]:
    return {score.name: score.score for score in evaluation.scores}


def sacrebleu_command(folder: Path, *arguments: str) -> str:
    """What the command `sacrebleu references ARGUMENTS` prints for the texts above, with four digits."""
    for name, lines in TEXTS.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sacrebleu",
        "references",
        "-m",
        "bleu",
        "chrf",
        "ter",
        "-w",
        "4",
        "-nc",
        *arguments,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=True).stdout


def test_scores_intervals_and_signatures_are_those_of_the_sacrebleu_command(tmp_path: Path) -> None:
    answer = json.loads(sacrebleu_command(tmp_path, "--input", "good", "--confidence"))
    expected = {entry["name"]: entry for entry in answer}
    evaluation = evaluate(GOOD, [REFERENCES])
    assert (evaluation.sentences, evaluation.references) == (60, 1)
    assert [score.name for score in evaluation.scores] == ["BLEU", "chrF2", "TER"]
    for score in evaluation.scores:
        assert score.score == pytest.approx(expected[score.name]["score"], abs=1e-4)
        assert score.mean == pytest.approx(expected[score.name]["confidence_mean"], abs=1e-4)
        assert score.margin == pytest.approx(expected[score.name]["confidence_var"], abs=1e-4)
        assert score.signature == expected[score.name]["signature"]
        assert score.difference is None


@pytest.mark.parametrize("baseline", ["nearly", "bad"])
def test_differences_are_those_of_the_sacrebleu_command(baseline: str, tmp_path: Path) -> None:
    answer = sacrebleu_command(tmp_path, "--input", baseline, "good", "--paired-bs", "-f", "text")
    first, second = answer.split(" good ")
    for score in evaluate(GOOD, [REFERENCES], baseline=TEXTS[baseline]).scores:
        assert score.difference is not None
        assert f" {score.difference.baseline:.4f} (" in first
        assert f" {score.score:.4f} ({score.mean:.4f} ± {score.margin:.4f})" in second
        assert f"(p = {score.difference.p_value:.4f})" in second


def test_a_baseline_changes_nothing_else() -> None:
    alone, compared = evaluate(GOOD, [REFERENCES]), evaluate(GOOD, [REFERENCES], baseline=BAD)
    for one, other in zip(alone.scores, compared.scores, strict=True):
        assert (one.score, one.mean, one.margin, one.signature) == (
            other.score,
            other.mean,
            other.margin,
            other.signature,
        )


def test_a_clear_difference_is_significant_and_none_is_not() -> None:
    for score in evaluate(GOOD, [REFERENCES], baseline=BAD).scores:
        assert score.difference is not None
        assert score.difference.p_value < 0.01
    for score in evaluate(GOOD, [REFERENCES], baseline=GOOD).scores:
        assert score.difference is not None
        assert score.difference.p_value == 1.0
        assert score.difference.baseline == score.score


def test_several_references_and_chosen_metrics() -> None:
    others = garbled(REFERENCES, 0.3, 5)
    evaluation = evaluate(GOOD, [REFERENCES, others], metrics=["ter", "bleu", "ter"])
    assert evaluation.references == 2
    assert figures(evaluation) == pytest.approx(
        {
            "TER": TER().corpus_score(GOOD, [REFERENCES, others]).score,
            "BLEU": BLEU().corpus_score(GOOD, [REFERENCES, others]).score,
        }
    )
    assert "nrefs:2" in evaluation.scores[0].signature


def without_analysers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MeCab", None)
    monkeypatch.setitem(sys.modules, "mecab_ko", None)
    for name in ("ja_mecab", "ko_mecab"):
        monkeypatch.delitem(sys.modules, f"sacrebleu.tokenizers.tokenizer_{name}", raising=False)


def test_lowercase_ignores_case() -> None:
    capitals = [line.upper() for line in REFERENCES]
    assert figures(evaluate(capitals, [REFERENCES], metrics=["bleu", "chrf"]))["BLEU"] < 5
    assert figures(evaluate(capitals, [REFERENCES], lowercase=True)) == pytest.approx(
        {"BLEU": 100, "chrF2": 100, "TER": 0}
    )


def test_the_tokenizer_follows_the_option_then_the_language() -> None:
    hypotheses, references = ["一个男人骑马穿过森林。"], ["一个女人骑马穿过森林。"]
    chinese = evaluate(hypotheses, [references], target_language="zh")
    assert "tok:zh" in chinese.scores[0].signature
    assert chinese.scores[0].score == BLEU(tokenize="zh").corpus_score(hypotheses, [references]).score
    characters = evaluate(hypotheses, [references], target_language="zh", tokenize="char", metrics=["bleu"])
    assert "tok:char" in characters.scores[0].signature
    assert "tok:13a" in evaluate(hypotheses, [references], metrics=["bleu"]).scores[0].signature


@pytest.mark.parametrize("language", ["th", "lo", "khm", "my-MM", "bo"])
def test_languages_without_words_are_scored_by_characters(language: str) -> None:
    hypotheses, references = ["ผู้ชายขี่ม้า"], ["ผู้หญิงขี่ม้า"]
    score = evaluate(hypotheses, references, target_language=language, metrics=["bleu"]).scores[0]
    assert "tok:char" in score.signature
    assert score.score == pytest.approx(BLEU(tokenize="char").corpus_score(hypotheses, [references]).score)


def test_blank_lines_are_no_references_beside_others() -> None:
    second = [line if number % 3 else " " for number, line in enumerate(NEARLY)]
    both = evaluate(GOOD, [REFERENCES, second], metrics=["bleu", "chrf", "ter"])
    lists: list[list[str | None]] = [[*REFERENCES], [line.strip() or None for line in second]]
    for score, scorer in zip(both.scores, (BLEU(), CHRF(), TER()), strict=True):
        assert score.score == pytest.approx(scorer.corpus_score(GOOD, lists).score)  # type: ignore[arg-type]
        assert "nrefs:var" in score.signature
    assert both.references == 2
    alone = evaluate(GOOD, [second], metrics=["bleu"]).scores[0]
    assert alone.score == pytest.approx(BLEU().corpus_score(GOOD, [second]).score)
    assert "nrefs:1" in alone.signature


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_ter_counts_characters_where_words_have_no_spaces(language: str) -> None:
    hypotheses, references = ["一个男人骑马穿过森林。"], ["一个女人骑马穿过森林。"]
    evaluation = evaluate(hypotheses, [references], metrics=["ter"], target_language=language)
    assert evaluation.scores[0].score == pytest.approx(100 / 11)  # one of eleven characters
    assert "norm:yes|punct:yes|asian:yes" in evaluation.scores[0].signature
    assert evaluate(hypotheses, [references], metrics=["ter"]).scores[0].score == 100


@pytest.mark.parametrize(("language", "extra"), [("ja", "ja"), ("jpn", "ja"), ("ja_JP", "ja"), ("kor", "ko")])
def test_a_missing_analyser_is_named(language: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_analysers(monkeypatch)
    assert extra in (metadata("sacrebleu").get_all("Provides-Extra") or ())
    with pytest.raises(MachineError, match=rf"sacrebleu\[{extra}\].*--tokenize char"):
        evaluate(["x"], [["x"]], target_language=language)
    with pytest.raises(MachineError, match=rf"sacrebleu\[{extra}\]"):
        evaluate(["x"], [["x"]], tokenize=f"{extra}-mecab")
    assert evaluate(["x"], [["x"]], target_language=language, metrics=["chrf"]).scores[0].score == 100


def test_a_tokenizer_that_cannot_be_downloaded_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.download_file", unreachable)
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.SACREBLEU_DIR", "nowhere")
    with pytest.raises(MachineError, match=r"flores200 cannot be downloaded .no route to host.; check the network"):
        evaluate(["x"], [["x"]], tokenize="flores200")


def unreachable(*_: object, **__: object) -> None:
    raise OSError(113, "no route to host")


def test_unknown_names_are_reported() -> None:
    with pytest.raises(ConfigError, match=r"meteor: no such metric; choose from bleu, chrf, chrf\+\+, ter"):
        evaluate(["x"], [["x"]], metrics=["meteor"])
    with pytest.raises(ConfigError, match=r"moses: sacrebleu has no such tokenizer; choose from .*13a"):
        evaluate(["x"], [["x"]], tokenize="moses")


@pytest.mark.parametrize(
    ("hypotheses", "references", "baseline", "message"),
    [
        ([], [["a"]], None, "hypotheses: empty"),
        (["a"], [], None, "no references"),
        (["a", "b"], [["a"]], None, "hypotheses has 2 lines but references 1 has 1;"),
        (["a", "b"], [["a", "b"], ["a", "b", "c"]], None, "hypotheses has 2 lines but references 2 has 3;"),
        (["a", "b"], [["a", "b"]], ["a"], "hypotheses has 2 lines but baseline has 1;"),
    ],
)
def test_unequal_or_empty_texts_are_errors(
    hypotheses: list[str], references: list[list[str]], baseline: list[str] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(hypotheses, references, baseline=baseline)


def test_check_lengths_names_the_texts() -> None:
    check_lengths([("one", ["a"]), ("two", ["b"])])
    with pytest.raises(DataError, match=r"one has 1 lines but two has 2; give the same sentences in both"):
        check_lengths([("one", ["a"]), ("two", ["b", "c"])])


def test_blank_lines_count() -> None:
    hypotheses, references = ["", "Ein Mann reitet auf einem Pferd.", ""], ["Ein Hund.", *REFERENCES[:1], ""]
    assert figures(evaluate(hypotheses, [references])) == pytest.approx(
        {
            "BLEU": BLEU().corpus_score(hypotheses, [references]).score,
            "chrF2": CHRF().corpus_score(hypotheses, [references]).score,
            "TER": TER().corpus_score(hypotheses, [references]).score,
        }
    )
    assert figures(evaluate(["", ""], [["", "a"]], metrics=["bleu"])) == {"BLEU": 0}


@settings(max_examples=15)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20), min_size=1, max_size=5))
def test_text_scores_100_against_itself(lines: list[str]) -> None:
    for score in evaluate(lines, [lines], metrics=["ter"], baseline=lines).scores:
        assert score.score == 0
        assert score.difference is not None
        assert score.difference.p_value == 1


def test_short_sentences_are_scored_without_long_ngrams() -> None:
    evaluation = evaluate(["Zwei Hunde", "Ein Hund läuft durch den Schnee"], ["Zwei Hunde", "Katzen"])
    assert [round(score, 6) for score in evaluation["bleu"].sentences] == [100, 0]


def test_one_reference_per_sentence_needs_no_nesting() -> None:
    flat = evaluate(GOOD, REFERENCES, metrics=["bleu"])
    assert flat == evaluate(GOOD, [REFERENCES], metrics=["bleu"])
    assert flat.references == 1
    assert evaluate(GOOD, (REFERENCES, NEARLY), metrics=["bleu"]).references == 2


def test_scores_are_found_by_the_name_of_the_metric() -> None:
    evaluation = evaluate(GOOD, REFERENCES, metrics=["ter", "chrf++"])
    assert [score.name for score in evaluation.scores] == ["TER", "chrF2++"]
    assert evaluation["chrf++"] is evaluation.scores[1]
    assert evaluation["ter"] is evaluation.scores[0]
    with pytest.raises(KeyError):
        evaluation["bleu"]


class Copier:
    """Replaces a translator from English into Chinese and German: it returns the source."""

    class Data:
        target_languages = ("zh", "de")

    data = Data()

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def target_language(self, to: str | None = None) -> str:
        return to or "zh"

    def translate(self, texts: Sequence[str], *, to: str | None = None) -> list[str]:
        self.asked.append(to)
        return list(texts)


def test_a_translator_translates_the_source() -> None:
    translator: Any = Copier()
    evaluation = evaluate(translator, ["一个女人骑马。"], source=["一个男人骑马。"], metrics=["bleu"])
    assert evaluation == evaluate(["一个男人骑马。"], ["一个女人骑马。"], metrics=["bleu"], target_language="zh")
    evaluate(translator, ["eins"], source=["one"], metrics=["chrf"], target_language="de")
    evaluate(translator, ["eins"], source=["one"], metrics=["chrf"], target_language="de-AT")
    assert translator.asked == ["zh", "de", None]


def test_lengths_are_checked_before_translation() -> None:
    translator: Any = Copier()
    with pytest.raises(ConfigError, match="source: missing"):
        evaluate(translator, ["eins"])
    with pytest.raises(DataError, match="source has 1 lines but references 1 has 2"):
        evaluate(translator, ["eins", "zwei"], source=["one"])
    with pytest.raises(ConfigError, match="no such tokenizer"):
        evaluate(translator, ["eins"], source=["one"], tokenize="moses")
    assert translator.asked == []


def test_a_metric_may_read_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "copied", Copied)
    source, hypotheses, baseline = ["a", "b", "c", "d"], ["a", "x", "x", "x"], ["a", "b", "x", "x"]
    with pytest.raises(ConfigError, match="copied: needs the source sentences"):
        evaluate(hypotheses, source, metrics=["copied"])
    [score] = evaluate(hypotheses, source, source=source, baseline=baseline, metrics=["copied"]).scores
    assert (score.name, score.score, score.signature) == ("copied", 25, "bs:1000")
    assert score.difference is not None
    assert score.difference.baseline == 50
    assert score.mean == pytest.approx(25, abs=2)


def test_texts_are_scored_without_torch() -> None:
    code = "import sys, nmt.evaluation.scores; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
