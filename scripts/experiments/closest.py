"""Select the translation closest to its reference from each n-best list on standard input (nmt-translate --nbest N).

The closest translation has the highest sentence BLEU. A model can be distilled with such a corpus: sequence-level
interpolation (Kim & Rush 2016, section 3.3). Of equally close translations, the most probable is selected.

    nmt-translate MODEL --nbest 5 < train.en | scripts/closest train.de > distilled.de
"""

import argparse
import io
import itertools
import sys
from collections.abc import Iterable, Iterator

from nmt.commands.process import run
from nmt.data.text_files import read_lines
from nmt.errors import DataError
from nmt.metrics.metric import Metric, Scoring
from nmt.metrics.standard import BLEU


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", metavar="REFERENCE", help="a line for each translated line, plain, .gz or .zst")
    parser.add_argument("--language", default="", help="target language, if BLEU has a tokenizer for it: zh, ja, ko")
    options = parser.parse_args()
    metric = BLEU(Scoring(target_language=options.language))
    for stream in (sys.stdin, sys.stdout):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="utf-8", newline="\n")
    for text in select_closest(sys.stdin, read_lines(options.reference), metric):
        print(text)


def select_closest(nbest: Iterable[str], references: Iterable[str], metric: Metric) -> Iterator[str]:
    """Yield the best text of each group of lines `number ||| text ||| score`.

    Raises:
        DataError: a line does not have this form, or the number of groups differs from the number of references.
    """
    groups = itertools.groupby(map(split_line, nbest), key=lambda line: line[0])
    for number, (group, reference) in enumerate(itertools.zip_longest(groups, references), start=1):
        if group is None or reference is None or group[0] != number:
            raise DataError(f"line {number}: translations and references do not pair up; give both for the same lines")
        yield max((text for _, text in group[1]), key=lambda text: metric.score_sentence(text, [reference]))


def split_line(line: str) -> tuple[int, str]:
    """Return the number and the text of a line. The text can contain anything, even |||."""
    number, _, rest = line.partition(" ||| ")
    text, bars, _ = rest.rpartition(" ||| ")
    if not (number.isdecimal() and bars):
        raise DataError(
            f"{line.rstrip()[:40]!r}: not `number ||| text ||| score`; give what nmt-translate --nbest prints"
        )
    return int(number), text


def run_script() -> int:
    return run("closest", main)
