"""The manifest of a model folder. It lists all files that nmt reads and copies. Other files in the folder are ignored.

To add a file, add a line to `MANIFEST`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nmt.errors import ModelError
from nmt.system.files import CHECKSUMS, verify_checksums
from nmt.tokenizers.base import MAX_TOKENIZER_BYTES
from nmt.tokenizers.files import MAX_NORMALIZATION_BYTES, MAX_TRUECASE_BYTES, NORMALIZATION, TRUECASE

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"
SHORTLIST, LANGUAGES, KNOWN_WORDS = "shortlist.safetensors", "languages.safetensors", "words.safetensors"
PACKED = "packed.nmt"
TRAINING_WEIGHTS, TRAINING_STATE = "training.safetensors", "state.json"
SCALE = ".scale"
"""The end of the name of a tensor with the scales of an int8 matrix, in `WEIGHTS`."""


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """A file of a model folder."""

    max_bytes: int
    """The limit of the size of the file in bytes."""
    reader: Literal["translation", "packing", "library", "training"] = "translation"
    """Who reads the file: `training` only if it continues from the model, `library` if translation uses the native
    library, `packing` in all other translations, and `translation` always."""
    required: bool = False
    """Whether the file must be present in a folder that its reader uses."""


MANIFEST: dict[str, ManifestFile] = {
    CONFIG: ManifestFile(max_bytes=1 << 20, reader="packing", required=True),
    "tokenizer.model": ManifestFile(max_bytes=MAX_TOKENIZER_BYTES),
    "source.model": ManifestFile(max_bytes=MAX_TOKENIZER_BYTES),
    "target.model": ManifestFile(max_bytes=MAX_TOKENIZER_BYTES),
    "tokenizer.json": ManifestFile(max_bytes=MAX_TOKENIZER_BYTES),
    "source.json": ManifestFile(max_bytes=MAX_TOKENIZER_BYTES),
    "target.json": ManifestFile(max_bytes=MAX_TOKENIZER_BYTES),
    NORMALIZATION: ManifestFile(max_bytes=MAX_NORMALIZATION_BYTES),
    TRUECASE: ManifestFile(max_bytes=MAX_TRUECASE_BYTES),
    WEIGHTS: ManifestFile(max_bytes=4 << 30, reader="packing", required=True),
    SHORTLIST: ManifestFile(max_bytes=1 << 30, reader="packing"),
    LANGUAGES: ManifestFile(max_bytes=200_000, reader="packing"),
    KNOWN_WORDS: ManifestFile(max_bytes=40_000_000, reader="packing"),
    PACKED: ManifestFile(max_bytes=8 << 30, reader="library"),
    TRAINING_WEIGHTS: ManifestFile(max_bytes=16 << 30, reader="training", required=True),
    TRAINING_STATE: ManifestFile(max_bytes=16 << 20, reader="training", required=True),
}


def verify_folder(folder: Path, *, training: bool = False) -> set[str]:
    """Check those files of a model folder that the manifest lists. The packed network is left out.

    Args:
        folder: the model folder.
        training: whether to check also the files that only training reads.

    Returns:
        The names of the files that were checked. The caller must not read or copy other files.

    Raises:
        ModelError: a file is missing, too large, not a regular file, damaged, or not listed in the checksums.
    """
    readers = {"translation", "packing", *(["training"] if training else [])}
    wanted = {name: file for name, file in MANIFEST.items() if file.reader in readers}
    found = verify_checksums(folder, limits={name: file.max_bytes for name, file in wanted.items()})
    for name, file in wanted.items():
        if file.required and name not in found:
            raise ModelError(f"{folder}: {CHECKSUMS} does not list {name}; copy the whole folder again")
    return found


def verify_packed_folder(folder: Path) -> set[str]:
    """Check those files of a model folder that a translation with the native library reads.

    Returns:
        The names of the files that were checked. The caller must not read other files.

    Raises:
        ModelError: a file is missing, too large, not a regular file, or damaged.
    """
    wanted = {name: file for name, file in MANIFEST.items() if file.reader in ("translation", "library")}
    return verify_checksums(folder, limits={name: file.max_bytes for name, file in wanted.items()})
