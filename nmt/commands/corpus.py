"""nmt-corpus translate|score|check JOB --input FILE ... , and nmt-corpus status|verify|merge JOB"""

import argparse
import dataclasses
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.commands.arguments import (
    MAX_THREADS,
    MODEL_HELP,
    add_language_options,
    add_model_options,
    build_parser,
    given_fields,
    whole_number,
)
from nmt.commands.process import print_result, run, startup
from nmt.commands.streams import open_stdout
from nmt.commands.translate import add_search_options, add_text_options, build_options, find_search_conflict
from nmt.errors import ConfigError, DataError
from nmt.search.options import MbrOptions, Options, SampleOptions, SearchOptions

if TYPE_CHECKING:
    from nmt.corpus.items import Columns
    from nmt.corpus.job import Job
    from nmt.corpus.tasks import Task

logger = logging.getLogger("nmt.commands.corpus")  # under `python -m`, __name__ is __main__

NAME = "nmt-corpus"
MAX_SHARD_MIB = 1024
RESULTS = {"translate": "translation", "score": "score", "check": "faults"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Work on a job, or say how far it is."""
    options = _parse(arguments)
    bodies = {"status": _status, "verify": _verify, "merge": _merge}
    return run(NAME, lambda: bodies.get(options.command, _work)(options), lower="--workers")


def _work(options: argparse.Namespace) -> None:
    with startup():
        from nmt.corpus.folders import open_folder
        from nmt.corpus.job import start_or_continue
        from nmt.corpus.ledger import Ledger
        from nmt.corpus.local import check_task, run_local
        from nmt.corpus.run import Share
        from nmt.system.machine import cores, may_have_gpu

        job, task = _plan(options)
    folder, output = open_folder(options.job), open_folder(job.output)
    check_task(task)
    start_or_continue(folder, output, job)
    share = Share(index=options.shard[0], count=options.shard[1]) if options.shard else None
    uses_gpu = options.device == "cuda" or (options.device == "auto" and may_have_gpu() and options.command != "check")
    ledger = Ledger(folder, output, job)
    if options.engine == "ray":
        from nmt.corpus.ray_cluster import run_ray

        run_ray(ledger, task, workers=options.workers, address=options.address, share=share)
    else:
        run_local(ledger, task, workers=options.workers or (1 if uses_gpu else cores()), share=share)


def _plan(options: argparse.Namespace) -> "tuple[Job, Task]":
    """Describe the job and the task that the command line asks for."""
    from nmt.corpus.inputs import find_inputs
    from nmt.corpus.job import MEBIBYTE, Job, identify_model, recognize_format
    from nmt.corpus.tasks import Task
    from nmt.data.text_files import is_url

    files = find_inputs(options.input)
    form, compression = recognize_format(files)
    columns = _choose_columns(options, plain=form == "text")
    settings: dict[str, Any] = {}
    if form != "text":
        settings["columns"] = dataclasses.asdict(columns)
    load = {}
    asked = {}
    if options.command != "check":
        load = {"device": options.device, "precision": options.precision, "shortlist": options.shortlist}
        settings |= {"precision": options.precision, "shortlist": options.shortlist}
        names = ("to", "tag", "split", "guard", "protect", "numbers", "per")
        asked = {name: value for name in names if (value := getattr(options, name, None)) is not None}
        if getattr(options, "format", "text") != "text":
            asked["markup"] = options.format
        settings |= asked
    search: Options | MbrOptions = SearchOptions()
    if options.command == "translate":
        search = build_options(options)
        settings |= given_fields(options, SearchOptions) | given_fields(options, SampleOptions)
        settings |= {name: value for name in ("sample", "mbr") if (value := getattr(options, name))}
    if getattr(options, "terms", None):
        asked["terms"], settings["terms"] = _read_terms(options)
    output = options.output or f"{options.job.rstrip('/')}/output"
    job = Job(
        task=options.command,
        models=tuple(map(identify_model, options.models)),
        settings=settings,
        format=form,
        compression=compression,
        output=output if is_url(output) else os.path.abspath(output),
        shard_bytes=int(options.shard_mib * MEBIBYTE),
        files=tuple(files),
    )
    task = Task(
        name=options.command,
        columns=columns,
        models=tuple(options.models),
        load=load,
        settings=asked,
        search=search,
    )
    return job, task


def _choose_columns(options: argparse.Namespace, *, plain: bool) -> "Columns":
    from nmt.corpus.items import Columns

    pairs = options.command != "translate"
    if plain and (options.column or options.result):
        raise ConfigError(f"--{'column' if options.column else 'result'}: only for .jsonl and .parquet; leave it out")
    names = options.column or (["source", "target"] if pairs else ["text"])
    if len(names) != 1 + pairs:
        raise ConfigError(f"--column: give {'SOURCE and TARGET' if pairs else 'one name'}, not {' '.join(names)}")
    columns = Columns(
        source=names[0], target=names[1] if pairs else None, result=options.result or RESULTS[options.command]
    )
    if columns.result in names:
        raise ConfigError(f"--result {columns.result}: is a column that is read; name another one")
    return columns


def _read_terms(options: argparse.Namespace) -> tuple[Any, str]:
    """Read the glossary. Return the terms, and the checksum of the file."""
    from nmt.system.files import checksum
    from nmt.translation.glossary import read_glossary
    from nmt.translation.translator import Translator

    translator = Translator.load(*options.models, device=options.device, precision=options.precision)
    translator.check(to=options.to, tag=options.tag)
    source, target = translator.data.source_languages[0], translator.target_language(options.to)
    return read_glossary(options.terms, source, target), checksum(Path(options.terms))


def _status(options: argparse.Namespace) -> None:
    import json

    from nmt.corpus.results import open_job, read_status

    status = read_status(open_job(options.job))
    print_result(json.dumps(dataclasses.asdict(status)) if options.json else status.describe())


def _verify(options: argparse.Namespace) -> None:
    from nmt.corpus.results import open_job, verify_job

    ledger = open_job(options.job)
    faults = list(verify_job(ledger))
    if faults:
        raise DataError("\n".join(faults))
    print_result(f"{len(ledger.job.shards):,} shards are complete and unchanged")


def _merge(options: argparse.Namespace) -> None:
    from nmt.corpus.results import merge_job, open_job, write_merged

    ledger = open_job(options.job)
    if options.file == "-":
        with open_stdout() as stream:
            lines = write_merged(ledger, stream)
    else:
        lines = merge_job(ledger, options.file)
    logger.info("%s: %d lines", options.file, lines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser(NAME, "Translate, score or check a corpus of any size. Repeat the command to resume.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in {
        "translate": "translate each line",
        "score": "compute log P of given translations",
        "check": "name the faults of each pair, as nmt-check does",
    }.items():
        _add_task_options(commands.add_parser(name, help=text, description=f"{text.capitalize()}."), name)
    for name, text in {
        "status": "say how much is done",
        "verify": "check that the output is complete and unchanged",
        "merge": "write the output to one file, in the order of the input",
    }.items():
        command = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
        command.add_argument("job", metavar="JOB", help="folder of the job")
        if name == "status":
            command.add_argument("--json", action="store_true", help="a JSON object")
        if name == "merge":
            command.add_argument("file", metavar="FILE", help="file or URL to write; - is standard output")
    options = parser.parse_args(arguments)
    if getattr(options, "address", None) and options.engine != "ray":
        parser.error("--address: only with --engine ray; add it, or leave out --address")
    if options.command == "translate" and (conflict := find_search_conflict(options)):
        parser.error(conflict)
    return options


def _add_task_options(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("job", metavar="JOB", help="folder of the job, a path or a URL; it is created")
    if name == "check":
        parser.set_defaults(models=(), device="cpu")
    else:
        parser.add_argument(
            "--model", dest="models", nargs="+", required=True, metavar="MODEL",
            help=f"{MODEL_HELP}; several: an ensemble",
        )  # fmt: skip
    pairs = "" if name == "translate" else " of pairs, with a tab between source and translation"
    parser.add_argument(
        "--input", nargs="+", required=True, metavar="FILE",
        help=f"files or URLs{pairs}, or patterns in quotes: text, .jsonl or .parquet; also .gz, .zst, .xz, .bz2",
    )  # fmt: skip
    parser.add_argument("--output", metavar="URL", help="folder of the output, a path or a URL; default: JOB/output")
    columns = parser.add_argument_group("columns of .jsonl and .parquet; all others are kept")
    default = "text" if name == "translate" else "source target"
    columns.add_argument("--column", nargs="+", metavar="NAME", help=f"what is read; default: {default}")
    columns.add_argument("--result", metavar="NAME", help=f"what is written; default: {RESULTS[name]}")
    _add_work_options(parser.add_argument_group("how the work is divided"))
    if name != "check":
        _add_translation_options(parser, name)


def _add_work_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--shard-mib", type=_parse_size, default=4.0, metavar="MIB",
        help=f"size of a shard, at most {MAX_SHARD_MIB}; compressed and .parquet files are whole; default: 4",
    )  # fmt: skip
    group.add_argument(
        "--workers", type=whole_number(1, MAX_THREADS), metavar="N", help="processes; default: one for each core"
    )
    group.add_argument("--engine", choices=("local", "ray"), default="local", help="where workers run; default: local")
    group.add_argument("--address", metavar="ADDRESS", help="the Ray cluster, or auto; default: start Ray here")
    group.add_argument(
        "--shard", type=_parse_share, metavar="I/N", help="do only the I-th of N shares, from 0, as in a SLURM array"
    )


def _add_translation_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the options of translating, or of scoring translations."""
    add_language_options(parser.add_argument_group("languages"))
    if name == "score":
        parser.add_argument(
            "--per", choices=("sentence", "token", "word"), help="the sum of a sentence, or the mean; default: sentence"
        )
    else:
        add_text_options(parser)
        add_search_options(parser, more="")
    add_model_options(parser.add_argument_group("machine"), shortlist=name == "translate")


def _parse_share(text: str) -> tuple[int, int]:
    if (match := re.fullmatch(r"(\d{1,7})/(\d{1,7})", text)) and int(match[1]) < int(match[2]):
        return int(match[1]), int(match[2])
    raise argparse.ArgumentTypeError(f"must be I/N with I from 0 to N - 1, such as 0/8, not {text!r}")


def _parse_size(text: str) -> float:
    try:
        if 1e-4 <= (size := float(text)) <= MAX_SHARD_MIB:
            return size
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a number of MiB, from 0.0001 to {MAX_SHARD_MIB}, not {text!r}")


if __name__ == "__main__":
    sys.exit(main())
