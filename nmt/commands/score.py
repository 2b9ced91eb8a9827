"""nmt-score MODEL [MODEL ...] < PAIRS, or with --source FILE and --target FILE or --nbest FILE"""

import argparse
import itertools
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nmt.commands.arguments import (
    MODEL_HELP,
    add_language_options,
    add_machine_options,
    build_parser,
    load_translator,
)
from nmt.commands.process import print_result, run, startup
from nmt.commands.streams import open_stdin, open_stdout
from nmt.errors import DataError

if TYPE_CHECKING:
    from nmt.translation.request import PairScore, Request

logger = logging.getLogger("nmt.commands.score")  # under `python -m`, __name__ is __main__

NAME = "nmt-score"
WINDOW = 1024  # the number of pairs that are scored together
SEPARATOR = " ||| "  # of n-best lists
PER: "dict[str, Callable[[PairScore], float]]" = {
    "sentence": lambda score: score.log_probability,
    "token": lambda score: score.per_token,
    "word": lambda score: score.per_word,
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A translation to score."""

    source: str
    target: str
    entry: str = ""
    """The entry of an n-best list that contains the translation."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write log P of each translation to standard output, and the perplexity of all translations to stderr."""
    options = _parse(arguments)

    def body() -> None:
        with startup():
            from nmt.translation.pipe import run_pipe

            translator = load_translator(options)
        translator.check(to=options.to, tag=options.tag)  # before any input is read
        totals = Totals()

        def score(pairs: Sequence[Pair]) -> "list[PairScore]":
            sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
            scores = translator.score(sources, targets, to=options.to, tag=options.tag)
            totals.add(scores)
            return scores

        def show(score: "PairScore", number: int) -> str:
            return format_json(score, number) if options.json else f"{PER[options.per](score):.4f}"

        if options.source:
            done = 0
            pairs = (
                read_nbest(options.nbest, options.source)
                if options.nbest
                else read_parallel(options.source, options.target)
            )
            for window in _split_windows(pairs):
                numbered = enumerate(zip(window, score(window), strict=True), start=done + 1)
                lines = (pair.entry + show(one, number) for number, (pair, one) in numbered)
                print_result("\n".join(lines))
                done += len(window)
        else:
            run_pipe(
                open_stdin(),
                open_stdout(),
                translate=lambda requests: score([split_line(request) for request in requests]),
                show=show,
                max_lines=WINDOW,
            )
        logger.info("%s", totals)

    return run(NAME, body, lower="--batch-size or --threads")


@dataclass
class Totals:
    """The sums over all translations."""

    pairs: int = 0
    tokens: int = 0
    words: int = 0
    parts: list[float] = field(default_factory=list)
    """Log P of the translations of each window."""

    def add(self, scores: "Sequence[PairScore]") -> None:
        self.pairs += len(scores)
        self.tokens += sum(len(score.token_log_probabilities) for score in scores)
        self.words += sum(score.words for score in scores)
        self.parts.append(math.fsum(score.log_probability for score in scores))

    def __str__(self) -> str:
        """Describe the sums, with the perplexity exp(−log P / number) for tokens and words."""
        log_p = math.fsum(self.parts)
        text = f"{self.pairs:,} pairs, {self.tokens:,} tokens, {self.words:,} words, log P {log_p:.2f}"
        for name, count in {"token": self.tokens, "word": self.words}.items():
            if count:
                exponent = -log_p / count
                text += f", perplexity per {name} {math.exp(exponent) if exponent < 700 else math.inf:.4f}"
        return text


def format_json(score: "PairScore", line: int) -> str:
    """Format a score as a JSON object. JSON has no −∞, so impossible tokens have null."""
    finite = [round(value, 6) if math.isfinite(value) else None for value in score.token_log_probabilities]
    content = {
        "line": line,
        "log_probability": None if None in finite else round(score.log_probability, 6),
        "tokens": score.tokens,
        "token_log_probabilities": finite,
        "words": score.words,
    }
    return json.dumps(content, ensure_ascii=False)


def split_line(request: "Request") -> Pair:
    """Split a line of standard input into source and translation. Raises DataError: it has no tab, or several."""
    sides = request.text.split("\t")
    if len(sides) != 2:
        raise DataError(f"{request.name}: has {len(sides) - 1} tabs; give SOURCE, a tab and TRANSLATION on each line")
    return Pair(source=sides[0], target=sides[1])


def read_parallel(source: str, target: str) -> Iterator[Pair]:
    """Read parallel files. Raises DataError: they have different numbers of lines."""
    from nmt.data.text_files import read_lines

    pairs = itertools.zip_longest(read_lines(source), read_lines(target))
    for number, (one, other) in enumerate(pairs, start=1):
        if one is None or other is None:
            shorter, longer = (source, target) if one is None else (target, source)
            raise DataError(
                f"{shorter}: ends at line {number - 1:,} but {longer} is longer; give a translation for each line"
            )
        yield Pair(source=one, target=other)


def read_nbest(path: str, source: str) -> Iterator[Pair]:
    """Read an n-best list in the format of Moses: NUMBER ||| TRANSLATION ||| ...

    Source lines are counted from 0, as in Moses, or from 1, as nmt-translate does. The first entry decides.

    Raises:
        DataError: an entry has another form, or its number is not the number of a source line.
    """
    from nmt.data.text_files import read_lines

    sources = list(read_lines(source))
    first: int | None = None
    for number, entry in enumerate(read_lines(path), start=1):
        place, *rest = entry.split(SEPARATOR.strip())
        if not rest or not place.strip().isdecimal():
            raise DataError(f"{path}:{number}: is not NUMBER{SEPARATOR}TRANSLATION; give an n-best list as Moses does")
        index = int(place)
        if first is None:
            first = min(index, 1)
        if not 0 <= index - first < len(sources):
            raise DataError(
                f"{path}:{number}: number {index} is not a line of {source}, which has lines {first} to "
                f"{len(sources) + first - 1}; name the source of this list"
            )
        yield Pair(source=sources[index - first], target=rest[0].strip(), entry=entry.rstrip() + SEPARATOR)


def _split_windows(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    while window := list(itertools.islice(pairs, WINDOW)):
        yield window


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser(NAME, "Compute log P of translations: lines SOURCE, tab, TRANSLATION from standard input.")
    parser.add_argument("models", metavar="MODEL", nargs="+", help=f"{MODEL_HELP}; several: an ensemble")
    files = parser.add_argument_group("files, instead of standard input")
    files.add_argument("--source", metavar="FILE", help="source lines")
    files.add_argument("--target", metavar="FILE", help="a translation of each source line")
    files.add_argument("--nbest", metavar="FILE", help="n-best lists as of Moses: number ||| translation ||| ...")
    add_language_options(parser.add_argument_group("languages"))
    output = parser.add_argument_group("output, by default log P of each translation, EOS included")
    output.add_argument(
        "--per", choices=tuple(PER), default="sentence", help="the sum of a sentence, or the mean; default: sentence"
    )
    output.add_argument("--json", action="store_true", help="a JSON object for each pair: tokens and their log P")
    add_machine_options(parser.add_argument_group("machine"), shortlist=False)
    options = parser.parse_args(arguments)
    if bool(options.source) != bool(options.target or options.nbest) or (options.target and options.nbest):
        parser.error("give --source with --target or with --nbest, or none of them to read standard input")
    if options.nbest and options.json:
        parser.error("--json: not with --nbest, whose entries are written with their scores; leave one out")
    return options


if __name__ == "__main__":
    sys.exit(main())
