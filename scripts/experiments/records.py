"""The log of scripts/sweep-recipes: a line of JSON for each training."""

import json
import statistics
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training that a round asks for."""

    corpus: str
    setting: str
    overrides: list[str]
    length: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Record(Job):
    """A line of the log: a training and its scores on the validation set."""

    bleu: float
    """The BLEU score of the best checkpoint with beam 5."""
    chrf: float
    """The chrF2 score of the best checkpoint with beam 5."""
    loss: float
    updates: int
    best_update: int
    minutes: float
    stopped: bool
    """Whether the training was ended early."""
    curve: list[float]
    """The chrF2 score of each validation, by greedy search."""
    commit: str
    key: str
    """A hash of the configuration."""


def read_log(path: Path) -> dict[str, Record]:
    """Read the records of a log by their keys. A line that is not complete is ignored."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [Record(**json.loads(line)) for line in lines if line.endswith("}")]
    return {record.key: record for record in records}


def append_record(path: Path, record: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        stream.seek(max(0, stream.tell() - 1))
        torn = stream.read(1) not in (b"", b"\n")  # an earlier process was killed while it wrote
        stream.write(b"\n" * torn + json.dumps(asdict(record), ensure_ascii=False).encode() + b"\n")


def describe_commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def format_table(records: Iterable[Record]) -> str:
    """Format the records as Markdown. Seeds share a row. Longer trainings come first, and then better ones."""
    groups: dict[tuple[float, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.length, record.corpus, record.setting), []).append(record)
    score = {key: statistics.mean(record.bleu + record.chrf for record in group) for key, group in groups.items()}
    heads = ["corpus", "length", "setting", "BLEU", "chrF2", "updates", "minutes", "overrides"]
    rows = []
    for key in sorted(groups, key=lambda key: (-key[0], key[1], -score[key])):
        group, (length, corpus, setting) = groups[key], key
        rows.append(
            [
                corpus,
                f"{length:g}",
                setting,
                ", ".join(f"{record.bleu:.2f}" for record in group),
                ", ".join(f"{record.chrf:.2f}" for record in group),
                ", ".join(f"{record.best_update} of {record.updates}" for record in group),
                f"{statistics.mean(record.minutes for record in group):.1f}" + ", ended early" * group[0].stopped,
                " ".join(f"`{override}`" for override in group[0].overrides),
            ]
        )
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)
