"""What a model folder stores about the training text: an identifier of its languages, and its source words.

This needs no torch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nmt.checkpoint.manifest import KNOWN_WORDS, LANGUAGES, MANIFEST
from nmt.checkpoint.run_folder import find_model_folder
from nmt.data.check.languages import LanguageIdentifier
from nmt.data.known_words import KnownWords
from nmt.system.files import add_file, verify_checksums
from nmt.system.opening import read_file

T = TypeVar("T")


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
    return _load(folder, LANGUAGES, LanguageIdentifier.from_bytes)


def save_known_words(folder: Path, words: KnownWords) -> None:
    """Add the known words to a model folder, or replace them. After an interruption, the folder is still valid.

    Raises:
        MachineError: the folder cannot be written.
    """
    add_file(folder, KNOWN_WORDS, words.to_bytes())


def load_known_words(folder: str | Path) -> KnownWords | None:
    """Load the source words of the training text of a model. Return None if the model does not store them.

    `folder` is a model folder, or the output folder of a training run. Only the file of the words is read.

    Raises:
        ModelError: the folder does not exist, or the file is damaged or cannot be read.
    """
    return _load(folder, KNOWN_WORDS, KnownWords.from_bytes)


def _load(folder: str | Path, name: str, read: Callable[[bytes, str], T]) -> T | None:
    """Read one file of a model folder if the folder lists it. `read` takes its content and its path for messages."""
    path, max_bytes = find_model_folder(folder), MANIFEST[name].max_bytes
    if name not in verify_checksums(path, limits={name: max_bytes}):
        return None
    return read(read_file(path / name, max_bytes), str(path / name))
