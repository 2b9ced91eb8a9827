"""Give nmt damaged and hostile inputs, and count the faults.

    scripts/fuzz                                     all parts
    scripts/fuzz folders --count 2000 --seed 1       2,000 damaged model folders
    scripts/fuzz folders --only 17 --keep /tmp/17    one case again; its files are kept in /tmp/17

Faults are tracebacks, crashes, hangs, too much memory, processes that still run, files outside of the working
folder, control characters on the terminal, and the faults that only one part checks, such as lost lines. The exit
status is 1 if there is any fault. A case depends only on the part, the seed and its number.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzzing import commands, configurations, corpora, disks, folders, kills
from fuzzing.case import Case, Verdict, run_case, working_folder
from nmt.commands.arguments import whole_number

Make = Callable[[random.Random, Path], Case]
"""Writes the input of a case into its empty working folder, and returns the case. All choices come from the random
generator."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A kind of input."""

    prepare: Callable[[Path], Make]
    """Prepares what the cases share, in a folder that stays until the last case, and returns the function that makes a
    case."""
    count: int
    """The number of cases by default."""


PARTS = {
    "folders": Part(prepare=folders.prepare, count=2000),
    "configurations": Part(prepare=configurations.prepare, count=10_000),
    "commands": Part(prepare=commands.prepare, count=200),
    "corpora": Part(prepare=corpora.prepare, count=300),
    "kills": Part(prepare=kills.prepare, count=60),
    "disks": Part(prepare=disks.prepare, count=20),
}


def show_now(text: str) -> None:
    """Print a text at once, also into a pipe."""
    print(text, flush=True)


def run_part(
    name: str,
    numbers: Sequence[int],
    seed: int,
    *,
    keep: Path | None = None,
    show: Callable[[str], None] = show_now,
) -> list[Verdict]:
    """Run the cases of a part with these numbers. Return the verdict of each case. Faults are shown as they occur."""
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="nmt-fuzz-shared-") as shared:
        make = PARTS[name].prepare(Path(shared))
        for number in numbers:
            with working_folder(keep) as folder:
                verdict = run_case(make(random.Random(f"{name} {seed} {number}"), folder.work), folder)
            verdicts.append(verdict)
            if verdict.fault:
                show(f"{name} {number}: {verdict.fault}: {verdict.name}")
                show("".join(f"    {line}\n" for line in verdict.detail.splitlines()).rstrip("\n"))
    return verdicts


def summarize(name: str, verdicts: Sequence[Verdict], seconds: float) -> str:
    """Describe the verdicts of a part on one line."""
    statuses = Counter(verdict.status for verdict in verdicts if not verdict.fault)
    faults = Counter(verdict.fault.partition(":")[0] for verdict in verdicts if verdict.fault)
    ends = ", ".join(f"{count:,} with exit status {status}" for status, count in sorted(statuses.items()))
    faulty = ", ".join(f"{count:,} {fault}" for fault, count in faults.most_common()) or "no fault"
    return f"{name}: {len(verdicts):,} cases in {seconds:.0f} s: {ends or 'none without fault'}; {faulty}"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    results = {}
    for name in options.parts or PARTS:
        start = time.monotonic()
        count = PARTS[name].count if options.count is None else options.count
        numbers = range(count) if options.only is None else [options.only]
        results[name] = run_part(name, numbers, options.seed, keep=options.keep)
        print(summarize(name, results[name], time.monotonic() - start), flush=True)
    return int(any(verdict.fault for verdicts in results.values() for verdict in verdicts))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", metavar="PART", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--count", metavar="N", type=whole_number(1), help="the number of cases of each part")
    parser.add_argument("--seed", metavar="S", type=whole_number(0), default=1, help="default: 1")
    parser.add_argument("--only", metavar="NUMBER", type=whole_number(0), help="run one case")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep the files of the last case in DIR")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"{unknown[0]}: no such part; choose from {', '.join(PARTS)}")
    return options
