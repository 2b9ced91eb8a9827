"""The output folder of a training run, which contains checkpoints, a link to the best checkpoint, and logs.

checkpoints/update-00001000/    a model folder that also contains the training state (nmt/checkpoint/folder.py)
best                            a link to the checkpoint with the best validation score
metrics.jsonl, train.log        the measurements and the log of the training run
"""

import os
import shutil
from pathlib import Path

from nmt.errors import ModelError
from nmt.system.files import DRAFT, saving, verify_checksums

BEST, CHECKPOINTS = "best", "checkpoints"
METRICS_FILE, LOG_FILE = "metrics.jsonl", "train.log"


class CheckpointFolder:
    """The checkpoints in the output folder of a training run.

    A checkpoint is identified by its update, the number of parameter updates before it was saved.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / CHECKPOINTS

    def path(self, update: int) -> Path:
        """Return the folder of the checkpoint of an update. The folder need not exist."""
        return self.folder / f"update-{update:08d}"

    def all(self) -> list[Path]:
        """Return the folders of all checkpoints, oldest first."""
        return sorted(self.folder.glob("update-*"))

    def best(self) -> Path | None:
        """Return the checkpoint to which the link `best` points. Return None before the first validation."""
        link = self.output / BEST
        return link.resolve() if link.is_dir() else None

    def choose(self, update: int) -> None:
        """Point the link `best` to the checkpoint of an update. The link is replaced atomically.

        Raises:
            MachineError: the folder cannot be written.
        """
        draft = self.output / f"{DRAFT}{BEST}"
        with saving(self.output / BEST):
            draft.unlink(missing_ok=True)  # a killed process may have left one
            draft.symlink_to(Path(CHECKPOINTS) / self.path(update).name)
            os.replace(draft, self.output / BEST)

    def choose_saved(self, update: int) -> None:
        """Point the link `best` to the checkpoint of an update, if this checkpoint exists.

        This repairs the link after a process was killed between saving a checkpoint and choosing it.
        """
        if self.path(update).is_dir():
            self.choose(update)

    def prune(self, keep: int) -> None:
        """Delete all checkpoints except the best checkpoint and the `keep` newest checkpoints."""
        for path in self.all()[:-keep]:
            if path.resolve() != self.best():
                shutil.rmtree(path, ignore_errors=True)

    def drop_after(self, update: int) -> None:
        """Delete the checkpoints after an update. They are damaged, but would count as the newest."""
        for path in self.all():
            if path.name > self.path(update).name:
                shutil.rmtree(path, ignore_errors=True)

    def newest(self) -> tuple[Path | None, list[str]]:
        """Find the newest checkpoint that is not damaged.

        Return its folder, or None, and a message about each newer checkpoint that is damaged.
        """
        messages: list[str] = []
        for path in reversed(self.all()):
            try:
                verify_checksums(path)
                return path, messages
            except ModelError as error:
                messages.append(str(error).split(";")[0])
        return None, messages
