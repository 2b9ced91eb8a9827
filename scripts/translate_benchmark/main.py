"""Measure translation on a CPU: the speed, memory, start-up time and BLEU of models and of other toolkits.

    taskset -c 0 scripts/bench-translate runs/a runs/b --source test.en --reference test.de --precision fp32 int8 \\
        --against OpenNMT-py=./translate-opennmt-py.sh --rounds 3 --json speeds.json --plot speeds.svg > speeds.md

Every model runs at every precision and every setting, with and without its shortlist. It runs inside a warm process
that has loaded it, and as nmt-translate, including loading. The contenders take turns in each round, so that ratios
come from one run. The caller chooses the core. Tables are written to standard output as Markdown, and progress is
written to standard error.
"""

import argparse
import shlex
import sys
from pathlib import Path

import torch

from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.run_folder import find_model_folder
from nmt.commands import arguments, process
from nmt.data.text_files import read_lines
from nmt.errors import DataError
from nmt.evaluation.scores import check_lengths
from nmt.system.files import saving
from translate_benchmark.contenders import (
    Contender,
    TestSet,
    combine_contenders,
    measure,
    measure_inside,
    start,
)
from translate_benchmark.figures import Figures, Setting, Speed, Start, parse_speeds
from translate_benchmark.plot import draw_frontier
from translate_benchmark.processes import processor, run
from translate_benchmark.table import TORCH, format_figures, format_number

SETTINGS = ("5:full", "1:full", "5:1", "1:1")
IMPORT_TORCH = [sys.executable, "-c", TORCH]

STARTER = Path(__file__).parents[1] / "bench-translate"


def main() -> None:
    options = parse()
    if options.inside:
        torch.set_num_threads(1)
        print(measure_inside(sys.stdin.read()))
    else:
        show_figures(options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("models", metavar="MODEL", nargs="*", help="output folders of nmt-train, or model folders")
    parser.add_argument("--source", help="the source of the test set, one sentence per line")
    parser.add_argument("--reference", help="its translation")
    parser.add_argument("--sentences", type=arguments.whole_number(1), metavar="N", help="only the first N sentences")
    parser.add_argument(
        "--precision", nargs="+", choices=("auto", "fp32", "int8"), default=["fp32", "int8"], help="fp32 int8"
    )
    parser.add_argument(
        "--settings",
        nargs="+",
        default=SETTINGS,
        metavar="BEAM:full|1",
        help=f"beam; speed or latency ({' '.join(SETTINGS)})",
    )
    parser.add_argument(
        "--against", action="append", default=[], metavar="NAME=COMMAND",
        help="another toolkit: a command that prints lines SPEED beam=5 batch=64 sentences_per_second=59.9, and "
        "bleu=34.1 peak_MiB=500 whole_seconds=20.2 tokens_per_second=820 sentences=1000 if known; batch=1 is latency",
    )  # fmt: skip
    parser.add_argument("--rounds", type=arguments.whole_number(1), default=3, help="the number of rounds (3)")
    parser.add_argument(
        "--threads",
        nargs="+",
        type=arguments.whole_number(1),
        default=[1],
        metavar="T",
        help="the numbers of threads of nmt-translate; each is a contender (1)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the figures after each round")
    parser.add_argument("--load", nargs="+", metavar="FILE", help="show these figures, and measure nothing")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="plot speed and BLEU; needs the extra `plots`")
    # An option for the process of a contender.
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside and not options.load and not (options.models and options.source and options.reference):
        parser.error("name at least one MODEL, --source and --reference; or figures to --load")
    return options


def read_test_set(options: argparse.Namespace) -> TestSet:
    source, reference = list(read_lines(options.source)), list(read_lines(options.reference))
    check_lengths([(options.source, source), (options.reference, reference)])
    config = load_folder_config(find_model_folder(options.models[0]))
    shown = slice(options.sentences)
    return TestSet(source=source[shown], reference=reference[shown], target_language=config.data.target_language)


# ---- contenders in turns


def show_figures(options: argparse.Namespace) -> None:
    figures = Figures.load(options.load) if options.load else measure_all(options)
    print(format_figures(figures))
    if options.plot:
        with saving(options.plot):
            options.plot.write_text(draw_frontier(figures), encoding="utf-8")


def measure_all(options: argparse.Namespace) -> Figures:
    test, settings = read_test_set(options), [Setting.parse(text) for text in options.settings]
    ours = combine_contenders(options.models, options.precision, options.threads)
    others = [other(text) for text in options.against]
    figures = Figures(
        machine=f"{processor()}, torch {torch.__version__}",
        test_set=f"{Path(options.source).name}, {len(test.source)} sentences",
        signature=test.bleu(test.source)[1],
    )
    run(IMPORT_TORCH)  # read torch from the disk into memory
    for number_of_round in range(1, options.rounds + 1):
        say(f"round {number_of_round}")
        add_starts(figures, ours, test.source[0])
        for contender in ours:
            add_speeds(figures, measure(contender, settings, test, str(STARTER)))
        for name, command in others:
            output = run(shlex.split(command)).output
            add_speeds(
                figures, [speed for speed in parse_speeds(name, output, len(test.source)) if speed.setting in settings]
            )
        if options.json:
            figures.save(options.json)
    return figures


def add_starts(figures: Figures, ours: list[Contender], line: str) -> None:
    figures.starts.append(Start(contender=TORCH, seconds=run(IMPORT_TORCH).seconds))
    figures.starts += [Start(contender=contender.name, seconds=start(contender, line)) for contender in ours]
    for each in figures.starts[-1 - len(ours) :]:
        say(f"{each.contender:44} {each.seconds:7.2f} s to start")


def add_speeds(figures: Figures, speeds: list[Speed]) -> None:
    figures.speeds += speeds
    for each in speeds:
        bleu = "" if each.bleu is None else f"BLEU {each.bleu:.2f}"
        speed = format_number(each.sentences_per_second)
        say(f"{each.contender:44} {each.setting.title:36} {speed:>8} sentences/s  {bleu}")


def other(text: str) -> tuple[str, str]:
    name, equals, command = text.partition("=")
    if not (name and equals and command):
        raise DataError(f"--against {text}: write NAME=COMMAND")
    return name, command


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run_script() -> int:
    return process.run("bench-translate", main)
