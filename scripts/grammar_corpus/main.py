"""Write a parallel English-German corpus from a grammar: OUTDIR/{train,valid,test}.{en,de}.

The same seed gives the same corpus.
"""

import argparse
from pathlib import Path

from grammar_corpus.corpus import pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outdir", type=Path, metavar="OUTDIR")
    parser.add_argument("--train", type=int, default=12000, help="training pairs (12000)")
    parser.add_argument("--valid", type=int, default=500, help="validation pairs (500)")
    parser.add_argument("--test", type=int, default=500, help="test pairs (500)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random sentences (1)")
    options = parser.parse_args()
    sizes = {"test": options.test, "valid": options.valid, "train": options.train}
    write(options.outdir, sizes, options.seed)


def write(folder: Path, sizes: dict[str, int], seed: int) -> None:
    """Write all parts from one list without repetitions, so that no sentence is in two parts."""
    folder.mkdir(parents=True, exist_ok=True)
    every_pair = iter(pairs(sum(sizes.values()), seed))
    for part, size in sizes.items():
        chosen = [next(every_pair) for _ in range(size)]
        for language, lines in zip(("en", "de"), zip(*chosen, strict=True), strict=True):
            (folder / f"{part}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def run_script() -> int:
    main()
    return 0
