"""The metrics of sacreBLEU, compared with sacreBLEU called directly, and the interface of metrics."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_args

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.fields import fields_of
from nmt.config.schema import TrainingConfig, ValidationConfig
from nmt.metrics.languages import language_code
from nmt.metrics.metric import Loss, Measure, Metric, Scoring
from nmt.metrics.standard import BLEU, DEFAULT_METRICS, MEASURES, METRICS, TER, Auto, ChrF, ChrFPlusPlus

HYPOTHESES = ["Ein Mann reitet auf dem Pferd.", "", "Zwei Hunde laufen durch den Schnee", "ein Kind"]
REFERENCES = ["Ein Mann reitet auf einem braunen Pferd.", "Ja.", "Zwei Hunde rennen durch den Schnee.", "Ein Kind"]
OTHERS = ["Der Mann reitet.", "Nein.", "Zwei Hunde laufen im Schnee.", ""]
SCORERS: dict[type[Metric], Callable[[], Any]] = {
    BLEU: sacrebleu.BLEU,
    ChrF: sacrebleu.CHRF,
    ChrFPlusPlus: lambda: sacrebleu.CHRF(word_order=2),
    TER: sacrebleu.TER,
}


def test_names_and_titles() -> None:
    assert [metric.name for metric in SCORERS] == ["bleu", "chrf", "chrf++", "ter"]
    assert [metric.title for metric in SCORERS] == ["BLEU", "chrF2", "chrF2++", "TER"]
    assert {metric.name: metric for metric in SCORERS}.items() <= METRICS.items()
    assert list(MEASURES) == ["auto", *METRICS, "loss"]
    assert DEFAULT_METRICS == ("bleu", "chrf", "ter")


@pytest.mark.parametrize("references", [[REFERENCES], [REFERENCES, OTHERS]])
@pytest.mark.parametrize("metric", SCORERS)
def test_scores_and_signatures_equal_sacrebleu(metric: type[Metric], references: list[list[str]]) -> None:
    scorer = SCORERS[metric]()
    expected = scorer.corpus_score(HYPOTHESES, references)
    assert metric().score(HYPOTHESES, references) == expected.score
    assert expected.name == metric.title
    assert metric().signature(len(references)) == str(scorer.get_signature())
    assert "bs:1000|seed:12345" in metric().signature(1, 1000)


@pytest.mark.parametrize("metric", SCORERS)
def test_score_is_computed_from_sums_over_sentences(metric: type[Metric]) -> None:
    scorer = metric()
    rows = scorer.statistics(HYPOTHESES, [REFERENCES])
    assert len(rows) == len(HYPOTHESES)
    assert scorer.score_statistics(rows[2:]) == scorer.score(HYPOTHESES[2:], [REFERENCES[2:]])
    assert scorer.score_sums([sum(column) for column in zip(*rows, strict=True)]) == scorer.score(
        HYPOTHESES, [REFERENCES]
    )


def test_higher_is_better_except_for_loss_and_ter() -> None:
    measures: list[type[Measure]] = [*SCORERS, Loss, Auto]
    for measure in measures:
        higher = measure not in (Loss, TER)
        assert measure.is_better(2.0, 1.0) == higher
        assert measure.is_better(1.0, 2.0) == (not higher)
        assert not measure.is_better(1.0, 1.0)
        assert measure.best([2.0, 3.0, 1.0]) == (3.0 if higher else 1.0)


def test_number_of_digits() -> None:
    assert BLEU.format(12.346) == "12.35"
    assert TER.format(100.0) == "100.00"
    assert Loss.format(2.34567) == "2.346"


def test_lowercase_and_tokenize_reach_the_scorers() -> None:
    upper = [line.upper() for line in REFERENCES]
    for metric in (BLEU, ChrF, ChrFPlusPlus):
        assert metric(Scoring(lowercase=True)).score(upper, [REFERENCES]) == pytest.approx(100)
        assert metric().score(upper, [REFERENCES]) < 50
    expected = sacrebleu.BLEU(tokenize="char").corpus_score(HYPOTHESES, [REFERENCES]).score
    assert BLEU(Scoring(tokenize="char")).score(HYPOTHESES, [REFERENCES]) == expected


@pytest.mark.parametrize("kind", SCORERS)
def test_cost_of_a_sentence(kind: type[Metric]) -> None:
    metric = kind()
    assert metric.cost(REFERENCES[0], REFERENCES[0]) == pytest.approx(0)
    assert 0 < metric.cost(HYPOTHESES[0], REFERENCES[0]) < 1
    assert metric.cost("", REFERENCES[0]) == 1
    assert metric.cost("a b c d e f", "g") == 1  # six edits per word, and no cost above 1


def test_costs_equal_sentence_scores_of_sacrebleu() -> None:
    hypothesis, reference = "the cat sat on a mat", "the cat sat on the mat"
    expected = sacrebleu.sentence_bleu(hypothesis, [reference], use_effective_order=True).score
    assert BLEU().cost(hypothesis, reference) == pytest.approx(1 - expected / 100)
    expected = sacrebleu.sentence_chrf(hypothesis, [reference]).score
    assert ChrF().cost(hypothesis, reference) == pytest.approx(1 - expected / 100)
    expected = sacrebleu.sentence_ter(hypothesis, [reference]).score
    assert TER().cost(hypothesis, reference) == pytest.approx(expected / 100)
    assert 0 < BLEU(Scoring.for_training("ja")).cost("猫が好き", "犬が好き") < 1


def test_short_sentence_with_perfect_bleu() -> None:
    assert BLEU().score_sentence("zwei Hunde", ["zwei Hunde"]) == pytest.approx(100)
    assert BLEU().score(["zwei Hunde"], [["zwei Hunde"]]) == 0  # as a corpus it has no n-grams of three words
    assert BLEU(Scoring(lowercase=True)).score_sentence("Zwei Hunde", ["zwei hunde"]) == pytest.approx(100)


def test_sentence_with_several_references() -> None:
    for metric in (BLEU(), ChrF()):
        assert metric.score_sentence("ein Hund", ["zwei Hunde", "ein Hund"]) == pytest.approx(100)


def test_words_of_bleus_tokenizer() -> None:
    assert BLEU().words("Ein Mann, er geht. ") == ["Ein", "Mann", ",", "er", "geht", "."]
    assert BLEU(Scoring(lowercase=True)).words("Ein Mann") == ["ein", "mann"]
    assert BLEU(Scoring(target_language="zh")).words("一个人。") == ["一", "个", "人", "。"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("zh-CN", "zh"),
        ("zh_Hant", "zh"),
        ("ZH", "zh"),
        ("zho", "zh"),
        ("cmn", "zh"),
        ("jpn", "ja"),
        ("de", "de"),
        ("", ""),
    ],
)
def test_language_code(name: str, code: str) -> None:
    assert language_code(name) == code


@pytest.mark.parametrize(
    ("language", "tokenize"),
    [("de", "13a"), ("zh_Hans", "zh"), ("jpn", "char"), ("ko", "char"), ("my", "char"), ("th-TH", "char")],
)
def test_scoring_for_training_needs_no_analyzer(language: str, tokenize: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("MeCab", "mecab_ko"):
        monkeypatch.setitem(sys.modules, module, None)
    scoring = Scoring.for_training(language)
    assert (scoring.target_language, scoring.tokenize, scoring.lowercase) == (language, tokenize, False)
    lines, references = ["男が馬に乗る。"], ["女が馬に乗る。"]
    expected = sacrebleu.BLEU(tokenize=tokenize).corpus_score(lines, [references]).score
    assert BLEU(scoring).score(lines, [references]) == expected


def test_languages_that_are_split_alike_can_be_scored_together() -> None:
    assert {BLEU.segmentation(language) for language in ("ja", "kor", "th")} == {"char"}
    assert len({BLEU.segmentation(language) for language in ("de", "zh", "ja")}) == 3
    assert TER.segmentation("zh") == TER.segmentation("ja") != TER.segmentation("ko")
    assert {ChrF.segmentation(language) for language in ("de", "zh", "ja")} == {""}


def test_the_configuration_offers_every_metric() -> None:
    choices = {
        key: get_args(fields_of(kind)[key].type)
        for kind, key in ((ValidationConfig, "metric"), (TrainingConfig, "risk_cost"))
    }
    assert choices == {"metric": tuple(MEASURES), "risk_cost": tuple(METRICS)}


PERCENT = st.floats(0, 100)


@given(ours=st.tuples(PERCENT, PERCENT), theirs=st.tuples(PERCENT, PERCENT))
def test_auto_orders_by_bleu_from_10_on_and_by_chrf_below(
    ours: tuple[float, float], theirs: tuple[float, float]
) -> None:
    (bleu, chrf), (other_bleu, other_chrf) = ours, theirs
    better = Auto.is_better(Auto.combine(*ours, by_characters=False), Auto.combine(*theirs, by_characters=False))
    if bleu >= 10 and other_bleu >= 10:
        assert better == (bleu > other_bleu)
    elif bleu < 10 and other_bleu < 10:
        assert better <= (chrf > other_chrf)
        assert better or chrf - other_chrf < 1e-9  # division rounds
    else:
        assert better == (bleu >= 10)


@given(bleu=PERCENT, chrf=PERCENT, others=st.tuples(PERCENT, PERCENT))
def test_auto_ignores_bleu_of_characters(bleu: float, chrf: float, others: tuple[float, float]) -> None:
    figures = [Auto.combine(*pair, by_characters=True) for pair in ((bleu, chrf), others)]
    assert Auto.is_better(*figures) <= (chrf > others[1])
    assert figures[0] == Auto.combine(0.0, chrf, by_characters=True) < 10


@given(bleu=PERCENT, chrf=PERCENT, by_characters=st.booleans())
def test_auto_describes_the_metric_that_it_took(bleu: float, chrf: float, by_characters: bool) -> None:
    described = Auto.describe(Auto.combine(bleu, chrf, by_characters=by_characters))
    title, figure = described.split(" ")
    assert title == ("BLEU" if bleu >= 10 and not by_characters else "chrF2")
    assert float(figure) == pytest.approx(bleu if title == "BLEU" else chrf, abs=0.006)


def test_messages_about_figures() -> None:
    assert Auto.describe(34.2) == "BLEU 34.20"
    assert Auto.describe(10.0) == "BLEU 10.00"
    assert Auto.describe(1.89) == "chrF2 18.90"
    assert Auto.describe(Auto.combine(0.0, 100.0, by_characters=False)) == "chrF2 100.00"
    assert (TER.describe(50.0), Loss.describe(2.34567)) == ("TER 50.00", "loss 2.346")


def test_names_of_metrics_import_no_heavy_package() -> None:
    """Every command reads the choices of metrics, so the import must be fast."""
    code = "import sys, nmt.metrics.standard; print({'torch', 'sacrebleu', 'numpy'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


class Exact(Metric):
    """The share of sentences that equal their reference: what a new metric has to define."""

    name, title, needs_source = "exact", "exact", True

    def statistics(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str | None]],
        sources: Sequence[str] | None = None,
    ) -> list[list[float]]:
        assert sources is not None
        return [[line in others, 1.0] for line, *others in zip(hypotheses, *references, strict=True)]

    def score_sums(self, sums: Sequence[float]) -> float:
        return 100 * sums[0] / sums[1]

    def signature(self, references: int, resamples: int | None = None) -> str:
        return f"nrefs:{references}"


def test_a_new_metric_defines_statistics_and_their_score() -> None:
    assert Exact().score(["a", "b", "c", "d"], [["a", "x", "c", "d"], ["x", "b", "x", "d"]], ["s"] * 4) == 100
    assert Exact().score(["a", "b"], [["a", "x"]], ["s", "s"]) == 50
    assert Exact().score_sentence("a", ["x", "a"], "s") == 100
