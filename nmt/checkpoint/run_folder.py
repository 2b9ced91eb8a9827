"""The output folder of a training: its checkpoints, a link to the best of them, and the names of its other files.

checkpoints/update-00001000/    a model folder with the state of the training (nmt/checkpoint/folder.py)
best                            a link to the checkpoint with the best validation score
metrics.jsonl, train.log        what the training measured and reported
"""

import os
import shutil
from pathlib import Path

from nmt.errors import ModelError
from nmt.system.files import DRAFT, saving, verify_checksums

BEST, CHECKPOINTS = "best", "checkpoints"
METRICS, LOG = "metrics.jsonl", "train.log"


class CheckpointFolder:
    """The checkpoints in a training's output folder."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / CHECKPOINTS

    def path(self, update: int) -> Path:
        """The folder of the checkpoint of this update."""
        return self.folder / f"update-{update:08d}"

    def all(self) -> list[Path]:
        """All checkpoints, oldest first."""
        return sorted(self.folder.glob("update-*"))

    def best(self) -> Path | None:
        """The checkpoint that the link `best` points to. None before the first validation."""
        link = self.output / BEST
        return link.resolve() if link.is_dir() else None

    def choose(self, update: int) -> None:
        """Point the link `best` at the checkpoint of this update. The link is replaced atomically.

        Raises:
            MachineError: the folder cannot be written.
        """
        draft = self.output / f"{DRAFT}{BEST}"
        with saving(self.output / BEST):
            draft.unlink(missing_ok=True)  # a killed process may have left one
            draft.symlink_to(Path(CHECKPOINTS) / self.path(update).name)
            os.replace(draft, self.output / BEST)

    def choose_saved(self, update: int) -> None:
        """Choose a checkpoint if it exists: the process may have been killed between saving and choosing it."""
        if self.path(update).is_dir():
            self.choose(update)

    def prune(self, keep: int) -> None:
        """Delete all checkpoints except the best and the newest `keep`."""
        for path in self.all()[:-keep]:
            if path.resolve() != self.best():
                shutil.rmtree(path, ignore_errors=True)

    def drop_after(self, update: int) -> None:
        """Delete the checkpoints after this update, which are damaged and would otherwise count as the newest."""
        for path in self.all():
            if path.name > self.path(update).name:
                shutil.rmtree(path, ignore_errors=True)

    def newest(self) -> tuple[Path | None, list[str]]:
        """The newest checkpoint that is intact, and a message about each newer one that is not."""
        messages: list[str] = []
        for path in reversed(self.all()):
            try:
                verify_checksums(path)
                return path, messages
            except ModelError as error:
                messages.append(str(error).split(";")[0])
        return None, messages
