"""Write a parallel English-German corpus from a grammar: OUTDIR/{train,valid,test}.{en,de}.

The same seed gives the same corpus, with and without --alignments.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from grammar_corpus.corpus import alignment, trees


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outdir", type=Path, metavar="OUTDIR")
    parser.add_argument("--train", type=int, default=12000, help="training pairs (12000)")
    parser.add_argument("--valid", type=int, default=500, help="validation pairs (500)")
    parser.add_argument("--test", type=int, default=500, help="test pairs (500)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random sentences (1)")
    parser.add_argument("--alignments", action="store_true", help="also write the alignments of words, to *.align")
    options = parser.parse_args()
    sizes = {"test": options.test, "valid": options.valid, "train": options.train}
    write(options.outdir, sizes, options.seed, alignments=options.alignments)


def write(folder: Path, sizes: dict[str, int], seed: int, alignments: bool = False) -> None:
    """Write all parts from one list without repetitions, so that no sentence is in two parts.

    Alignments are pairs of an English and a German word, in Pharaoh form. See `grammar_corpus.corpus.alignment`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    every_pair = iter(trees(sum(sizes.values()), seed).items())
    for part, size in sizes.items():
        chosen = dict(next(every_pair) for _ in range(size))
        for language, lines in zip(("en", "de"), zip(*chosen, strict=True), strict=True):
            write_lines(folder / f"{part}.{language}", lines)
        if alignments:
            write_lines(folder / f"{part}.align", map(alignment, chosen.values()))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def run_script() -> int:
    main()
    return 0
