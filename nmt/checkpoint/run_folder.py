"""The output folder of a training: its checkpoints, and a link to the best of them."""

import os
import shutil
from pathlib import Path

from nmt.checkpoint.folder import BEST, CHECKPOINTS
from nmt.errors import ModelError
from nmt.system.files import DRAFT, saving, verify_checksums

METRICS, LOG = "metrics.jsonl", "train.log"


class CheckpointFolder:
    """The checkpoints in a training's output folder."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / CHECKPOINTS

    def path(self, update: int) -> Path:
        return self.folder / f"update-{update:08d}"

    def all(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob("update-*"))

    def best(self) -> Path | None:
        link = self.output / BEST
        return link.resolve() if link.is_dir() else None

    def choose(self, update: int) -> None:
        """Let `best` point at the checkpoint of this update, in one step."""
        draft = self.output / f"{DRAFT}{BEST}"
        with saving(self.output / BEST):
            draft.unlink(missing_ok=True)
            draft.symlink_to(Path(CHECKPOINTS) / self.path(update).name)
            os.replace(draft, self.output / BEST)

    def choose_saved(self, update: int) -> None:
        """The same, if that checkpoint is there: a kill may have come between saving and choosing it."""
        if self.path(update).is_dir():
            self.choose(update)

    def prune(self, keep: int) -> None:
        """Delete all checkpoints but the newest `keep` and the best."""
        for path in self.all()[:-keep]:
            if path.resolve() != self.best():
                shutil.rmtree(path, ignore_errors=True)

    def drop_after(self, update: int) -> None:
        """Delete the checkpoints of later updates: damaged ones, which would count as the newest."""
        for path in self.all():
            if path.name > self.path(update).name:
                shutil.rmtree(path, ignore_errors=True)

    def newest(self) -> tuple[Path | None, list[str]]:
        """The newest checkpoint that is whole, and a complaint about each newer one that is not."""
        complaints: list[str] = []
        for path in reversed(self.all()):
            try:
                verify_checksums(path)
                return path, complaints
            except ModelError as error:
                complaints.append(str(error).split(";")[0])
        return None, complaints
