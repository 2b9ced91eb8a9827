"""The two versions in a comparison: each has a source tree and a folder to train in."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from grammar_corpus.corpus import pairs

from nmt.errors import ConfigError

CORPUS = {"test": 100, "valid": 100, "more": 100, "train": 300}  # pairs; an epoch has fewer than twenty updates
TRAINER = Path(__file__).with_name("trainer.py")


class Side:
    """A process that trains with one source tree. Its paths are relative to its folder, so they are the same for both.

    Leaving the context ends the process.
    """

    def __init__(self, tree: Path, folder: Path) -> None:
        self.tree, self.folder, self.log = tree, folder, folder / "log"
        write_corpus(folder / "corpus")
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(TRAINER)],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *fault: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # with the current training run
        self.process.wait()

    def begin(self, config: str, overrides: Sequence[str], name: str) -> None:
        """Start a training run with a file of this name in configs/ of the tree, or in a folder there."""
        assert self.process.stdin
        configs = self.tree / "configs"
        path = next(configs.rglob(config), configs / config)
        arguments = [str(path), *overrides, "--output", f"runs/{name}"]
        with contextlib.suppress(BrokenPipeError):  # `fault` reports the reason
            print(json.dumps(arguments), file=self.process.stdin, flush=True)

    def fault(self) -> str | None:
        """Wait for the end of the training run. Return the last line of the log if it failed."""
        assert self.process.stdout
        if self.process.stdout.readline() == "0\n":
            return None
        return (self.log.read_text(encoding="utf-8").splitlines() or ["no message"])[-1]

    def weights(self, name: str) -> Path:
        """Return the weights of the last checkpoint of a training run."""
        return max((self.folder / "runs" / name / "checkpoints").glob("update-*")) / "model.safetensors"


@contextlib.contextmanager
def worktree(root: Path, commit: str, folder: Path) -> Iterator[Path]:
    """Check out a commit of the repository at `root` into a new folder.

    Raises:
        ConfigError: the commit cannot be checked out.
    """
    git = ["git", "-C", str(root), "worktree"]
    command = [*git, "add", "--detach", str(folder), commit]
    added = subprocess.run(command, capture_output=True, text=True, check=False)
    if added.returncode:
        raise ConfigError(f"{commit}: cannot be checked out ({added.stderr.strip().splitlines()[-1]})")
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], capture_output=True, check=False)


def write_corpus(folder: Path) -> None:
    """Write English and German sentences from the grammar. The other languages are transformed German."""
    folder.mkdir(parents=True)
    every_pair = iter(pairs(sum(CORPUS.values()), seed=1))
    for part, size in CORPUS.items():
        english, german = zip(*(next(every_pair) for _ in range(size)), strict=True)
        sides = {
            "en": english,
            "de": german,
            "fr": [" ".join(reversed(line.split())) for line in german],
            "cs": [line.upper() for line in german],
            "ja": [line.replace(" ", "") for line in german],
        }
        for language, lines in sides.items():
            (folder / f"{part}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
