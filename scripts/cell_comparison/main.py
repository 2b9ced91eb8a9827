"""Compare the plain RNN, the GRU and the LSTM at equal parameters, and write docs/cells.md and its drawings.

    scripts/compare-cells DIR --output docs                                  the whole page; DIR contains Multi30k
    scripts/compare-cells --output docs                                      only the parts without a corpus
    scripts/compare-cells DIR --output docs --models runs/rnn runs/gru runs/lstm    with trained models

DIR contains train, val and test_2016_flickr, each with .en and .de, plain, .gz or .zst. Finished parts are kept in the
folder --work, and the same command continues where it was stopped.
"""

import argparse
import dataclasses
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch
from translate_benchmark.processes import processor

from cell_comparison import gates, memory, pictures, translation
from cell_comparison.document import Origin, format_page, join_words
from cell_comparison.memory import Settings
from cell_comparison.sizes import CELLS, LEARNING_RATES
from cell_comparison.tasks import TASKS
from cell_comparison.work import Job, list_commits, results
from nmt.checkpoint.run_folder import find_model_folder
from nmt.commands.arguments import whole_number
from nmt.commands.process import run
from nmt.evaluation.report.draw import require_matplotlib
from nmt.system.files import CHECKSUMS, saving, write_whole
from nmt.system.machine import cores

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (1, 2, 3)
EPOCHS = 8  # a model trains for about twelve minutes on one core
SENTENCE = "A man in a red jacket is riding a horse through the snow while two dogs run behind him."
QUICK = (
    "tokenizer.kind=words", "model.embedding_size=16", "model.encoder_size=32", "model.decoder_size=16",
    "training.batch_tokens=64", "training.max_updates=2",
)  # fmt: skip


def main() -> None:
    options = parse()
    require_matplotlib()
    compare(options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("corpus", nargs="?", metavar="DIR", help="folder of Multi30k; default: parts without a corpus")
    parser.add_argument("--output", type=Path, required=True, help="write OUTPUT/cells.md and OUTPUT/cells/*.svg")
    parser.add_argument("--work", type=Path, default=Path("runs/cells"), help="keep results here; default: %(default)s")
    parser.add_argument("--models", nargs=3, metavar=("RNN", "GRU", "LSTM"), help="models that are trained already")
    parser.add_argument("--sentence", default=SENTENCE, help="the sentence for the plots of gates")
    parser.add_argument("--processes", type=whole_number(1), default=cores(), help="jobs at once; default: all cores")
    parser.add_argument("--quick", action="store_true", help="test the script in seconds; the networks learn nothing")
    options = parser.parse_args()
    if options.models and not options.corpus:
        parser.error("--models needs DIR to score the models; give the folder of Multi30k")
    return options


def compare(options: argparse.Namespace) -> None:
    settings = memory.quick() if options.quick else Settings()
    seeds = SEEDS[:2] if options.quick else SEEDS
    translating = translation_jobs(options) if options.corpus else []
    # The longest jobs come first, so that no core waits at the end.
    jobs = [*translating, *memory_jobs(settings, seeds)]
    found = results(jobs, options.work, options.processes, current_commit())
    studies = {
        task: {cell: [found[f"{task}-{cell}-{seed}"] for seed in seeds] for cell in CELLS} for task in TASKS
    }  # fmt: skip
    drawn = {"memory": pictures.draw_memory(studies, settings.longest), "gradients": pictures.draw_gradients(studies)}
    translations, seen = None, None
    if options.corpus:
        translations = {cell: found[f"translation-{cell}"] for cell in CELLS}
        seen = gates.read_sentence(model_folder(options, "lstm"), options.sentence)
        groups = {cell: model[translation.TEST]["lengths"] for cell, model in translations.items()}
        drawn |= {
            "lengths": pictures.draw_lengths(groups),
            "gates": pictures.draw_gates(seen),
            "units": pictures.draw_units(seen),
        }
    page = format_page(studies, settings, seeds, translations, seen, origin(options, list_commits(jobs, options.work)))
    write(options.output, page, drawn)


def memory_jobs(settings: Settings, seeds: tuple[int, ...]) -> list[Job]:
    return [
        Job(
            name=f"{task}-{cell}-{seed}",
            function=memory.study,
            settings={
                "task_name": task,
                "cell": cell,
                "seed": seed,
                "settings": dataclasses.replace(settings, learning_rate=LEARNING_RATES[cell]),
            },
        )
        for task in TASKS
        for cell in CELLS
        for seed in seeds
    ]


def translation_jobs(options: argparse.Namespace) -> list[Job]:
    overrides = [f"training.epochs={EPOCHS}", "training.shortlist=false", *(QUICK if options.quick else ())]
    jobs = []
    for cell in CELLS:
        recipe = {
            "config": str(ROOT / "configs" / "multi30k-fast.yaml"),
            "overrides": [*overrides, f"training.learning_rate={LEARNING_RATES[cell]}"],
        }
        where: dict[str, Any] = {"cell": cell, "corpus": options.corpus, "folder": model_folder(options, cell)}
        function = translation.score if options.models else translation.train_and_score
        settings = where if options.models else {**where, **recipe}
        depends = {"checksums": checksums(options, cell)} if options.models else {}
        jobs.append(Job(name=f"translation-{cell}", function=function, settings=settings, depends=depends))
    return jobs


def checksums(options: argparse.Namespace, cell: str) -> str:
    """Read the checksums of a model that is already trained."""
    path = find_model_folder(model_folder(options, cell)) / CHECKSUMS
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def model_folder(options: argparse.Namespace, cell: str) -> str:
    return str(options.models[CELLS.index(cell)] if options.models else options.work / "models" / cell)


def origin(options: argparse.Namespace, commits: list[str]) -> Origin:
    """Describe how to produce the page again. The names of local folders are left out."""
    command = "scripts/compare-cells" + (" DIR_OF_MULTI30K" if options.corpus else "") + " --output docs"
    command += " --models RNN GRU LSTM" if options.models else ""
    command += f' --sentence "{options.sentence}"' if options.sentence != SENTENCE else ""
    machine = f"{processor()}, Python {platform.python_version()}"
    return Origin(command=command, commit=join_words(commits), machine=machine, torch=torch.__version__)


def current_commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def write(output: Path, page: str, drawn: dict[str, str]) -> None:
    with saving(output):
        (output / "cells").mkdir(parents=True, exist_ok=True)
    for name, drawing in drawn.items():
        write_whole(output / "cells" / f"{name}.svg", drawing)
    write_whole(output / "cells.md", page)


def run_script() -> int:
    return run("compare-cells", main)
