"""The output folder of a training run. It contains checkpoints, a link to the best checkpoint, and logs.

checkpoints/update-00001000/    a model folder that also contains the training state (nmt/checkpoint/folder.py)
best                            a link to the checkpoint with the best validation score
metrics.jsonl, train.log        the measurements and the log of the training run
"""

import contextlib
import os
import re
import shutil
from pathlib import Path

from nmt.checkpoint.manifest import CONFIG, verify_folder
from nmt.errors import ModelError
from nmt.system.files import DRAFT, saving

BEST, CHECKPOINTS, PREPARED = "best", "checkpoints", "prepared"
METRICS_FILE, LOG_FILE = "metrics.jsonl", "train.log"

_NAME = re.compile("update-([0-9]{8,12})")


class CheckpointFolder:
    """The checkpoints in the output folder of a training run.

    The number of a checkpoint is its update: the number of updates of the weights before it was saved.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / CHECKPOINTS

    def path(self, update: int) -> Path:
        """Return the folder of the checkpoint of an update. The folder need not exist."""
        return self.folder / f"update-{update:08d}"

    def all(self) -> list[Path]:
        """Return the folders of all checkpoints, the oldest first. Links and folders with other names are ignored."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            return [self.folder / name for name in sorted(filter(_NAME.fullmatch, names), key=update_of)]
        return []

    def best(self) -> Path | None:
        """Return the checkpoint to which the link `best` points. Return None before the first validation."""
        link = self.output / BEST
        target = link.resolve() if link.is_dir() else None
        return target if target and target.parent == self.folder.resolve() else None

    def choose(self, update: int) -> None:
        """Point the link `best` to the checkpoint of an update. The link is replaced atomically.

        Raises:
            MachineError: the folder cannot be written.
        """
        draft = self.output / f"{DRAFT}{BEST}"
        with saving(self.output / BEST):
            draft.unlink(missing_ok=True)  # a killed process may have left a draft
            draft.symlink_to(Path(CHECKPOINTS) / self.path(update).name)
            os.replace(draft, self.output / BEST)

    def choose_saved(self, update: int) -> None:
        """Point the link `best` to the checkpoint of an update if this checkpoint exists.

        This repairs the link if a process was killed after it saved a checkpoint and before it changed the link.
        """
        if self.path(update).is_dir():
            self.choose(update)

    def prune(self, keep: int) -> None:
        """Delete all checkpoints except the best checkpoint and the `keep` newest checkpoints."""
        for path in self.all()[:-keep]:
            if path.resolve() != self.best():
                shutil.rmtree(path, ignore_errors=True)

    def drop_after(self, update: int) -> None:
        """Delete the checkpoints after an update. They are damaged, but would be taken for the newest checkpoints."""
        for path in self.all():
            if update_of(path.name) > update:
                shutil.rmtree(path, ignore_errors=True)

    def newest(self) -> tuple[Path | None, list[str]]:
        """Find the newest checkpoint that is not damaged.

        Return its folder, or None if all are damaged, and a message about each newer, damaged checkpoint.
        """
        messages: list[str] = []
        for path in reversed(self.all()):
            try:
                verify_folder(path, training=True)
                return path, messages
            except ModelError as error:
                messages.append(str(error).split(";")[0])
        return None, messages


def update_of(name: str) -> int:
    """Return the update of the checkpoint in a folder with this name, such as 1000 for "update-00001000".

    Raises:
        ValueError: the name does not have this form.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(name)
    return int(match[1])


def find_model_folder(folder: str | Path) -> Path:
    """Find the folder with the files of a model.

    If `folder` is a model folder, the result is `folder` itself. If it is the output folder of a training run, the
    result is its best checkpoint. If it is an address of the Hugging Face hub, such as hf://owner/name@revision, the
    result is the folder in the cache of the hub, to which the model is downloaded.

    Raises:
        ModelError: the folder does not exist or contains no model.
        UserError: as in `nmt.checkpoint.hub.fetch`.
    """
    if str(folder).startswith("hf:/"):
        from nmt.checkpoint.hub import fetch  # slow to import

        return fetch(str(folder))
    folder = Path(folder)
    if folder.is_symlink() and not folder.exists():
        raise ModelError(f"{folder}: a link to a missing folder; copy the folder that it points to, with cp -rL")
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder; name the --output folder of nmt-train or a model folder")
    if (folder / BEST).is_dir():
        best = (folder / BEST).resolve()
        if not best.is_relative_to(folder.resolve()):
            raise ModelError(f"{folder / BEST}: a link that leaves {folder}; name the model folder itself")
        return best
    if (folder / CONFIG).is_file():
        return folder
    if (folder / CHECKPOINTS).is_dir():
        raise ModelError(f"{folder}: training has not chosen a best checkpoint yet; name one in {folder / CHECKPOINTS}")
    raise ModelError(f"{folder}: not a model folder ({CONFIG} is missing); name the --output folder of nmt-train")
