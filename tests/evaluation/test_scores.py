"""Every figure is compared with sacrebleu: its command line, or its metric objects called directly."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF, TER

from nmt.errors import ConfigError, DataError, MachineError
from nmt.evaluation import scores as module
from nmt.evaluation.scores import METRICS, Evaluation, bleu, check_lengths, evaluate, read_test_set, sentence_cost

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


def test_the_cost_of_a_sentence_is_what_its_score_lacks() -> None:
    translation, reference = "the cat sat on a mat", "the cat sat on the mat"
    expected = sacrebleu.sentence_bleu(translation, [reference], use_effective_order=True).score
    assert sentence_cost("bleu")(translation, reference) == pytest.approx(1 - expected / 100)
    expected = sacrebleu.sentence_chrf(translation, [reference]).score
    assert sentence_cost("chrf")(translation, reference) == pytest.approx(1 - expected / 100)
    for metric in ("bleu", "chrf"):
        assert sentence_cost(metric)(reference, reference) == pytest.approx(0)
        assert sentence_cost(metric)("", reference) == sentence_cost(metric)(reference, "") == 1
    assert 0 < sentence_cost("bleu", "ja")("猫が好き", "犬が好き") < 1


def test_bleu_alone_is_the_score_without_the_resampling() -> None:
    assert bleu(GOOD, [REFERENCES]) == pytest.approx(figures(evaluate(GOOD, [REFERENCES]))["BLEU"])
    assert (
        bleu(["一个男人。"], [["一个女人。"]], "zh")
        == BLEU(tokenize="zh").corpus_score(["一个男人。"], [["一个女人。"]]).score
    )


@pytest.mark.parametrize("language", ["ja", "ko"])
def test_bleu_alone_needs_no_analyser(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_analysers(monkeypatch)
    hypotheses, references = ["男が馬に乗る。"], ["女が馬に乗る。"]
    expected = BLEU(tokenize="char").corpus_score(hypotheses, [references]).score
    assert bleu(hypotheses, [references], language) == expected > 50


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


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_ter_counts_characters_where_words_have_no_spaces(language: str) -> None:
    hypotheses, references = ["一个男人骑马穿过森林。"], ["一个女人骑马穿过森林。"]
    evaluation = evaluate(hypotheses, [references], metrics=["ter"], target_language=language)
    assert evaluation.scores[0].score == pytest.approx(100 / 11)  # one of eleven characters
    assert "norm:yes|punct:yes|asian:yes" in evaluation.scores[0].signature
    assert evaluate(hypotheses, [references], metrics=["ter"]).scores[0].score == 100


@pytest.mark.parametrize("language", ["ja", "ko"])
def test_a_missing_analyser_is_named(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_analysers(monkeypatch)
    with pytest.raises(MachineError, match=rf"sacrebleu\[{language}\].*--tokenize char"):
        evaluate(["x"], [["x"]], target_language=language)
    with pytest.raises(MachineError, match=rf"sacrebleu\[{language}\]"):
        evaluate(["x"], [["x"]], tokenize=f"{language}-mecab")
    assert evaluate(["x"], [["x"]], target_language=language, metrics=["chrf"]).scores[0].score == 100


def test_a_tokenizer_that_cannot_be_downloaded_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.download_file", unreachable)
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.SACREBLEU_DIR", "nowhere")
    with pytest.raises(MachineError, match=r"flores200 cannot be downloaded .no route to host.; check the network"):
        evaluate(["x"], [["x"]], tokenize="flores200")


def unreachable(*_: object, **__: object) -> None:
    raise OSError(113, "no route to host")


def test_unknown_names_are_told() -> None:
    with pytest.raises(ConfigError, match=r"meteor: no such metric; choose from bleu, chrf, ter"):
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


@settings(deadline=None, max_examples=15)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20), min_size=1, max_size=5))
def test_any_text_equals_itself(lines: list[str]) -> None:
    for score in evaluate(lines, [lines], metrics=["ter"], baseline=lines).scores:
        assert score.score == 0
        assert score.difference is not None
        assert score.difference.p_value == 1


def test_test_sets_are_read_by_our_own_splitter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file stands where sacrebleu would have put it after the download. U+2028 does not split its line."""
    monkeypatch.setattr(sacrebleu.DATASETS["wmt17"], "_outdir", str(tmp_path))
    (tmp_path / "wmt17.en-de.src").write_text("one\u2028 still one\ntwo\n", encoding="utf-8")
    for name in ("ref", "docid", "genre", "origlang"):
        (tmp_path / f"wmt17.en-de.{name}").write_text("eins\nzwei\n", encoding="utf-8")
    assert read_test_set("wmt17", "en-de") == (["one\u2028 still one", "two"], [["eins", "zwei"]])


def test_unknown_test_sets_and_pairs_are_told() -> None:
    with pytest.raises(DataError, match=r"wmt177: sacrebleu has no such test set; it has wmt17"):
        read_test_set("wmt177", "en-de")
    with pytest.raises(DataError, match=r"wmt17: no language pair 'en-fr'; this test set has .*en-de"):
        read_test_set("wmt17", "en-fr")


@pytest.mark.parametrize("error", [OSError(101, "Network is unreachable"), SystemExit(1), EOFError("cut short")])
def test_a_failed_download_is_one_clear_line(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr(module, "get_source_file", fail)
    with pytest.raises(MachineError, match=r"wmt17: sacrebleu cannot download this test set .*check the network"):
        read_test_set("wmt17", "en-de")


def test_the_metrics_are_listed_in_the_order_of_the_table() -> None:
    assert METRICS == ("bleu", "chrf", "ter")
