"""nmt-translate MODEL [MODEL ...] < LINES > TRANSLATIONS"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, cast

from nmt.commands.base import (
    add_fields,
    add_language_options,
    add_machine_options,
    given_fields,
    lasting,
    load_translator,
    parser,
    run,
    standard_output,
    whole_number,
)
from nmt.errors import DataError
from nmt.search.options import SampleOptions, SearchOptions

if TYPE_CHECKING:
    from nmt.search.options import Options
    from nmt.translation.request import Translation

NAME = "nmt-translate"
WINDOW = 16  # batches for each process of the search: so much is read before it is sorted by length
SEARCH = {
    "beam": "K", "length_penalty": "A", "coverage_penalty": "B", "max_length_factor": "F", "max_length_extra": "E",
}  # fmt: skip
SAMPLING = {"seed": "S", "temperature": "T", "top_k": "K"}  # only with --sample


def plain(translations: "Sequence[Translation]", line: int) -> str:  # noqa: ARG001
    """The best translation."""
    return translations[0].text


def ranked(translations: "Sequence[Translation]", line: int) -> str:
    """A line for each translation, in the form of Moses: number of the input line, text, score."""
    return "\n".join(f"{line} ||| {translation.text} ||| {translation.score:.4f}" for translation in translations)


def as_json(translations: "Sequence[Translation]", line: int) -> str:
    """One object."""
    shown = [
        {
            "text": translation.text,
            "score": round(translation.score, 6),
            "tokens": translation.tokens,
            "alignment": translation.alignment,
        }
        for translation in translations
    ]
    content = {"line": line, "source_tokens": translations[0].source_tokens, "translations": shown}
    return json.dumps(content, ensure_ascii=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Translate standard input to standard output, line by line."""
    options = _options(arguments)

    def body() -> None:
        with lasting():
            from nmt.translation.pipe import run_pipe

            search = _search(options)
            translator = load_translator(options)
        with contextlib.closing(translator):
            asked = {"options": search, "to": options.to, "tag": options.tag, "split": options.split}
            translator.nbest([""], **asked)  # report a wrong language or tag before reading input
            run_pipe(
                _standard_input(),
                _standard_output(),
                translate=lambda requests: translator.nbest(requests, **asked),
                show=as_json if options.json else ranked if options.nbest else plain,
                max_lines=WINDOW * translator.processes * translator.max_segments(search),
            )

    return run(NAME, body)


def _search(options: argparse.Namespace) -> "Options":
    """How to search, or to sample."""
    search = given_fields(options, SearchOptions)
    if not options.sample:
        return SearchOptions(**search, attention=options.json)
    samples = search.pop("nbest", 1)
    within = SearchOptions(**{**search, "beam": 1}, attention=options.json)
    return SampleOptions(**given_fields(options, SampleOptions), samples=samples, within=within)


def _standard_input() -> BinaryIO:
    """Bytes of standard input as they come, without the buffer, whose lock a thread that waits for input would hold."""
    if sys.stdin is None:
        raise DataError("standard input is closed; give text on it")
    os.set_blocking(sys.stdin.fileno(), True)  # or no bytes now would look like no more bytes
    return cast(BinaryIO, open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))


def _standard_output() -> BinaryIO:
    """Bytes to standard output, buffered whatever Python's own settings: what is unbuffered may write a part and say so."""
    descriptor = standard_output().fileno()
    os.set_blocking(descriptor, True)
    return cast(BinaryIO, open(descriptor, "wb", closefd=False))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    result = parser(NAME, "Translate lines from standard input to standard output.")
    result.add_argument("models", metavar="MODEL", nargs="+", help="output folder of nmt-train; several: an ensemble")
    result.add_argument("--split", action="store_true", help="translate each sentence of a line by itself")
    add_language_options(result.add_argument_group("languages"))
    output = result.add_argument_group("output, by default the best translation of each line")
    output.add_argument("--nbest", type=whole_number(1), metavar="N", help="the N best: line ||| text ||| score")
    output.add_argument("--json", action="store_true", help="an object a line: texts, scores, tokens, alignments")
    search = result.add_argument_group("search")
    add_fields(search, SearchOptions, SEARCH)
    sampling = result.add_argument_group("sampling, instead of search")
    sampling.add_argument("--sample", action="store_true", help="draw a translation at random, or --nbest N of them")
    add_fields(sampling, SampleOptions, SAMPLING)
    add_machine_options(result.add_argument_group("machine"))
    options = result.parse_args(arguments)
    for fault in _faults(options):
        result.error(fault)
    return options


def _faults(options: argparse.Namespace) -> list[str]:
    """What the parser alone does not see."""
    if options.sample:
        return ["--beam is for search; leave it out, or leave out --sample"] if options.beam else []
    given = [f"--{name.replace('_', '-')}" for name in SAMPLING if getattr(options, name) is not None]
    return [f"{' and '.join(given)}: only with --sample; add it"] if given else []


if __name__ == "__main__":
    sys.exit(main())
