"""The language identifier of a model folder. This needs no torch."""

from pathlib import Path

from nmt.checkpoint.manifest import LANGUAGES, MANIFEST
from nmt.checkpoint.run_folder import find_model_folder
from nmt.data.check.languages import LanguageIdentifier
from nmt.system.files import add_file, verify_checksums
from nmt.system.opening import read_file


def save_languages(folder: Path, languages: LanguageIdentifier) -> None:
    """Add a language identifier to a model folder, or replace it. After an interruption, the folder is still valid.

    Raises:
        MachineError: the folder cannot be written.
    """
    add_file(folder, LANGUAGES, languages.to_bytes())


def load_languages(folder: str | Path) -> LanguageIdentifier | None:
    """Load the language identifier of a model. Return None if the model has none.

    `folder` is a model folder, or the output folder of a training run. Only the file of the identifier is read.

    Raises:
        ModelError: the folder does not exist, or the file is damaged or cannot be read.
    """
    path, max_bytes = find_model_folder(folder), MANIFEST[LANGUAGES].max_bytes
    if LANGUAGES not in verify_checksums(path, limits={LANGUAGES: max_bytes}):
        return None
    return LanguageIdentifier.from_bytes(read_file(path / LANGUAGES, max_bytes), str(path / LANGUAGES))
