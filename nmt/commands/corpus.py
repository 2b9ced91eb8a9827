"""nmt-corpus translate|score|check JOB --input FILE ..., and nmt-corpus status|verify|merge JOB"""

import argparse
import logging
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.commands.arguments import (
    MODEL_HELP,
    add_fields,
    add_language_options,
    build_parser,
    given_fields,
    whole_number,
)
from nmt.commands.process import print_result, run, startup
from nmt.commands.translate import SEARCH, add_text_options
from nmt.errors import DataError
from nmt.search.options import SearchOptions

if TYPE_CHECKING:
    from nmt.corpus.job import Job, Shard
    from nmt.corpus.storage import Storage
    from nmt.corpus.work import Marker

logger = logging.getLogger("nmt.commands.corpus")  # under `python -m`, __name__ is __main__

NAME = "nmt-corpus"
TASKS = ("translate", "score", "check")
_PROGRESS_SECONDS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Process a corpus shard by shard, or report on a job."""
    options = _parse(arguments)

    def body() -> int | None:
        with startup():
            from nmt.corpus.storage import Storage

            storage = Storage(options.job)
            if options.action in TASKS:
                from nmt.corpus.job import open_job
                from nmt.corpus.tasks import load_task

                job = _describe_job(options)
                load_task(job)  # reports the faults of models and languages before anything is written
                job = open_job(storage, job)
        if options.action in TASKS:
            _process(storage, job, options)
            return None
        return _report(storage, options)

    return run(NAME, body, lower="--workers or --shard-mib")


def _describe_job(options: argparse.Namespace) -> "Job":
    """Return the job that the command line describes."""
    from nmt.corpus.job import Job, checksum_model, find_inputs
    from nmt.corpus.storage import Storage
    from nmt.corpus.tasks import DEFAULT_COLUMNS, DEFAULT_RESULT

    models = tuple(getattr(options, "model", ()))  # `check` has none
    given: dict[str, Any] = {}
    if options.action == "check":
        given["languages"] = [options.source_language, options.target_language]
    else:
        names = ("to", "tag", "precision", "shortlist", "split", "guard", "protect", "numbers")
        given |= {name: value for name in names if (value := getattr(options, name, None)) is not None}
    if options.action == "translate":
        given["search"] = given_fields(options, SearchOptions)
    return Job(
        task=options.action,
        inputs=find_inputs(options.input),
        output=Storage(options.output or f"{options.job.rstrip('/')}/output").url,
        models=models,
        checksums=tuple(map(checksum_model, models)),
        options=given,
        columns=tuple(options.column or DEFAULT_COLUMNS[options.action]),
        result=options.result or DEFAULT_RESULT[options.action],
        shard_bytes=options.shard_mib << 20,
    )


def _process(storage: "Storage", job: "Job", options: argparse.Namespace) -> None:
    """Process the shards of a job that are not done yet, and log the progress."""
    from nmt.corpus.results import describe_progress, measure_progress, read_markers
    from nmt.corpus.storage import Storage
    from nmt.system.machine import cores

    part, parts = options.shard or (0, 1)
    own = [shard for shard in job.shards if shard.number % parts == part]
    markers = read_markers(storage, own)
    waiting = [shard for shard in own if shard.number not in markers]
    logger.info("%s: %d shards, %d done", storage.url, len(own), len(markers))
    latest = time.monotonic()

    def watch(marker: "Marker") -> None:
        nonlocal latest
        markers[marker.shard] = marker
        if len(markers) < len(own) and time.monotonic() - latest >= _PROGRESS_SECONDS:
            latest = time.monotonic()
            logger.info("%s", describe_progress(measure_progress(own, list(markers.values()))))

    if waiting:
        _run_engine(storage.url, job, waiting, options, workers=options.workers or cores(), watch=watch)
    if options.shard is None:
        Storage(job.output).remove_drafts("")
    progress = measure_progress(own, list(markers.values()))
    logger.info("%s", describe_progress(progress))
    if progress.failed:
        logger.warning("%d records could not be processed; %s lists them", progress.failed, storage.path("failed"))


def _run_engine(
    url: str, job: "Job", shards: "Sequence[Shard]", options: argparse.Namespace, *, workers: int, watch: Any
) -> None:
    if options.engine == "ray":
        from nmt.corpus.ray_cluster import run_ray

        run_ray(url, job, shards, workers=workers, address=options.address, watch=watch)
    else:
        from nmt.corpus.local import run_local

        run_local(url, job, shards, workers=workers, watch=watch)


def _report(storage: "Storage", options: argparse.Namespace) -> int | None:
    """Print the progress of a job, verify its output, or join it."""
    from nmt.corpus.job import read_job
    from nmt.corpus.results import describe_progress, measure_progress, merge, read_markers, verify

    job = read_job(storage)
    if job is None:
        raise DataError(f"{storage.url}: has no job; name the folder that was given to nmt-corpus {TASKS[0]}")
    if options.action == "status":
        markers = read_markers(storage, job.shards)
        print_result(describe_progress(measure_progress(job.shards, list(markers.values()))))
    elif options.action == "verify":
        if faults := verify(storage, job):
            raise DataError("\n".join(faults))
        print_result(f"{len(job.shards):,} shards are complete and undamaged")
    else:
        target = sys.stdout.buffer if options.file == "-" else Path(options.file)
        records = merge(storage, job, target)
        logger.info("%s: %d records", options.file, records)
    return None


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser(
        NAME, "Translate, score or check a corpus of any size, shard by shard. Jobs can be continued."
    )
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="|".join((*TASKS, "status", "verify", "merge"))
    )
    helps = {
        "translate": "translate each line, or a column of .jsonl and .parquet",
        "score": "write log P of each translation: lines SOURCE, tab, TRANSLATION, or two columns",
        "check": "write the faults of each pair that nmt-check looks for in single lines",
    }
    for task in TASKS:
        _add_task_options(actions.add_parser(task, help=helps[task], allow_abbrev=False), task)
    for name, text in (
        ("status", "print how far a job is"),
        ("verify", "compare all output with the checksums that were stored with it"),
        ("merge", "join the output of all shards, in order"),
    ):
        action = actions.add_parser(name, help=text, allow_abbrev=False)
        action.add_argument("job", metavar="JOB", help="the folder of the job")
        if name == "merge":
            action.add_argument("file", metavar="FILE", help="the file to write; - is standard output")
    options = parser.parse_args(arguments)
    if options.action in TASKS and options.address and options.engine != "ray":
        parser.error("--address: only with --engine ray; add it, or leave out --address")
    return options


def _add_task_options(parser: argparse.ArgumentParser, task: str) -> None:
    parser.add_argument("job", metavar="JOB", help="the folder of the job, on this machine or a URL such as s3://b/job")
    parser.add_argument(
        "--input", nargs="+", required=True, metavar="FILE",
        help="files of the corpus, in order; * matches any part of a name; URLs; .gz, .zst, .xz and .bz2 are read",
    )  # fmt: skip
    parser.add_argument("--output", metavar="FOLDER", help="folder of the output; default: JOB/output")
    parser.add_argument("--column", nargs="+", metavar="NAME", help="columns to read, in .jsonl and .parquet")
    parser.add_argument("--result", metavar="NAME", help="column to write, in .jsonl and .parquet")
    if task == "check":
        parser.add_argument("--from", dest="source_language", default="en", metavar="LANGUAGE", help="source language")
        parser.add_argument("--to", dest="target_language", default="de", metavar="LANGUAGE", help="target language")
    else:
        parser.add_argument(
            "--model", nargs="+", required=True, metavar="MODEL", help=f"{MODEL_HELP}; several: an ensemble"
        )
        add_language_options(parser.add_argument_group("languages"))
        machine = parser.add_argument_group("precision")
        machine.add_argument("--precision", choices=("auto", "fp32", "int8"), help="default: auto")
        machine.add_argument(
            "--shortlist", action=argparse.BooleanOptionalAction, default=task == "translate",
            help="consider only the likely target tokens; default: for translations, not for scores",
        )  # fmt: skip
    if task == "translate":
        add_text_options(parser)
        add_fields(parser.add_argument_group("search"), SearchOptions, SEARCH)
    work = parser.add_argument_group("work")
    work.add_argument(
        "--shard-mib", type=whole_number(1, 1 << 20), default=4, metavar="MIB",
        help="size of the parts into which files that are not compressed are divided; default: 4",
    )  # fmt: skip
    work.add_argument(
        "--workers", type=whole_number(1, 1024), metavar="N", help="worker processes; default: one a core"
    )
    work.add_argument(
        "--shard", type=_parse_share, metavar="I/N",
        help="process only every N-th shard, from the I-th on, for example in a SLURM array; I is 0 to N-1",
    )  # fmt: skip
    work.add_argument("--engine", choices=("local", "ray"), default="local", help="where workers run; default: local")
    work.add_argument("--address", metavar="ADDRESS", help="of the Ray cluster, or auto; default: this machine")


def _parse_share(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or not int(match[1]) < int(match[2]):
        raise argparse.ArgumentTypeError(f"must be I/N, with I from 0 to N-1, not {text!r}")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    sys.exit(main())
