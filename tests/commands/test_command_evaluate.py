"""nmt-evaluate, run as a function and as a process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import torch
from copied_metric import Copied
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.checkpoint.folder import build_network, save_model, unique_weights
from nmt.checkpoint.training_text import save_known_words
from nmt.commands.evaluate import format_table, main
from nmt.config.load import parse_config
from nmt.config.schema import Config
from nmt.data.known_words import KnownWords
from nmt.evaluation.scores import Difference, Evaluation, Score
from nmt.evaluation.test_sets import read_text
from nmt.metrics.standard import METRICS
from nmt.tokenizers.build import train_tokenizers
from nmt.translation.translator import Translator
from nmt.types import EOS

SOURCE = ["a man rides a horse", "two dogs run", "", "a child plays in the park", "the old house"]
REFERENCE = ["ein Mann reitet ein Pferd", "zwei Hunde laufen", "", "ein Kind spielt im Park", "das alte Haus"]
HYPOTHESIS = ["ein Mann reitet auf einem Pferd", "zwei Hunde rennen", "", "ein Kind spielt im Park", "das alte Haus"]
BASELINE = ["Mann Pferd", "Hund", "nichts", "Kind", "Haus Haus"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    texts = {"source": SOURCE, "reference": REFERENCE, "hypothesis": HYPOTHESIS, "baseline": BASELINE}
    for name, lines in texts.items():
        write(tmp_path / name, lines)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def model_folder(folder: Path, seed: int = 1, language: str = "de") -> Path:
    """A small model with the weights it began with, except that sentences may end early."""
    sizes = {"embedding_size": 8, "encoder_size": 8, "decoder_size": 8, "decoder_layers": 1}
    content: dict[str, Any] = {
        "data": {"target_language": language},
        "tokenizer": {"kind": "words", "vocabulary_size": 40},
        "model": sizes,
        "training": {"seed": seed},
    }
    config: Config = parse_config(content)
    tokenizers = train_tokenizers(config.tokenizer, zip(SOURCE, REFERENCE, strict=True))
    network = build_network(config, tokenizers)
    network.output.bias.data[EOS] = 0.2
    save_model(folder, unique_weights(network), tokenizers, config)
    return folder


def scores(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON object that the command prints."""
    assert main([*arguments, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


# ---- finished translations


@pytest.mark.usefixtures("files")
def test_a_file_is_scored_as_sacrebleu_scores_it(capsys: pytest.CaptureFixture[str]) -> None:
    answer = scores(capsys, "--hypothesis", "hypothesis", "--reference", "reference")
    assert (answer["sentences"], answer["references"]) == (5, 1)
    expected = {
        "BLEU": sacrebleu.BLEU().corpus_score(HYPOTHESIS, [REFERENCE]).score,
        "chrF2": sacrebleu.CHRF().corpus_score(HYPOTHESIS, [REFERENCE]).score,
        "TER": sacrebleu.TER().corpus_score(HYPOTHESIS, [REFERENCE]).score,
    }
    assert {score["name"]: score["score"] for score in answer["scores"]} == pytest.approx(expected)


@pytest.mark.usefixtures("files")
def test_the_table_shows_every_score_with_its_signature(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--hypothesis", "hypothesis", "--reference", "reference"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 sentences, 1 reference each"
    for name, scorer in (("BLEU", sacrebleu.BLEU()), ("chrF2", sacrebleu.CHRF()), ("TER", sacrebleu.TER())):
        figures, signature = [line for line in lines if line.startswith(name)]
        score = scorer.corpus_score(HYPOTHESIS, [REFERENCE], n_bootstrap=1000)
        assert f"{score.score:.2f}  {score._mean:.2f} ± {score._ci:.2f}" in figures
        assert signature.split()[1] == str(scorer.get_signature())


def test_a_long_name_widens_the_table() -> None:
    scores = [Score(name=name, score=34.5, mean=34.4, margin=1.25, signature="nrefs:1") for name in ("BLEU", "chrF2++")]
    assert format_table(Evaluation(sentences=9, references=1, scores=tuple(scores))).splitlines() == [
        "9 sentences, 1 reference each",
        "",
        "          score  95 % interval",
        "BLEU      34.50  34.40 ± 1.25",
        "chrF2++   34.50  34.40 ± 1.25",
        "",
        "BLEU     nrefs:1",
        "chrF2++  nrefs:1",
    ]


def test_the_significance_level_is_five_percent() -> None:
    def row(p_value: float) -> str:
        difference = Difference(baseline=30.0, p_value=p_value)
        score = Score(name="BLEU", score=34.5, mean=34.4, margin=1.25, signature="", difference=difference)
        return format_table(Evaluation(sentences=9, references=1, scores=(score,))).splitlines()[3]

    assert row(0.0499).endswith(" *")
    assert not row(0.05).endswith(" *")


def test_a_metric_that_needs_the_source_gets_it(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, "copied", Copied)
    common = ("--hypothesis", "source", "--reference", "reference", "--metrics", "copied")
    assert scores(capsys, *common, "--source", "source")["scores"][0]["score"] == 100
    assert "copied: needs the source sentences" in failure(capsys, *common)
    write(files / "short", SOURCE[:2])
    assert "source has 5 lines but short has 2" in failure(capsys, *common, "--source", "short")
    model_folder(files / "model")
    assert scores(capsys, "model", "--source", "source", *common[2:])["scores"][0]["score"] < 100


def test_the_table_marks_what_is_significant() -> None:
    def score(name: str, p_value: float) -> Score:
        difference = Difference(baseline=30.0, p_value=p_value)
        return Score(name=name, score=34.5, mean=34.4, margin=1.25, signature="nrefs:2", difference=difference)

    text = format_table(Evaluation(sentences=9, references=2, scores=(score("BLEU", 0.01), score("TER", 0.3))))
    assert text.splitlines() == [
        "9 sentences, 2 references each",
        "",
        "         score  95 % interval    baseline  p",
        "BLEU     34.50  34.40 ± 1.25        30.00  0.0100 *",
        "TER      34.50  34.40 ± 1.25        30.00  0.3000",
        "",
        "* differs significantly from the baseline (paired bootstrap, p < 0.05)",
        "",
        "BLEU    nrefs:2",
        "TER     nrefs:2",
    ]


@pytest.mark.usefixtures("files")
def test_each_option_changes_what_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    common = ("--hypothesis", "hypothesis", "--reference", "reference")
    plain = scores(capsys, *common)
    assert [score["name"] for score in scores(capsys, *common, "--metrics", "ter", "bleu")["scores"]] == ["TER", "BLEU"]
    assert "tok:char" in scores(capsys, *common, "--tokenize", "char")["scores"][0]["signature"]
    assert "case:lc" in scores(capsys, *common, "--lowercase")["scores"][0]["signature"]
    for language in (["--language-pair", "en-zh"], ["--language-pair", "en-zho_Hans"], ["--to", "ZH-cn"]):
        assert "tok:zh" in scores(capsys, *common, *language)["scores"][0]["signature"]
    assert scores(capsys, *common, "baseline")["references"] == 2
    compared = scores(capsys, *common, "--baseline", "baseline")
    assert compared["scores"][0]["difference"]["baseline"] < plain["scores"][0]["score"]
    assert plain["scores"][0]["difference"] is None


@settings(max_examples=15)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=9), min_size=1, max_size=4))
def test_lines_end_at_line_feeds_alone(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("text") / "text"
    write(path, lines)
    assert read_text(str(path)) == (str(path), lines)


def test_compressed_files_are_read(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import gzip

    from nmt.data.text_files import import_zstd

    content = (files / "reference").read_bytes()
    (files / "reference.gz").write_bytes(gzip.compress(content))
    (files / "reference.zst").write_bytes(import_zstd("t.zst").compress(content))
    plain = scores(capsys, "--hypothesis", "hypothesis", "--reference", "reference")
    for ending in (".gz", ".zst"):
        assert scores(capsys, "--hypothesis", "hypothesis", "--reference", f"reference{ending}") == plain


@pytest.mark.usefixtures("files")
def test_a_text_on_standard_input() -> None:
    command = [sys.executable, "-m", "nmt.commands.evaluate", "--hypothesis", "-", "--reference", "reference", "--json"]
    text = "".join(f"{line}\n" for line in HYPOTHESIS)
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=True)
    bleu = sacrebleu.BLEU().corpus_score(HYPOTHESIS, [REFERENCE]).score
    assert json.loads(done.stdout)["scores"][0]["score"] == pytest.approx(bleu)


@pytest.mark.usefixtures("files")
def test_each_sentence_has_a_score(capsys: pytest.CaptureFixture[str]) -> None:
    answer = scores(capsys, "--hypothesis", "hypothesis", "--reference", "reference", "--metrics", "bleu", "chrf++")
    bleu, chrf = (score["sentences"] for score in answer["scores"])
    pairs = list(zip(HYPOTHESIS, REFERENCE, strict=True))
    for found, scorer in ((bleu, sacrebleu.BLEU(effective_order=True)), (chrf, sacrebleu.CHRF(word_order=2))):
        assert found == pytest.approx([scorer.sentence_score(line, [reference]).score for line, reference in pairs])


# ---- faults


def test_faulty_files_are_one_clear_line(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(files / "short", REFERENCE[:3])
    write(files / "empty", [])
    common = ("--hypothesis", "hypothesis", "--reference")
    assert "hypothesis has 5 lines but short has 3" in failure(capsys, *common, "reference", "short")
    assert "hypothesis has 5 lines but short has 3" in failure(capsys, *common, "reference", "--baseline", "short")
    assert "empty: empty, there is nothing to evaluate" in failure(
        capsys, "--hypothesis", "empty", *common[2:], "empty"
    )
    assert "missing: cannot be read" in failure(capsys, *common, "missing")
    assert "nonsense: sacrebleu has no such tokenizer" in failure(
        capsys, *common, "reference", "--tokenize", "nonsense"
    )
    assert "no such test set" in failure(
        capsys, "--hypothesis", "hypothesis", "--test-set", "wmt1066", "--language-pair", "en-de"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--reference r model",
            "give either MODEL (before --reference, which takes all names after it) or --hypothesis",
        ),
        ("model --hypothesis h --reference r", "or --hypothesis; see nmt-evaluate"),
        ("--hypothesis h", "give either --reference, --test-set or --set"),
        ("--hypothesis - --reference -", "only one of the files can be standard input (-)"),
        (
            "--hypothesis h --reference r --test-set wmt17 --language-pair en-de",
            "give either --reference, --test-set or --set",
        ),
        ("--hypothesis h --test-set wmt17", "--test-set needs --language-pair"),
        ("--hypothesis h --reference r --language-pair german", "--language-pair is written en-de"),
        ("model --reference r", "MODEL needs --source, --test-set or --set"),
        ("--hypothesis h --source s --reference r", "--source is for MODEL and --reference only"),
        ("--hypothesis h --reference r --output o", "--output is for MODEL only"),
        ("--hypothesis h --reference r --beam 3 --no-shortlist", "--beam and --no-shortlist: for MODEL only"),
        ("model --source s --reference r --output none/o", "--output none/o: the folder does not exist"),
        ("--hypothesis h --reference r --frequencies f", "--frequencies is for --report only"),
        ("--hypothesis h --reference r --metrics meteor", "invalid choice"),
        ("model --source s --reference r --beam 0", "whole number, from 1 to 1,000"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(capsys, *arguments.split())


@pytest.mark.parametrize(
    ("redirection", "message"),
    [("> /dev/full", "the output cannot be written (No space left on device)"), (">&-", "standard output is closed")],
)
@pytest.mark.usefixtures("files")
def test_scores_that_cannot_be_written(redirection: str, message: str) -> None:
    command = f"{sys.executable} -m nmt.commands.evaluate --hypothesis hypothesis --reference reference {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=100)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(f"nmt-evaluate: error: {message}".encode())


@pytest.mark.usefixtures("files")
def test_scores_are_written_in_utf8() -> None:
    command = [sys.executable, "-m", "nmt.commands.evaluate", "--hypothesis", "hypothesis", "--reference", "reference"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, check=True, timeout=100, env=environment)
    assert "±" in done.stdout.decode("utf-8")


def test_help_imports_no_heavy_package() -> None:
    answer = subprocess.run([sys.executable, "-m", "nmt.commands.evaluate", "--help"], capture_output=True, text=True)
    assert answer.returncode == 0
    assert "95 %" in answer.stdout
    unwanted = "import sys, nmt.commands.evaluate; print({'torch', 'sacrebleu', 'numpy'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", unwanted], capture_output=True, text=True).stdout == "set()\n"


# ---- models


def test_a_model_translates_the_source(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_folder(files / "model")
    answer = scores(capsys, "model", "--source", "source", "--reference", "reference", "--output", "translations")
    lines = Translator.load(model).translate(SOURCE)
    assert (files / "translations").read_text(encoding="utf-8").splitlines() == lines
    again = scores(capsys, "--hypothesis", "translations", "--reference", "reference", "--language-pair", "en-de")
    assert answer == again
    assert answer["scores"][1]["score"] == pytest.approx(sacrebleu.CHRF().corpus_score(lines, [REFERENCE]).score)


def test_several_models_are_an_ensemble(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [model_folder(files / "one", seed=1), model_folder(files / "two", seed=2)]
    scores(capsys, "one", "two", "--source", "source", "--reference", "reference", "--output", "out")
    together = (files / "out").read_text(encoding="utf-8").splitlines()
    assert together == Translator.load(*folders).translate(SOURCE)
    assert together != Translator.load(folders[0]).translate(SOURCE)


def test_search_options_reach_the_search(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Translator.load(model_folder(files / "model", seed=2), device="cpu")
    outputs = set()
    short = ("--length-penalty", "0")
    for extra in ((), ("--beam", "1"), short, (*short, "--coverage-penalty", "9"), ("--device", "cpu")):
        scores(capsys, "model", "--source", "source", "--reference", "reference", "--output", "out", *extra)
        outputs.add((files / "out").read_text(encoding="utf-8"))
    assert len(outputs) == 4  # the device changes nothing
    if not torch.cuda.is_available():
        assert "cuda" in failure(capsys, "model", "--source", "source", "--reference", "reference", "--device", "cuda")
    loaded: list[dict[str, Any]] = []

    def load(*_: object, **named: Any) -> Translator:
        loaded.append(named)
        return original

    monkeypatch.setattr(Translator, "load", load)
    options = "--batch-size 3 --threads 2 --precision fp32 --no-shortlist --device cpu"
    scores(capsys, "model", "--source", "source", "--reference", "reference", *options.split())
    named = {"batch_size": 3, "threads": 2, "precision": "fp32", "shortlist": False, "device": "cpu"}
    assert loaded == [named]


# ---- reports


def test_a_report_of_a_model(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    model = model_folder(files / "model")
    record = {"kind": "train", "update": 1, "epoch": 1, "seconds": 1.0, "loss": 2.0}
    (model / "metrics.jsonl").write_text(json.dumps(record), encoding="utf-8")
    common = ("model", "--source", "source", "--reference", "reference")
    assert scores(capsys, *common, "--report", "report") == scores(capsys, *common)
    page = (files / "report" / "index.html").read_text(encoding="utf-8")
    for part in ("<h2>Attention</h2>", "<h2>Training</h2>", "source words", "in the references", SOURCE[0]):
        assert part in page


def test_a_report_of_a_file(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    common = ("--hypothesis", "hypothesis", "--reference", "reference", "--metrics", "ter", "--report", "report")
    scores(capsys, *common)
    plain = (files / "report" / "index.html").read_text(encoding="utf-8")
    assert "<h2>Attention</h2>" not in plain
    assert "occur in the references" in plain
    scores(capsys, *common, "--frequencies", "source", "--lowercase")
    assert "occur in source" in (files / "report" / "index.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_is_reported_before_the_translation(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    model_folder(files / "model")
    monkeypatch.setattr(Translator, "nbest", None)  # never reached
    common = ("model", "--source", "source", "--reference", "reference")
    assert "source: cannot be written" in failure(capsys, *common, "--report", "source")
    assert "missing: cannot be read" in failure(capsys, *common, "--report", "report", "--frequencies", "missing")


def test_the_models_target_language_chooses_the_tokenizer(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model_folder(files / "model", language="zh")
    common = ("model", "--source", "source", "--reference", "reference", "--metrics", "bleu")
    assert "tok:zh" in scores(capsys, *common)["scores"][0]["signature"]
    assert "tok:13a" in scores(capsys, *common, "--language-pair", "en-de")["scores"][0]["signature"]


def test_faults_are_reported_before_the_translation(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model_folder(files / "model")
    write(files / "short", REFERENCE[:3])
    monkeypatch.setattr(Translator, "nbest", None)  # never reached
    assert "source has 5 lines but short has 3" in failure(
        capsys, "model", "--source", "source", "--reference", "short"
    )
    common = ("model", "--source", "source", "--reference", "reference")
    assert "nonsense: sacrebleu has no such tokenizer" in failure(capsys, *common, "--tokenize", "nonsense")
    assert "nowhere: no such folder" in failure(capsys, "nowhere", *common[1:])


def test_a_test_set_gives_source_and_references(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are where sacreBLEU puts them after a download."""
    monkeypatch.setattr(sacrebleu.DATASETS["multi30k/2016"], "_outdir", str(files))
    write(files / "multi30k_2016.en-de.src", SOURCE)
    write(files / "multi30k_2016.en-de.ref", REFERENCE)
    model_folder(files / "model")
    by_name = ("--test-set", "multi30k/2016", "--language-pair", "en-de")
    by_file = ("--source", "source", "--reference", "reference")
    assert scores(capsys, "model", *by_name) == scores(capsys, "model", *by_file)
    write(files / "short", REFERENCE[:3])
    message = failure(capsys, "--hypothesis", "short", *by_name)
    assert "short has 3 lines but multi30k/2016, references 1 has 5" in message


# ---- several sets side by side


@pytest.fixture
def sets(files: Path) -> list[str]:
    """A model that knows the words of the first set, and two sets."""
    model = model_folder(files / "model")
    save_known_words(model, KnownWords.learn(SOURCE, "en"))
    write(files / "far", ["a MAN flies", "", "ein Haus"])
    write(files / "far.de", ["ein Mann fliegt", "", "ein Haus"])
    return ["model", "--set", "near=source,reference", "--set", "far=far,far.de"]


def test_sets_are_compared_side_by_side(sets: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(sets) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["set", "lines", "unseen", "words", "length", "BLEU", "chrF2", "TER"]
    translator = Translator.load("model")
    for line, name, source, reference, unseen in (
        (lines[1], "near", SOURCE, REFERENCE, "0.0"),
        (lines[2], "far", ["a MAN flies", "", "ein Haus"], ["ein Mann fliegt", "", "ein Haus"], "60.0"),
    ):
        hypotheses = translator.translate(source)
        scorers = (sacrebleu.BLEU(), sacrebleu.CHRF(), sacrebleu.TER())
        expected = [f"{scorer.corpus_score(hypotheses, [reference]).score:.2f}" for scorer in scorers]
        bleu = sacrebleu.BLEU().corpus_score(hypotheses, [reference])
        ratio = f"{bleu.sys_len / bleu.ref_len:.3f}"
        assert line.split() == [name, str(len(source)), unseen, "%", ratio, *expected]
    assert lines[3] == ""
    assert [line.split()[0] for line in lines[4:]] == ["BLEU", "chrF2", "TER"]
    assert "version:" in lines[4]


def test_sets_as_json(sets: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*sets, "--json", "--metrics", "chrf"]) == 0
    near, far = json.loads(capsys.readouterr().out)
    assert (near["name"], near["unseen"], near["evaluation"]["sentences"]) == ("near", 0.0, 5)
    assert (far["name"], far["unseen"], far["evaluation"]["sentences"]) == ("far", 0.6, 3)
    assert [score["name"] for score in far["evaluation"]["scores"]] == ["chrF2"]


def test_a_model_without_known_words(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model_folder(files / "model")
    assert main(["model", "--set", "near=source,reference"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["near", "5", "not", "known"]


def test_a_report_on_sets_has_a_page_for_each(sets: list[str], files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main([*sets, "--report", "page"]) == 0
    assert {path.name for path in (files / "page").iterdir()} == {"index.html", "set-near.html", "set-far.html"}
    index = (files / "page" / "index.html").read_text(encoding="utf-8")
    assert index.index('<a href="set-near.html">near</a>') < index.index('<a href="set-far.html">far</a>')
    assert "<td>60.0</td>" in index
    assert "<h2>Worst sentences</h2>" in (files / "page" / "set-far.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "--set", "near=source"], "--set near=source: must be NAME=SOURCE,REFERENCE"),
        (["model", "--set", "../near=source,reference"], "must be NAME=SOURCE,REFERENCE"),
        (["model", "--set", "a=source,reference", "--set", "a=source,reference"], "--set a: given twice"),
        (["model", "--set", "a=source,none"], "none: cannot be read (No such file or directory)"),
        (["model", "--set", "a=source,far"], "source has 5 lines but far has 3"),
    ],
)
@pytest.mark.usefixtures("sets")
def test_faults_of_sets(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in failure(capsys, *arguments)


@pytest.mark.parametrize(
    "others",
    [
        ["--source", "source"],
        ["--reference", "reference"],
        ["--output", "out"],
        ["--test-set", "wmt17", "--language-pair", "en-de"],
    ],
)
@pytest.mark.usefixtures("sets")
def test_sets_exclude_other_texts(others: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "--set is for MODEL, without --source" in refusal(capsys, "model", "--set", "a=source,reference", *others)


@pytest.mark.usefixtures("sets")
def test_sets_need_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, "--hypothesis", "hypothesis", "--set", "a=source,reference")
    assert "--set is for MODEL" in message
