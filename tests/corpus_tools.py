"""Jobs for tests of nmt.corpus: a tiny model, its input, and work that needs no model."""

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.corpus.folders import open_folder
from nmt.corpus.inputs import find_inputs
from nmt.corpus.items import Columns, Item
from nmt.corpus.job import Job, recognize_format, start_or_continue
from nmt.corpus.ledger import Ledger
from nmt.corpus.tasks import Task

MODELS = Path(__file__).parent / "models" / "0.1.0"
WORDS = (MODELS / "source.txt").read_text(encoding="utf-8").split()
TEXT = Columns(source="text", target=None, result="translation")


def copy_model(folder: Path) -> Path:
    """Copy a tiny model, because a model is packed into its folder."""
    return Path(shutil.copytree(MODELS / "parallel", folder / "model"))


def make_lines(count: int, *, first: int = 0) -> list[str]:
    """Make different lines of words that the tiny model knows."""
    return [" ".join(WORDS[(7 * number + word) % len(WORDS)] for word in range(2 + number % 5)) for number in
            range(first, first + count)]  # fmt: skip


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def start_job(folder: Path, *inputs: Path | str, shard_bytes: int = 1 << 20, task: str = "translate") -> Ledger:
    """Start a job without a model on files, and return its ledger."""
    files = find_inputs([str(path) for path in inputs])
    form, compression = recognize_format(files)
    job = Job(
        task=task,  # type: ignore[arg-type]
        models=(),
        settings={},
        format=form,
        compression=compression,
        output=str(folder / "output"),
        shard_bytes=shard_bytes,
        files=tuple(files),
    )
    ledger = Ledger(open_folder(str(folder)), open_folder(job.output), job)
    start_or_continue(ledger.folder, ledger.output, job)
    return ledger


def shout(items: Sequence[Item]) -> list[str]:
    """Work that needs no model."""
    return [(item.text or "").upper() for item in items]


@dataclass(frozen=True, kw_only=True)
class Deadly(Task):
    """Work during which a worker kills itself: at the line `poison`, once at the line `once`, or at its start."""

    folder: Path
    kill: str = "poison"

    def prepare(self) -> Callable[[Sequence[Item]], list[str]]:
        def work(items: Sequence[Item]) -> list[str]:
            for item in items:
                if item.text == "poison" and self.kill == "poison":
                    os.kill(os.getpid(), signal.SIGKILL)
                if item.text == "once" and not (self.folder / "killed").exists():
                    (self.folder / "killed").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            return shout(items)

        if self.kill == "start":
            os.kill(os.getpid(), signal.SIGKILL)
        return work


def read_output(ledger: Ledger) -> bytes:
    """Return the output of all shards, in order."""
    names = (ledger.job.output_name(shard) for shard in ledger.job.shards)
    return b"".join(ledger.output.read(name) or b"" for name in names)
