"""scripts/bench-translate: its measurements, the output of other toolkits, and its report."""

import sys
from pathlib import Path
from unittest.mock import Mock
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny
import warm
from translate_benchmark import plot, processes
from translate_benchmark.contenders import combine_contenders
from translate_benchmark.figures import Figures, Rounds, Setting, Speed, Start, parse_speeds
from translate_benchmark.main import run_script
from translate_benchmark.table import format_figures, format_number, format_starts

from nmt.checkpoint.folder import load_model, save_shortlist
from nmt.checkpoint.run_folder import find_model_folder
from nmt.errors import DataError
from nmt.model.candidates import Shortlist
from nmt.training.run import train
from nmt.types import EOS

FULL, ALONE = Setting(beam=5, alone=False), Setting(beam=1, alone=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    train(tiny.config(tiny.write_corpus(folder)), folder / "run")
    tokenizers = load_model(folder / "run").tokenizers
    every = np.arange(EOS, tokenizers.target.size)
    best = np.full((tokenizers.source.size, 1), EOS)
    shortlist = Shortlist(target_size=tokenizers.target.size, frequent=every, best=best)
    save_shortlist(find_model_folder(folder / "run"), shortlist)
    return folder / "run"


def speed(name: str, sentences: float, *, ours: bool = True, **more: float) -> Speed:
    return Speed(contender=name, setting=FULL, ours=ours, sentences_per_second=sentences, **more)


def split_row(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


# ---- figures


def test_parse_setting() -> None:
    assert (Setting.parse("5:full"), Setting.parse("1:1")) == (FULL, ALONE)
    assert (FULL.title, ALONE.title) == ("Beam 5, full speed", "Greedy, one sentence at a time")
    for wrong in ("5", "0:full", "x:1", "5:64", "5:"):
        with pytest.raises(DataError, match="5:full for example"):
            Setting.parse(wrong)


def test_parse_speeds() -> None:
    output = """loading
SPEED beam=5 batch=64 sentences_per_second=59.9 bleu=34.1 peak_MiB=500 whole_seconds=20 tokens_per_second=820
SPEED beam=1 batch=1 sentences_per_second=24.9 whole_seconds=5 sentences=100
"""
    full, alone = parse_speeds("other", output, sentences=1000)
    assert full == speed(
        "other", 59.9, ours=False, bleu=34.1, peak_mib=500, whole_sentences_per_second=50, tokens_per_second=820
    )
    assert (alone.setting, alone.whole_sentences_per_second, alone.bleu) == (ALONE, 20, None)


@pytest.mark.parametrize(
    "output", ["", "SPEED", "SPEED beam=5 batch=64", "SPEED beam=five batch=64 sentences_per_second=1", "SPEED beam 5"]
)
def test_parse_speeds_of_bad_output(output: str) -> None:
    with pytest.raises(DataError, match=r"^other: .*sentences_per_second="):
        parse_speeds("other", output, sentences=1000)


def test_figures_are_saved_and_loaded(tmp_path: Path) -> None:
    figures = Figures(machine="a machine", test_set="a test", signature="nrefs:1")
    figures.speeds += [speed("nmt", 300.0, bleu=30.0)]
    figures.starts += [Start(contender="import torch", seconds=1.5)]
    figures.save(tmp_path / "one")
    assert Figures.load([str(tmp_path / "one")]) == figures
    assert len(Figures.load([str(tmp_path / "one")] * 2).speeds) == 2
    (tmp_path / "other").write_text('{"speeds": 1}', encoding="utf-8")
    with pytest.raises(DataError, match="other: not a file that bench-translate --json wrote"):
        Figures.load([str(tmp_path / "other")])


def test_interrupted_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = Figures(machine="a machine")
    figures.save(tmp_path / "one")
    monkeypatch.setattr("os.fsync", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        Figures(machine="another").save(tmp_path / "one")
    assert Figures.load([str(tmp_path / "one")]) == figures


def test_ratio_is_the_median_over_rounds() -> None:
    ours, other = Rounds([speed("a", 10), speed("a", 40), speed("a", 20)]), Rounds([speed("b", 5), speed("b", 10)])
    assert ours.times(other) == 3  # the median of 2 and 4
    assert ours.median("sentences_per_second") == 20


def test_table_of_speeds() -> None:
    figures = Figures(machine="a machine", test_set="a test", signature="nrefs:1")
    figures.speeds += [
        speed("nmt", 300, bleu=34.0, tokens_per_second=4100, whole_sentences_per_second=200, peak_mib=310.4),
        speed("other", 60, ours=False, bleu=34.1),
        speed("nmt", 400, bleu=34.0, tokens_per_second=5100, whole_sentences_per_second=220, peak_mib=309),
        speed("other", 40, ours=False, bleu=34.1),
    ]
    figures.starts += [Start(contender="import torch", seconds=2), Start(contender="nmt", seconds=2.5)]
    lines = format_figures(figures).splitlines()
    assert lines[0] == "a machine. a test."
    assert lines[2] == "### Beam 5, full speed"
    assert [split_row(line) for line in lines[6:8]] == [
        ["nmt", "34.00", "**350** (300 to 400)", "4,600", "**210** (200 to 220)", "310", "7.50"],
        ["other", "34.10", "**50.0** (40.0 to 60.0)", "", "", "", ""],
    ]
    assert ["nmt", "**2.50** (2.50 to 2.50)", "1.25"] in map(split_row, lines)
    assert lines[-1] == "- BLEU: sacrebleu, nrefs:1"


def test_ratios_are_to_the_first_contender_if_all_are_ours() -> None:
    figures = Figures(speeds=[speed("slow", 10), speed("fast", 25)])
    rows = [split_row(line) for line in format_figures(figures).splitlines()]
    assert ["fast", "", "**25.0** (25.0 to 25.0)", "", "", "", "2.50"] in rows
    assert any(row[-1:] == ["times slow"] for row in rows)
    assert format_starts(figures).count("\n") == 1  # no start was measured: the head alone


def test_numbers_have_three_digits() -> None:
    assert [format_number(value) for value in (1.234, 12.34, 123.4, 1234.0)] == ["1.23", "12.3", "123", "1,234"]


def test_plot_has_a_point_and_a_name_for_each_contender() -> None:
    pytest.importorskip("matplotlib")
    figures = Figures(speeds=[speed("a & b", 10, bleu=30), speed("fast", 100, bleu=28), speed("poor", 50, bleu=27)])
    figures.speeds.append(speed("silent", 50))  # no BLEU, no point
    root = ElementTree.fromstring(plot.draw_frontier(figures))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a & b", "fast", "poor", "Beam 5, full speed"} <= set(texts)
    assert "silent" not in texts
    groups = [element.get("id", "") for element in root.iter("{http://www.w3.org/2000/svg}g")]
    assert sum(name.startswith("PathCollection") for name in groups) == 3


def test_find_frontier() -> None:
    places = (("a", 1, 9), ("b", 2, 7), ("c", 3, 8))
    points = [plot.Point(name=name, speed=x, bleu=y, ours=True) for name, x, y in places]
    assert [point.name for point in plot.find_frontier(points)] == ["a", "c"]


# ---- processes


def test_time_and_memory_of_a_process() -> None:
    code = "import sys, time; held = bytearray(100_000_000); time.sleep(0.1); print(sys.stdin.read().upper())"
    done = processes.run([sys.executable, "-c", code], "text")
    assert done.output == "TEXT\n"
    assert done.seconds > 0.1
    assert 95 < done.peak_mib < 200  # this process, which holds torch, is larger


def test_first_answer_before_the_end_of_input() -> None:
    code = "import sys; print(sys.stdin.readline(), flush=True); sys.stdin.read()"
    assert 0 < processes.first_answer([sys.executable, "-c", code], "text") < 30


def test_failed_process_is_reported() -> None:
    failing = [sys.executable, "-c", "raise SystemExit('why')"]
    with pytest.raises(DataError, match="failed with 1:\nwhy"):
        processes.run(failing)
    with pytest.raises(DataError, match="failed with 1:\nwhy"):
        processes.first_answer([sys.executable, "-c", "input(); raise SystemExit('why')"], "text")
    with pytest.raises(DataError, match="failed with 1:\nwhy"):
        processes.first_answer(
            failing, "more than a pipe holds" * 10_000
        )  # so that the process ends before it has read everything


# ---- the whole


def test_contenders_are_all_combinations_of_options(model: Path) -> None:
    found = combine_contenders([str(model)], ["fp32", "int8"], [1, 2])
    assert [contender.name for contender in found[::2]] == [
        "nmt run, fp32", "nmt run, fp32, shortlist", "nmt run, int8", "nmt run, int8, shortlist"
    ]  # fmt: skip
    assert found[-1].name == "nmt run, int8, shortlist, 2 threads"
    assert ["--no-shortlist" in contender.command() for contender in found] == [True, True, False, False] * 2
    twice = combine_contenders([str(model), str(model)], ["fp32"], [1])
    assert str(model) in twice[0].name


def bench(*arguments: str) -> warm.Ended:
    return warm.run_command(run_script, *arguments)


@pytest.mark.slow
def test_whole_round(model: Path, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("red cat\nblue house\nfour\n", encoding="utf-8")
    (tmp_path / "reference").write_text("rot katze\nblau haus\nvier\n", encoding="utf-8")
    files = ["--source", str(tmp_path / "source"), "--reference", str(tmp_path / "reference"), "--sentences", "2"]
    kept = ["--json", str(tmp_path / "json"), "--plot", str(tmp_path / "svg")]
    rest = ["--precision", "fp32", "--settings", "1:1", "--rounds", "1"]
    other = ["--against", "other=echo SPEED beam=1 batch=1 sentences_per_second=2 bleu=1"]
    done = bench(str(model), *files, *rest, *other, *kept)
    assert done.status == 0, done.stderr
    assert b"2 sentences" in done.stdout
    table = " ".join(done.stdout.decode().split())
    assert "| nmt run, fp32 |" in table
    assert "| nmt run, fp32, shortlist |" in table
    assert "| other | 1.00 | **2.00** (2.00 to 2.00) |" in table
    assert b"sacrebleu, nrefs:1" in done.stdout
    assert b"differ" not in done.stderr
    assert ElementTree.parse(tmp_path / "svg")
    assert bench("--load", str(tmp_path / "json")).stdout == done.stdout


def test_errors_are_one_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("one\n", encoding="utf-8")
    files = ["--source", str(tmp_path / "text"), "--reference", str(tmp_path / "text")]
    done = bench(str(model), *files, "--against", "nothing")
    assert (done.status, done.stderr) == (2, b"bench-translate: error: --against nothing: write NAME=COMMAND\n")
