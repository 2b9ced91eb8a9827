"""nmt-translate MODEL [MODEL ...] < LINES > TRANSLATIONS"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, cast

from nmt.commands.base import add_machine_options, lasting, load_translator, number, parser, run, whole_number
from nmt.errors import DataError

if TYPE_CHECKING:
    from nmt.translate import Translation

NAME = "nmt-translate"
WINDOW = 16  # batches for each process of the search: so much is read before it is sorted by length


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
            from nmt.pipe import run_pipe
            from nmt.search.options import SearchOptions

            search = SearchOptions(
                beam=options.beam,
                nbest=options.nbest or 1,
                length_penalty=options.length_penalty,
                coverage_penalty=options.coverage_penalty,
                max_length_factor=options.max_length_factor,
                max_length_extra=options.max_length_extra,
                attention=options.json,
            )
            translator = load_translator(options)
        with contextlib.closing(translator):
            run_pipe(
                _standard_input(),
                sys.stdout.buffer,
                translate=lambda lines, numbers: translator.nbest(lines, search, numbers),
                show=as_json if options.json else ranked if options.nbest else plain,
                most_lines=WINDOW * translator.processes * translator.most_segments(options.beam),
            )

    return run(NAME, body)


def _standard_input() -> BinaryIO:
    """Bytes of standard input as they come, without the buffer, whose lock a thread that waits for input would hold."""
    if sys.stdin is None:
        raise DataError("standard input is closed; give text on it")
    os.set_blocking(sys.stdin.fileno(), True)  # or no bytes now would look like no more bytes
    return cast(BinaryIO, open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    result = parser(NAME, "Translate lines from standard input to standard output.")
    result.add_argument("models", metavar="MODEL", nargs="+", help="output folder of nmt-train; several: an ensemble")
    output = result.add_argument_group("output, by default the best translation of each line")
    output.add_argument("--nbest", type=whole_number(1), metavar="N", help="the N best: line ||| text ||| score")
    output.add_argument("--json", action="store_true", help="an object a line: texts, scores, tokens, alignments")
    search = result.add_argument_group("search")
    search.add_argument("--beam", type=whole_number(1), default=5, metavar="K", help="default: 5; 1 is greedy")
    search.add_argument(
        "--length-penalty", type=number(0), default=1.0, metavar="A", help="rank by log P / length^A; default: 1"
    )
    search.add_argument(
        "--coverage-penalty",
        type=number(0),
        default=0.0,
        metavar="B",
        help="of source pieces not looked at; default: 0",
    )
    search.add_argument(
        "--max-length-factor", type=number(0), default=2.0, metavar="F", help="most pieces: F · source pieces + E"
    )
    search.add_argument("--max-length-extra", type=whole_number(0), default=10, metavar="E", help="default: F 2, E 10")
    add_machine_options(result.add_argument_group("machine"))
    return result.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
