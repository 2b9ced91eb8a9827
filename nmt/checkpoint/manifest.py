"""The manifest of a model folder. It lists all files that nmt reads and copies. Other files in the folder are ignored.

To add a file, add a line to `MANIFEST`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nmt.errors import ModelError
from nmt.system.files import CHECKSUMS, verify_checksums
from nmt.tokenizers.base import MOST_BYTES

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"
SHORTLIST, LANGUAGES = "shortlist.safetensors", "languages.safetensors"
TRAINING_WEIGHTS, TRAINING_STATE = "training.safetensors", "state.json"


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """A file of a model folder."""

    most: int
    """The limit of the size of the file in bytes."""
    reader: Literal["translation", "training"] = "translation"
    """`training` if only training that continues from the model reads the file, and `translation` otherwise."""
    required: bool = False
    """Whether the file must be present in a folder that its reader uses."""


MANIFEST: dict[str, ManifestFile] = {
    CONFIG: ManifestFile(most=1 << 20, required=True),
    "tokenizer.model": ManifestFile(most=MOST_BYTES),
    "source.model": ManifestFile(most=MOST_BYTES),
    "target.model": ManifestFile(most=MOST_BYTES),
    "tokenizer.json": ManifestFile(most=MOST_BYTES),
    "source.json": ManifestFile(most=MOST_BYTES),
    "target.json": ManifestFile(most=MOST_BYTES),
    "normalization.json": ManifestFile(most=1 << 20),
    "truecase.json": ManifestFile(most=1 << 24),
    WEIGHTS: ManifestFile(most=4 << 30, required=True),
    SHORTLIST: ManifestFile(most=1 << 30),
    LANGUAGES: ManifestFile(most=200_000),
    TRAINING_WEIGHTS: ManifestFile(most=16 << 30, reader="training", required=True),
    TRAINING_STATE: ManifestFile(most=16 << 20, reader="training", required=True),
}


def verify_folder(folder: Path, *, training: bool = False) -> set[str]:
    """Check those files of a model folder that the manifest lists.

    Args:
        folder: the model folder.
        training: whether to check also the files that only training reads.

    Returns:
        The names of the files that were checked. The caller must not read or copy other files.

    Raises:
        ModelError: a file is missing, too large, not a regular file, damaged, or not listed in the checksums.
    """
    wanted = {name: file for name, file in MANIFEST.items() if training or file.reader == "translation"}
    found = verify_checksums(folder, limits={name: file.most for name, file in wanted.items()})
    for name, file in wanted.items():
        if file.required and name not in found:
            raise ModelError(f"{folder}: {CHECKSUMS} does not list {name}; copy the whole folder again")
    return found
