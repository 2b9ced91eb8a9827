"""Score a model on text in other forms: other spaces, invisible characters, decomposed letters, other case.

Each form changes the source in a way that a reader hardly sees, or that does not change its meaning. The table shows
how many points of BLEU the change costs. The reference is not changed, except that it is in capitals if the source is.

    scripts/score-forms runs/m30k --source test.de --reference test.en
"""

import argparse
import re
import unicodedata
from collections.abc import Callable

from nmt.commands.arguments import whole_number
from nmt.commands.process import run
from nmt.data.text_files import read_lines
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import build_metric
from nmt.search.options import SearchOptions
from nmt.translation.translator import Translator

PLAIN, CAPITALS = "plain", "capitals"


def replace_spaces(space: str) -> Callable[[str], str]:
    return lambda line: line.replace(" ", space)


def insert(mark: str, line: str) -> str:
    """Insert a mark in the middle of the longest word."""
    longest = max(line.split(), key=len, default="")
    return line.replace(longest, longest[: len(longest) // 2] + mark + longest[len(longest) // 2 :], 1)


def widen(line: str) -> str:
    """Return a line whose letters and digits are full-width."""
    return re.sub("[0-9A-Za-z]", lambda match: chr(ord(match[0]) + 0xFEE0), line)


def write_titles(line: str) -> str:
    """Return a line with the first letter of each word in upper case."""
    return re.sub(r"(?<!\S)([^\w\s]*)(\w)", lambda match: match[1] + match[2].upper(), line)


FORMS: dict[str, Callable[[str], str]] = {
    PLAIN: str,
    "no-break spaces": replace_spaces("\u00a0"),
    "narrow no-break spaces": replace_spaces("\u202f"),
    "thin spaces": replace_spaces("\u2009"),
    "double spaces": replace_spaces("  "),
    "a tab": lambda line: line.replace(" ", "\t", 1),
    "byte order mark": lambda line: "\ufeff" + line,
    "zero-width space": lambda line: insert("\u200b", line),
    "zero-width joiner": lambda line: insert("\u200d", line),
    "zero-width non-joiner": lambda line: insert("\u200c", line),
    "soft hyphen": lambda line: insert("\u00ad", line),
    "marks of direction": lambda line: f"\u200e{line}\u200f",
    "decomposed (NFD)": lambda line: unicodedata.normalize("NFD", line),
    "full-width": widen,
    CAPITALS: str.upper,
    "title case": write_titles,
    "lower case": str.lower,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="model folder, or output folder of nmt-train")
    parser.add_argument("--source", metavar="FILE", required=True, help="the source of a test set")
    parser.add_argument("--reference", metavar="FILE", required=True, help="the human translations of the source")
    parser.add_argument("--only", nargs="+", choices=FORMS, default=list(FORMS), metavar="FORM", help="forms to score")
    parser.add_argument("--beam", type=whole_number(1), default=SearchOptions().beam, help="default: %(default)s")
    options = parser.parse_args()
    sources, references = list(read_lines(options.source)), list(read_lines(options.reference))
    translator = Translator.load(options.model)
    metric = build_metric("bleu", Scoring(target_language=translator.target_language()))
    plain = None
    print("| form | BLEU | difference |\n|---|---|---|")
    for name in options.only:
        found = translator.translate(map(FORMS[name], sources), SearchOptions(beam=options.beam))
        score = metric.score(found, [list(map(str.upper, references)) if name == CAPITALS else references])
        plain = score if name == PLAIN else plain
        print(f"| {name} | {score:.2f} | {'' if plain is None else f'{score - plain:+.2f}'} |", flush=True)
    print(f"\n{metric.signature(references=1)}")


def run_script() -> int:
    return run("score-forms", main)
